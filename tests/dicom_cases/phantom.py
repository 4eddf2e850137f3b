"""The volume that every case writes: asymmetric, anisotropic, oblique, and each voxel knows its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from imaging.uids import derived_uid
from tests.phantoms import SHAPE, oblique_affine, position_code, set_attributes, voxel_centres_mm, write_series

VOLUME_STEP = 1000
"""Volume ``k`` of a case holds position codes plus ``k`` times this, so that a mixture of volumes is seen."""
BASE = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientSex": "O",
    "StudyDate": "20260101",
    "StudyTime": "101500",
    "StudyID": "7",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "Manufacturer": "Synthetic",
    "PositionReferenceIndicator": "",
    "PatientPosition": "HFS",
    "BodyPartExamined": "BRAIN",
}
MR = BASE | {"ScanOptions": "", "MRAcquisitionType": "3D", "EchoTrainLength": 1}
CT = BASE | {
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "Modality": "CT",
    "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
    "KVP": "120",
    "AcquisitionNumber": 1,
    "RescaleSlope": "1",
    "RescaleIntercept": "-1024",
    "RescaleType": "HU",
    **dict.fromkeys(
        ["ScanningSequence", "SequenceVariant", "RepetitionTime", "EchoTime", "InversionTime", "FlipAngle"]
    ),
}


@dataclass(frozen=True, eq=False)
class Grid:
    """Where voxels lie: (slice, row, column) indices to LPS mm."""

    shape: tuple[int, int, int]
    affine: np.ndarray
    blank: tuple[int, ...] = ()  # slices that hold nothing but 0

    @property
    def centres_mm(self) -> np.ndarray:
        """LPS position of each voxel, (slice, row, column, 3)."""
        return voxel_centres_mm(self.shape, self.affine)

    def codes(self, volume: int = 0) -> np.ndarray:
        """Value of each voxel of a volume, not rounded: its position code, or 0 in a blank slice."""
        codes = position_code(self.centres_mm) + volume * VOLUME_STEP
        codes[list(self.blank)] = 0
        return codes

    def pixels(self, volume: int = 0) -> np.ndarray:
        """Position codes rounded to stored values, int16."""
        return np.rint(self.codes(volume)).astype(np.int16)

    def slices(self, first: float, stop: float) -> Grid:
        """The grid of a run of slices; it may begin between two, or beyond the last."""
        affine = self.affine.copy()
        affine[:3, 3] += first * affine[:3, 0]
        return Grid((round(stop - first), *self.shape[1:]), affine)


PHANTOM = Grid(SHAPE, oblique_affine())
"""6 slices of 9 rows and 13 columns, 4.0 x 0.7 x 1.5 mm, turned about all three axes."""


def write_volume(
    folder: Path,
    grid: Grid = PHANTOM,
    *,
    volume: int = 0,
    pixels: np.ndarray | None = None,
    base: dict[str, object] = MR,
    change: Callable[[Dataset, int], None] | None = None,
    **attributes: object,
) -> list[Path]:
    """Write one file for each slice of a volume and return their paths, slice by slice.

    volume      its constant is in the values and its number in file names, Instance Numbers and UIDs
    pixels      stored values, (slice, row, column), where the rescaled ones are not the position codes
    base        attributes of the kind of image: MR or CT
    change      called with each complete header and the number of its slice
    attributes  as for tests.phantoms.write_series: keywords, None takes one away; syntax, names, name
    """
    options = {"names": [f"{volume:03d}-{number:03d}.dcm" for number in range(grid.shape[0])]} | base | attributes

    def identify(header: Dataset, number: int) -> None:
        numbered = {
            "InstanceNumber": volume * grid.shape[0] + number + 1,
            "SOPInstanceUID": derived_uid(header.SOPInstanceUID, str(volume)),
        }
        set_attributes(header, {key: value for key, value in numbered.items() if key not in attributes})
        if change:
            change(header, number)

    if pixels is None:
        pixels = stored(grid.codes(volume), options.get("RescaleSlope") or 1, options.get("RescaleIntercept") or 0)
    return write_series(folder, pixels, grid.affine, change=identify, **options)


def write_slices(folder: Path, grid: Grid, heights: Sequence[float], **options: object) -> list[Path]:
    """Write single slices of a volume at any places, counted in slices of the grid; options as for write_volume."""
    name, volume = str(options.pop("name", "phantom")), int(str(options.get("volume", 0)))
    paths = []
    for number, height in enumerate(heights):
        identity = {
            "names": [f"{volume:03d}-{number:03d}.dcm"],
            "InstanceNumber": volume * len(heights) + number + 1,
            "SOPInstanceUID": derived_uid(name, "slice", str(volume), str(number)),
        }
        paths += write_volume(folder, grid.slices(height, height + 1), name=name, **(identity | options))
    return paths


def stored(values: np.ndarray, slope: object, intercept: object, dtype: type = np.int16) -> np.ndarray:
    """Return the stored values that a slope and an intercept make these values of, rounded."""
    return np.rint((values - float(str(intercept))) / float(str(slope))).astype(dtype)


def together(*writers: Callable[[Path], object]) -> Callable[[Path], object]:
    """Write several things into one folder."""
    return lambda folder: [write(folder) for write in writers]
