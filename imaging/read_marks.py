"""Nodules that objects of the study already mark in its CT: DICOM SEG, RT Structure Set, structured report."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    ExtensibleSRStorage,
    RTStructureSetStorage,
    SegmentationStorage,
)

from imaging.distinct_regions import distinct_regions
from imaging.forgive_values import FAULTS
from imaging.found_marks import FoundMarks
from imaging.mark import Mark
from imaging.outcome import Reason, RefusedError
from imaging.parse_header import DAMAGE
from imaging.read_rtstruct_marks import rtstruct_marks
from imaging.read_seg_marks import seg_marks
from imaging.read_sr_marks import sr_marks
from imaging.study import Study
from imaging.to_volume import SourceImage

LABELMAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
SEGMENTATIONS = (SegmentationStorage, LABELMAP_STORAGE)
REPORTS = (EnhancedSRStorage, ComprehensiveSRStorage, Comprehensive3DSRStorage, ExtensibleSRStorage)
MARKING = (*SEGMENTATIONS, RTStructureSetStorage, *REPORTS)
"""SOP classes whose objects may mark nodules, those first whose marks say most."""
LARGEST_BYTES = 1 << 30
MOST_OBJECTS = 1000
SAME_PLACE_MM = 2.0
"""Marks without an outline that are nearer are one nodule."""
UNREADABLE = "an object of the study that may mark nodules cannot be read and was not used"
NOT_READ = (*FAULTS, *DAMAGE, RuntimeError, MemoryError)
NAMES = {Reason.OTHER_FRAME: "lie on another frame of reference, grid or series", Reason.OUTSIDE: "lie outside it"}


def find_marks(study: Study, source: SourceImage) -> FoundMarks:
    """Return the nodules that the objects of a study mark in a CT; often none at all.

    Raises RefusedError when nodules are marked and none of the marks can be used: another search would pass them over.
    """
    return marks_in(study.others, source)


def marks_in(paths: Iterable[Path], source: SourceImage) -> FoundMarks:
    """Return the nodules that some DICOM objects mark in a CT; raises as ``find_marks``."""
    objects = _objects(paths)
    read = frozenset(str(header.get("SOPInstanceUID") or "") for _, header in objects if _is_segmentation(header))
    parts = [_marks_of(path, header, source, read) for path, header in objects[:MOST_OBJECTS]]
    if len(objects) > MOST_OBJECTS:
        parts.append(
            FoundMarks(flags=(f"only {MOST_OBJECTS} of {len(objects)} objects that may mark nodules were read",))
        )
    found = FoundMarks.all_of(parts)
    if found.unusable and not found.marks:
        raise _refusal(found.unusable)
    marks = distinct_marks(found.marks, source)
    repeated = len(found.marks) - len(marks)
    flags = (f"{repeated} marks of the study repeat another one and count once",) if repeated else ()
    return FoundMarks(marks, (*found.flags, *flags), found.unusable)


def distinct_marks(marks: Sequence[Mark], source: SourceImage) -> tuple[Mark, ...]:
    """Return the marks without those that mark a nodule again: outlines that share voxels, points on one another."""
    outlined = [mark for mark in marks if mark.region is not None]
    kept_regions = distinct_regions([mark.region for mark in outlined if mark.region is not None])
    kept = [mark for mark, region in zip(outlined, kept_regions, strict=True) if region is not None]
    for mark in marks:
        if mark.region is None and not any(_is_same(mark, other, source) for other in kept):
            kept.append(mark)
    return tuple(kept)


def _is_same(point: Mark, other: Mark, source: SourceImage) -> bool:
    """Return whether a mark without an outline lies on another one."""
    if other.region is None:
        return float(np.linalg.norm(np.subtract(point.centre_mm, other.centre_mm))) < SAME_PLACE_MM
    index = source.volume.map_reference_to_indices(np.array([point.centre_mm]))[0]
    within = np.rint(index).astype(int) - other.region.start
    if (within < 0).any() or (within >= other.region.mask.shape).any():
        return False
    return bool(other.region.mask[tuple(within)])


def _objects(paths: Iterable[Path]) -> list[tuple[Path, Dataset]]:
    """Return path and short header of the objects that may mark nodules; a copy of one counts once."""
    found: dict[str, tuple[int, Path, Dataset]] = {}
    for path in paths:
        header = _read(path, short=True)
        kind = "" if header is None else str(header.get("SOPClassUID") or "")
        if header is not None and kind in MARKING:
            found.setdefault(str(header.get("SOPInstanceUID") or path), (MARKING.index(kind), path, header))
    return [(path, header) for _, path, header in sorted(found.values(), key=lambda one: (one[0], str(one[1])))]


def _is_segmentation(header: Dataset) -> bool:
    return header.SOPClassUID in SEGMENTATIONS


def _marks_of(path: Path, header: Dataset, source: SourceImage, segmentations: frozenset[str]) -> FoundMarks:
    """Return what one object marks; that of a damaged one is not known."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            return FoundMarks(flags=("a segmentation of the study is too large to be read and was not used",))
        whole = _read(path)
        if whole is None:
            return FoundMarks(flags=(UNREADABLE,))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # their texts quote attribute values
            return _read_as(str(header.SOPClassUID), whole, source, segmentations)
    except NOT_READ:
        return FoundMarks(flags=(UNREADABLE,))


def _read_as(kind: str, whole: Dataset, source: SourceImage, segmentations: frozenset[str]) -> FoundMarks:
    if kind == RTStructureSetStorage:
        return rtstruct_marks(whole, source)
    if kind in REPORTS:
        return sr_marks(whole, source, segmentations)
    return seg_marks(whole, source)


def _read(path: Path, *, short: bool = False) -> Dataset | None:
    """Return an object, or only what identifies it; None when it cannot be read."""
    tags = ["SOPClassUID", "SOPInstanceUID"] if short else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pydicom.dcmread(path, force=True, stop_before_pixels=short, specific_tags=tags)
    except NOT_READ:
        return None


def _refusal(unusable: Sequence[Reason]) -> RefusedError:
    reason = max(set(unusable), key=unusable.count)
    return RefusedError(
        f"Marks of nodules within the CT are needed; the study holds {len(unusable)} that cannot be used, as they "
        f"{NAMES[reason]}. Send the objects that were made on this CT, take them out of the folder to have nodules "
        "searched for, or give points on the command line.",
        reason,
    )
