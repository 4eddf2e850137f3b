"""Measurement groups of a structured report (TID 1500 of PS3.16) as marks in a CT: outlines, lines and points.

Of each group what says most is taken: closed outlines on slices, then ellipsoids, ellipses and circles, then lines
(a diameter each), then points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from imaging.fill_contour import NotOnSliceError, Points, fill_contours
from imaging.found_marks import FoundMarks, nothing
from imaging.mark import Mark, Origin
from imaging.marked_kind import Kind, chosen, codes_in, kind_of
from imaging.outcome import Reason
from imaging.read_values import items, number, numbers, words
from imaging.to_volume import SourceImage

DEEPEST = 30
"""Levels of nested content items that are looked at."""
FINDINGS = (codes.DCM.Finding, codes.SCT.Finding)
DIAMETERS = (codes.SCT.LongAxis, codes.SCT.Diameter, codes.SCT.Length)
CLOSED_MM = 0.01
"""A polyline whose ends are nearer is an outline."""
MOST_POINTS = 1000
"""Of an outline, that are compared with one another."""
ROUND = ("ELLIPSOID", "ELLIPSE", "CIRCLE")


@dataclass(frozen=True)
class Shape:
    """Coordinates of one content item."""

    kind: str  # Graphic Type
    points_mm: Points  # (point, 3) LPS

    @property
    def is_outline(self) -> bool:
        """Whether it encloses an area of any form."""
        first, last = self.points_mm[0], self.points_mm[-1]
        closed = self.kind == "POLYGON" or float(np.linalg.norm(first - last)) < CLOSED_MM
        return self.kind in ("POLYGON", "POLYLINE") and closed and len(self.points_mm) > 3

    @property
    def is_line(self) -> bool:
        """Whether it has two ends."""
        return self.kind in ("POLYLINE", "MULTIPOINT") and len(self.points_mm) == 2

    @property
    def centre_mm(self) -> Points:
        """Middle of what it encloses, or of its points."""
        return self.points_mm[0] if self.kind == "CIRCLE" else np.asarray(self.points_mm.mean(axis=0))

    @property
    def longest_mm(self) -> float | None:
        """Longest distance of two of its points, the diameter of a circle; None of a point."""
        if len(self.points_mm) < 2:
            return None
        points = self.points_mm[:: 1 + len(self.points_mm) // MOST_POINTS]
        apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
        return float(apart.max()) * (2 if self.kind == "CIRCLE" else 1)


class OtherImageError(ValueError):
    """Coordinates refer to another frame of reference, or to an image that is no slice of the CT."""


def sr_marks(report: Dataset, source: SourceImage, segmentations: frozenset[str] = frozenset()) -> FoundMarks:
    """Return the nodules among the measurement groups of a report.

    segmentations  SOP Instance UIDs that are read as segmentations: a group on one of their segments is no second mark
    """
    groups = [
        group for group in _groups(report, 0) if not _is_on_segment(group, segmentations) and _has_place(group, 0)
    ]
    kinds = [_kind(group) for group in groups]
    wanted = chosen(kinds)
    if groups and not wanted:
        return FoundMarks(flags=("a structured report of the study marks no nodules and was not used",))
    found = FoundMarks.all_of(_marks(groups[at], source) for at in wanted)
    if Kind.NODULE in kinds:
        return found
    unsaid = "a structured report of the study does not say what it marks; its places were taken for nodules"
    return FoundMarks(found.marks, (*found.flags, *([unsaid] if found.marks else [])))


def _groups(node: Dataset, depth: int) -> Iterator[Dataset]:
    """Yield the containers called Measurement Group, at any depth."""
    for child in items(node, "ContentSequence") if depth < DEEPEST else ():
        if codes.DCM.MeasurementGroup in codes_in(child, "ConceptNameCodeSequence"):
            yield child
        else:
            yield from _groups(child, depth + 1)


def _kind(group: Dataset) -> Kind:
    found: list[Dataset] = []
    for child in items(group, "ContentSequence"):
        if any(name in FINDINGS for name in codes_in(child, "ConceptNameCodeSequence")):
            found += items(child, "ConceptCodeSequence")
    return kind_of(found)


def _has_place(node: Dataset, depth: int) -> bool:
    """Return whether there are coordinates below a node."""
    return depth < DEEPEST and any(
        words(child, "ValueType") in (("SCOORD",), ("SCOORD3D",)) or _has_place(child, depth + 1)
        for child in items(node, "ContentSequence")
    )


def _is_on_segment(group: Dataset, segmentations: frozenset[str]) -> bool:
    return any(
        str(reference.get("ReferencedSOPInstanceUID") or "") in segmentations
        for child in items(group, "ContentSequence")
        for reference in items(child, "ReferencedSOPSequence")
    )


def _marks(group: Dataset, source: SourceImage) -> FoundMarks:
    try:
        shapes = list(_shapes(group, source, 0))
    except OtherImageError:
        return nothing(
            Reason.OTHER_FRAME,
            "a structured report of the study marks a nodule in another series or frame of reference; not used",
        )
    if not shapes:
        return FoundMarks(flags=("a structured report of the study marks a nodule without usable coordinates",))
    mark = _mark(shapes, group, source)
    index = source.volume.map_reference_to_indices(np.array([mark.centre_mm]))[0]
    if ((index < -0.5) | (index > np.array(source.volume.shape) - 0.5)).any():
        return nothing(Reason.OUTSIDE, "a structured report of the study marks a nodule outside this CT; not used")
    return FoundMarks((mark,))


def _mark(shapes: Sequence[Shape], group: Dataset, source: SourceImage) -> Mark:
    uid = next((str(child.get("UID") or "") for child in items(group, "ContentSequence") if _is_tracking(child)), None)
    outlined = _outlined([shape for shape in shapes if shape.is_outline], uid, source)
    if outlined is not None:
        return outlined
    rounds = [shape for shape in shapes if shape.kind in ROUND]
    lines = [shape for shape in shapes if shape.is_line]
    several = [shape for shape in shapes if shape.longest_mm]
    best = max(rounds or lines or several or shapes, key=lambda shape: shape.longest_mm or 0.0)
    diameter_mm = best.longest_mm or _stated_mm(group)
    return Mark(centre_mm=_point(best.centre_mm), origin=Origin.SR, diameter_mm=diameter_mm, tracking_uid=uid or None)


def _outlined(outlines: Sequence[Shape], uid: str | None, source: SourceImage) -> Mark | None:
    """Return the mark of outlines that lie on slices and in the volume, None when there are none."""
    if not outlines:
        return None
    volume = source.volume
    contours = [np.asarray(volume.map_reference_to_indices(shape.points_mm), float) for shape in outlines]
    try:
        region = fill_contours(contours, volume.shape)
    except NotOnSliceError:
        return None
    if region is None:
        return None
    centre = np.argwhere(region.mask).mean(axis=0) + region.start
    return Mark(
        centre_mm=_point(volume.map_indices_to_reference(centre[None])[0]),
        origin=Origin.SR,
        region=region,
        tracking_uid=uid or None,
    )


def _is_tracking(child: Dataset) -> bool:
    return codes.DCM.TrackingUniqueIdentifier in codes_in(child, "ConceptNameCodeSequence")


def _stated_mm(group: Dataset) -> float | None:
    """Return the longest diameter among the numbers of a group, None when there is none."""
    found = [
        value
        for child in items(group, "ContentSequence")
        if any(name in DIAMETERS for name in codes_in(child, "ConceptNameCodeSequence"))
        for measured in items(child, "MeasuredValueSequence")
        if (value := number(measured, "NumericValue")) and _unit(measured) == "mm"
    ]
    return max(found, default=None)


def _unit(measured: Dataset) -> str:
    return next((code.value.lower() for code in codes_in(measured, "MeasurementUnitsCodeSequence")), "")


def _shapes(node: Dataset, source: SourceImage, depth: int) -> Iterator[Shape]:
    """Yield the coordinates below a node, in mm; OtherImageError when they are those of another image."""
    for child in items(node, "ContentSequence") if depth < DEEPEST else ():
        types = words(child, "ValueType")
        if types == ("SCOORD3D",):
            yield from _in_space(child, source)
        elif types == ("SCOORD",):
            yield from _on_image(child, source)
        else:
            yield from _shapes(child, source, depth + 1)


def _in_space(child: Dataset, source: SourceImage) -> Iterator[Shape]:
    if str(child.get("ReferencedFrameOfReferenceUID") or "") != source.volume.frame_of_reference_uid:
        raise OtherImageError("the coordinates lie in another frame of reference")
    values = np.array(numbers(child, "GraphicData"))
    if values.size >= 3:
        yield Shape(_graphic_type(child), values[: values.size // 3 * 3].reshape(-1, 3))


def _on_image(child: Dataset, source: SourceImage) -> Iterator[Shape]:
    """Yield the coordinates on a slice: (column, row), the corner of the first pixel is 0, 0 (PS3.3 C.18.6.1.2)."""
    values = np.array(numbers(child, "GraphicData"))
    if values.size < 2:
        return
    columns, rows = values[: values.size // 2 * 2].reshape(-1, 2).T - 0.5
    index = np.stack([np.full(rows.shape, _slice_of(child, source)), rows, columns], axis=1)
    yield Shape(_graphic_type(child), np.asarray(source.volume.map_indices_to_reference(index), float))


def _slice_of(child: Dataset, source: SourceImage) -> int:
    """Return the slice that 2D coordinates were selected from; OtherImageError when it is none of the CT."""
    for image in items(child, "ContentSequence"):
        for reference in items(image, "ReferencedSOPSequence"):
            uid = str(reference.get("ReferencedSOPInstanceUID") or "")
            frame_number = int(number(reference, "ReferencedFrameNumber") or 1)
            for plane in () if source.resampled else source.planes:
                if plane.frame.instance.uid == uid and (
                    not plane.frame.of_many or plane.frame.number + 1 == frame_number
                ):
                    return plane.slice
    raise OtherImageError("the coordinates lie on another image")


def _graphic_type(child: Dataset) -> str:
    return " ".join(words(child, "GraphicType"))


def _point(values: Points) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z
