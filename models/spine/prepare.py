"""Scans of the shared spine set as arrays with targets, and which of them a fold may see.

Array axes are those of the network: (slice, row, column) rise to (left, foot, posterior), the order of a sagittal
DICOM series. Targets follow one definition in all collections: marrow of the vertebral bodies down to L5. S1 is
background although one collection labels it; bodies cranial to the uppermost label are neither body nor background.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
import numpy.typing as npt
from scipy import ndimage

AXES = ("R", "I", "P")
"""nibabel codes of (slice, row, column) before the slices are turned to rise to the left."""
CORE_DEPTH_MM = 4.0
"""The core of a body is what lies deeper than this below its edge in the sagittal plane."""
UNLABELLED_GAP_MM = 3.0
"""Disc and end plate above the uppermost labelled body: certain to be background."""
UNLABELLED_FRONT_MM, UNLABELLED_BACK_MM = 15.0, 20.0
"""How far the region of unlabelled bodies reaches in front of and behind the uppermost labelled body."""
KYPHOSIS = 0.35
"""The thoracic spine leans back: mm to posterior per mm to cranial, at most."""

Kind = Literal["t2w", "water_fat", "t1w_or_tirm"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of cases.csv."""

    case_id: str
    patient_group: str
    kind: Kind
    folder: Path

    @property
    def image(self) -> Path:
        """File of the image."""
        return self.folder / f"{self.case_id}_image.nii.gz"

    @property
    def label(self) -> Path:
        """File of the label map."""
        return self.folder / f"{self.case_id}_label.nii.gz"


@dataclass(frozen=True, kw_only=True)
class Scan:
    """One scan in (slice, row, column); all arrays share a shape."""

    case: Case
    spacing_mm: tuple[float, float, float]
    image: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]  # 1 is the most caudal body; S1 is gone
    core: npt.NDArray[np.bool_]
    known: npt.NDArray[np.bool_]  # False where unlabelled bodies may be


def read_cases(data: Path) -> list[Case]:
    """Return all cases of the folder that holds cases.csv."""
    table = data / "cases.csv"
    if not table.is_file():
        raise FileNotFoundError(f"{table} is needed: give the folder of the spine set with --data")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Case(
            case_id=row["case_id"],
            patient_group=row["patient_group"],
            kind=kind_of(row["sequence"]),
            folder=data / row["collection"].lower(),
        )
        for row in rows
    ]


def kind_of(sequence: str) -> Kind:
    """Return the kind of contrast of a sequence name.

    >>> kind_of("T2w TSE"), kind_of("chemical-shift water-fat (T1 FFE)"), kind_of("TIRM (exam 3)")
    ('t2w', 'water_fat', 't1w_or_tirm')
    """
    if sequence.startswith("T2"):
        return "t2w"
    if "water-fat" in sequence:
        return "water_fat"
    if sequence.startswith(("T1", "TIRM")):
        return "t1w_or_tirm"
    raise ValueError(f"the sequence must begin with T1, T2 or TIRM or be water-fat, got {sequence!r}")


def split(cases: Sequence[Case], held_out: Sequence[Sequence[str]], fold: int) -> tuple[list[Case], list[Case]]:
    """Return the cases a fold trains on and those it never sees, by patient group."""
    groups = [group for groups in held_out for group in groups]
    present = {case.patient_group for case in cases}
    if len(set(groups)) != len(groups) or not present <= set(groups):
        raise ValueError(f"every patient group must be held out exactly once, got {sorted(groups)} for {present}")
    seen = [case for case in cases if case.patient_group not in held_out[fold]]
    unseen = [case for case in cases if case.patient_group in held_out[fold]]
    return seen, unseen


def sacral_id(data: Path, case_id: str) -> int:
    """Return the label id of S1 in a case, 0 where S1 is not labelled."""
    with (data / "levels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["case_id"], row["level"]) == (case_id, "S1")]
    return int(rows[0]["label_id"]) if rows else 0


def load_scan(data: Path, case: Case) -> Scan:
    """Return a case with its targets."""
    image, spacing_mm = _load(case.image)
    labels, _ = _load(case.label)
    labels[labels == sacral_id(data, case.case_id)] = 0
    return Scan(
        case=case,
        spacing_mm=spacing_mm,
        image=image,
        labels=labels,
        core=core_of(labels, spacing_mm),
        known=known_region(labels, spacing_mm),
    )


def core_of(labels: npt.NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    """Return the inside of each body, (slice, row, column): cores of neighbours never touch."""
    core = np.zeros(labels.shape, bool)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        around = (box[0], *(slice(max(0, side.start - 1), side.stop + 1) for side in box[1:]))
        for k in range(around[0].start, around[0].stop):
            body = labels[k][around[1:]] == number
            depth_mm = ndimage.distance_transform_edt(body, spacing_mm[1:])
            core[k][around[1:]] |= body & (depth_mm > CORE_DEPTH_MM)
    return core


def known_region(labels: npt.NDArray[np.uint8], spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.bool_]:
    """Return where the labels can be trusted as background, (slice, row, column).

    False is the column of spine cranial to the uppermost labelled body: beyond a plane laid through its upper end
    plate, from a little in front of that body to a little behind it.
    """
    slices, rows, columns = np.nonzero(labels == labels.max())
    if not labels.any():
        raise ValueError("a label map without any body cannot tell where labels end")
    top = np.full(labels.shape[::2], np.iinfo(np.int64).max)
    np.minimum.at(top, (slices, columns), rows)
    k, i = np.nonzero(top < labels.shape[1])
    design = np.stack([np.ones(len(k)), k, i], 1)
    plane, *_ = np.linalg.lstsq(design, top[k, i].astype(float), rcond=None)
    all_k, all_j, all_i = np.ogrid[tuple(slice(n) for n in labels.shape)]
    above_mm = (plane[0] + plane[1] * all_k + plane[2] * all_i - all_j) * spacing_mm[1]
    front = columns.min() - UNLABELLED_FRONT_MM / spacing_mm[2]
    back = columns.max() + (UNLABELLED_BACK_MM + KYPHOSIS * above_mm) / spacing_mm[2]
    unlabelled = (above_mm > UNLABELLED_GAP_MM) & (all_i >= front) & (all_i <= back) & (labels == 0)
    return np.asarray(~unlabelled)


def counts(cases: Sequence[Case]) -> Mapping[str, int]:
    """Return how many cases there are of each kind."""
    return {kind: sum(case.kind == kind for case in cases) for kind in ("t2w", "water_fat", "t1w_or_tirm")}


def _load(path: Path) -> tuple[npt.NDArray[np.uint8], tuple[float, float, float]]:
    image: Any = nib.load(path)
    codes = nib.orientations.aff2axcodes(image.affine)  # type: ignore[no-untyped-call]
    if codes != AXES[::-1]:
        raise ValueError(f"{path.name} must have the axes {AXES[::-1]}, got {codes}")
    array = np.asarray(image.dataobj).astype(np.uint8).transpose(2, 1, 0)[::-1]
    i, j, k = (float(size) for size in image.header.get_zooms()[:3])
    return np.ascontiguousarray(array), (k, j, i)
