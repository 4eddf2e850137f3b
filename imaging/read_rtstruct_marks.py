"""Contours of an RT Structure Set as marks on the grid of a CT."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from imaging.fill_contour import NotOnSliceError, Points, fill_contours, slice_of
from imaging.found_marks import FoundMarks, nothing
from imaging.mark import Mark, Origin
from imaging.marked_kind import Kind, chosen, kind_of
from imaging.outcome import Reason
from imaging.read_values import items, number, numbers, words
from imaging.region import Region
from imaging.to_volume import SourceImage

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
TUMOUR = "GTV"
UNTYPED = ("NONE", "CONTROL", "MARKER", "FIDUCIAL", "REGISTRATION")
"""RT ROI Interpreted Types (PS3.3 C.8.8.8.1) that say neither tumour nor organ."""


def rtstruct_marks(structures: Dataset, source: SourceImage) -> FoundMarks:
    """Return the nodules among the regions of interest of an object; one region is one mark.

    A region counts when it is a GTV, or is named or coded a nodule, lesion, mass or tumour; volumes with a margin
    (CTV, PTV, ITV) and organs never do.
    """
    rois = items(structures, "StructureSetROISequence")
    observed = {_key(one, "ReferencedROINumber"): one for one in items(structures, "RTROIObservationsSequence")}
    contours = {_key(one, "ReferencedROINumber"): one for one in items(structures, "ROIContourSequence")}
    kinds = [_kind(roi, observed.get(_key(roi, "ROINumber"), Dataset())) for roi in rois]
    wanted = chosen(kinds)
    if not wanted:
        return FoundMarks(flags=("a structure set of the study marks no nodules and was not used",))
    drawn = [contours.get(_key(rois[at], "ROINumber"), Dataset()) for at in wanted]
    found = FoundMarks.all_of(_marks(rois[at], contour, source) for at, contour in zip(wanted, drawn, strict=True))
    if Kind.NODULE in kinds:
        return found
    unsaid = "a structure set of the study does not say what it marks; its structures were taken for nodules"
    return FoundMarks(found.marks, (*found.flags, *([unsaid] if found.marks else [])))


def _key(item: Dataset, keyword: str) -> float | None:
    return number(item, keyword)


def _kind(roi: Dataset, observation: Dataset) -> Kind:
    names = (*words(roi, "ROIName"), *words(observation, "ROIObservationLabel"))
    coded = items(observation, "RTROIIdentificationCodeSequence")
    types = words(observation, "RTROIInterpretedType")
    if TUMOUR in types:
        return Kind.NODULE
    if types and types[0] not in UNTYPED:
        return Kind.OTHER
    return kind_of(coded, names)


def _marks(roi: Dataset, drawn: Dataset, source: SourceImage) -> FoundMarks:
    space = str(roi.get("ReferencedFrameOfReferenceUID") or "")
    if space and space != source.volume.frame_of_reference_uid:
        return nothing(Reason.OTHER_FRAME, "a structure of the study lies in another frame of reference; not used")
    closed = [_points(item, source) for item in items(drawn, "ContourSequence") if _is_closed(item)]
    outlines = [points for points in closed if len(points) > 2]
    if not outlines:
        return _points_alone(drawn, source)
    try:
        region = fill_contours(outlines, source.volume.shape)
        contoured = {slice_of(outline) for outline in outlines}
    except NotOnSliceError:
        return nothing(
            Reason.OTHER_FRAME, "contours of the study lie between the slices of this CT, or across them; not used"
        )
    if region is None:  # smaller than a voxel, or not there
        return _points_in([np.asarray(np.concatenate(outlines).mean(axis=0))], source)
    return FoundMarks((_mark(region, source),), _flags(contoured, outlines, source))


def _flags(contoured: set[int], outlines: list[Points], source: SourceImage) -> tuple[str, ...]:
    points = np.concatenate(outlines)
    inside = (points > -1).all() and (points < np.array(source.volume.shape)).all()
    gaps = max(contoured) - min(contoured) + 1 - len(contoured)
    return (
        *(() if inside else ("a mark of the study lies partly outside this CT and was cut off there",)),
        *(("a structure of the study has no contour on slices in between; it is empty there",) if gaps else ()),
    )


def _is_closed(contour: Dataset) -> bool:
    return bool(set(words(contour, "ContourGeometricType")) & set(CLOSED))


def _points(contour: Dataset, source: SourceImage) -> Points:
    """Return the points of a contour as indices of the volume, (point, 3)."""
    values = np.array(numbers(contour, "ContourData"))
    return np.asarray(source.volume.map_reference_to_indices(values[: values.size // 3 * 3].reshape(-1, 3)), float)


def _points_alone(drawn: Dataset, source: SourceImage) -> FoundMarks:
    """Return a mark for each single point; a structure without anything is empty."""
    points = [
        _points(item, source)
        for item in items(drawn, "ContourSequence")
        if words(item, "ContourGeometricType") == ("POINT",)
    ]
    found = [point[0] for point in points if len(point)]
    if not found:
        return FoundMarks(flags=("a structure of the study that marks a nodule has no closed contour",))
    return _points_in(found, source)


def _points_in(points: list[Points], source: SourceImage) -> FoundMarks:
    """Return a mark without an outline for each point that lies in the CT."""
    last = np.array(source.volume.shape) - 0.5
    inside = [point for point in points if (point >= -0.5).all() and (point <= last).all()]
    if not inside:
        return nothing(Reason.OUTSIDE, "a structure of the study that marks a nodule lies outside this CT; not used")
    return FoundMarks(tuple(Mark(centre_mm=_to_mm(point, source), origin=Origin.RTSTRUCT) for point in inside))


def _mark(region: Region, source: SourceImage) -> Mark:
    centre = np.argwhere(region.mask).mean(axis=0) + region.start
    return Mark(centre_mm=_to_mm(centre, source), origin=Origin.RTSTRUCT, region=region)


def _to_mm(index: Points, source: SourceImage) -> tuple[float, float, float]:
    x, y, z = source.volume.map_indices_to_reference(index[None])[0]
    return float(x), float(y), float(z)
