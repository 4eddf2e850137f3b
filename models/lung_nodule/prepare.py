"""The nodules of the training data, each as a small volume with its mask, and who is in which fold."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.region import Region, region_of
from models.lung_nodule.networks import READINGS

PROBABLE = 3
"""Reading of the most frequent score that is neither benign nor malignant."""


@dataclass(frozen=True)
class Nodule:
    """One nodule: a crop of a CT with the readers' mask."""

    key: str
    patient: str
    fold: int
    malignant: bool
    mode: int  # most frequent malignancy score of its readers, 1 to 5: says whether votes are clear, no input
    diameter_mm: float  # as the data state it
    readings: tuple[float, ...]  # most frequent scores of READINGS, brought to about -1..1; no input
    volume: Volume  # HU, (slice, row, column) float32, axes rise to head, posterior, left
    region: Region

    @property
    def clear(self) -> bool:
        """Whether the most frequent score is on the side of the label: votes are not tied, and not indeterminate."""
        return self.mode > PROBABLE if self.malignant else self.mode < PROBABLE

    @property
    def volume_ml(self) -> float:
        """Volume of the mask."""
        return float(self.region.voxels * np.prod(self.volume.spacing) / 1000)

    @property
    def cut(self) -> bool:
        """Whether the mask touches the first or last slice of the crop, so that nothing beyond it is known."""
        return self.region.start[0] == 0 or self.region.box[0].stop == self.volume.shape[0]


def load_nodules(data: Path) -> list[Nodule]:
    """Return all nodules of a folder with nodules.csv and nodules.npz, in the order of the table."""
    with (data / "nodules.csv").open(newline="") as file, np.load(data / "nodules.npz") as arrays:
        return [
            nodule_of(row, arrays[f"img/{key}"], arrays[f"mask/{key}"])
            for row in csv.DictReader(file)
            for key in [row["nodule_key"]]
        ]


def nodule_of(row: Mapping[str, str], image: npt.NDArray[np.int16], mask: npt.NDArray[np.uint8]) -> Nodule:
    """Return the nodule of a row of the table; its arrays have the axes x, y, z, which rise in LPS."""
    spacing = [float(row[f"spacing_{axis}"]) for axis in "zyx"]
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:, 3] = [*(float(row[f"origin_{axis}_lps"]) for axis in "xyz"), 1]
    region = region_of(np.ascontiguousarray(mask.T > 0))
    if region is None:
        raise ValueError(f"every nodule needs a mask, that of {row['nodule_key']} is empty")
    return Nodule(
        key=row["nodule_key"],
        patient=row["patient_id"],
        fold=int(row["fold"]),
        malignant=row["label_malignant"] == "1",
        mode=int(row["Malignancy_value"]),
        diameter_mm=float(row["diameter_mm"]),
        readings=tuple((float(row[f"{name}_value"]) - 3) / 2 for name in READINGS),
        volume=Volume(np.ascontiguousarray(image.T, np.float32), affine, "PATIENT"),
        region=region,
    )


def split(nodules: Sequence[Nodule], fold: int) -> tuple[list[Nodule], list[Nodule]]:
    """Return the nodules to train on and those held out; ValueError when they share a patient."""
    seen = [nodule for nodule in nodules if nodule.fold != fold]
    held_out = [nodule for nodule in nodules if nodule.fold == fold]
    both = {nodule.patient for nodule in seen} & {nodule.patient for nodule in held_out}
    if both or not seen or not held_out:
        raise ValueError(f"fold {fold} must divide the patients; {len(both)} of them are on both sides")
    return seen, held_out
