"""Diameters, volume, density and side of a nodule, from its mask.

The two diameters are those that readers draw: the longest one in any axial slice, and in that slice the longest one
perpendicular to it (RECIST 1.1, Eisenhauer et al., Eur J Cancer 2009;45:228-247; Fleischner Society, Bankier et al.,
Radiology 2017;285:584-600, which averages them).

The outline of a mask in a slice runs through the middles of the pixel edges between inside and outside, as that of
PyRadiomics' largest 2D diameters does. So a row of n pixels is n pixel sizes long, and the corners of pixels add
nothing to a round object. As it is the longest of many lines, the longest diameter of a ball comes out up to 0.8 pixels
long on average; its perpendicular does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage
from scipy.spatial import ConvexHull

from imaging.lung_mask import SIDE_LABELS, LungMask, Side
from imaging.outcome import Reason, RefusedError
from imaging.region import Region

Array = npt.NDArray[np.float64]
Point = tuple[float, float, float]

NEXT_TO_LUNG_MM = 3.0
"""A nodule outside the lung mask but within this distance of a lung counts to its side: a pleural one, for instance."""
SAME_MM = 1e-6
"""Lengths that differ by less are equal: which of two equal diameters is reported must not hang on rounding."""
CORNERS = np.ones((3, 3), bool)
"""Pixels that share a corner belong to one outline."""


@dataclass(frozen=True)
class Diameter:
    """A straight line between two places of the outline, in mm LPS."""

    length_mm: float
    ends_mm: tuple[Point, Point]


@dataclass(frozen=True, kw_only=True)
class NoduleMeasurement:
    """One nodule."""

    longest: Diameter
    perpendicular: Diameter  # the longest one perpendicular to ``longest`` in its slice
    slice_index: int  # of both diameters, along ``slice_axis`` of the volume
    slice_axis: int  # axis of the array whose planes are nearest to axial
    slices: int  # that the region extends over
    volume_ml: float
    effective_mm: float  # diameter of the ball of the same volume
    mean_hu: float
    centre_mm: Point  # LPS, of all voxels
    side: Side | None  # of the lung that it lies in or touches; None without lungs or away from them
    at_border: bool  # of the volume: it may go on outside
    outside_lungs: bool = False  # it lies in neither lung nor next to one; without lungs that is not known

    @property
    def longest_mm(self) -> float:
        """Longest diameter in an axial slice."""
        return self.longest.length_mm

    @property
    def perpendicular_mm(self) -> float:
        """Longest diameter perpendicular to the longest one, in its slice."""
        return self.perpendicular.length_mm

    @property
    def average_mm(self) -> float:
        """Mean of both diameters, by which the Fleischner Society's guideline manages nodules."""
        return (self.longest_mm + self.perpendicular_mm) / 2

    @property
    def one_slice(self) -> bool:
        """Whether a single slice shows it: its extent across slices, and so its volume, are hardly known."""
        return self.slices == 1


def measure_nodule(volume: Volume, region: Region, lungs: LungMask | None = None) -> NoduleMeasurement:
    """Return the measurements of a region of a CT; RefusedError when it holds no voxel.

    volume  HU, its axes in any order and direction
    region  voxels of the nodule, inside the volume
    lungs   on the grid of the volume, to tell the side
    """
    if not region.voxels:
        raise RefusedError(
            "At least one voxel is needed to measure a nodule; its region is empty. Mark the nodule again.",
            Reason.EMPTY_RESULT,
        )
    axis = int(np.abs(volume.direction[2]).argmax())
    voxels = np.argwhere(region.mask)
    volume_ml = len(voxels) * math.prod(volume.spacing) / 1000
    slice_index, longest, perpendicular = _diameters(region, axis, volume.affine)
    side = None if lungs is None else side_of(region, lungs)
    return NoduleMeasurement(
        longest=longest,
        perpendicular=perpendicular,
        slice_index=slice_index,
        slice_axis=axis,
        slices=int(np.unique(voxels[:, axis]).size),
        volume_ml=volume_ml,
        effective_mm=(6000 * volume_ml / math.pi) ** (1 / 3),
        mean_hu=float(volume.array[region.box][region.mask].mean(dtype=np.float64)),
        centre_mm=_point(_to_mm(voxels.mean(axis=0) + region.start, volume.affine)),
        side=side,
        at_border=_at_border(voxels + region.start, volume.shape),
        outside_lungs=lungs is not None and side is None,
    )


def side_of(region: Region, lungs: LungMask) -> Side | None:
    """Return the lung that holds most of a region, or, when none holds any of it, the one it lies next to."""
    spacing = lungs.sides.spacing
    margin = [math.ceil(NEXT_TO_LUNG_MM / size) for size in spacing]
    around, mask = _with_margin(region, margin, lungs.sides.shape)
    sides = lungs.sides.array[around]
    near = ndimage.distance_transform_edt(~mask, sampling=spacing) <= NEXT_TO_LUNG_MM
    for part in (mask, near):
        counts = {side: int(np.count_nonzero(sides[part] == label)) for side, label in SIDE_LABELS.items()}
        if any(counts.values()):
            return max(counts, key=lambda side: counts[side])
    return None


def _with_margin(
    region: Region, margin: list[int], shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], npt.NDArray[np.bool_]]:
    """Return the box of a region with a margin, as far as the volume goes, and the mask in it."""
    around = tuple(
        slice(max(part.start - more, 0), min(part.stop + more, size))
        for part, more, size in zip(region.box, margin, shape, strict=True)
    )
    mask = np.zeros([part.stop - part.start for part in around], bool)
    inner = tuple(
        slice(part.start - outer.start, part.stop - outer.start) for part, outer in zip(region.box, around, strict=True)
    )
    mask[inner] = region.mask
    return around, mask


def _at_border(voxels: npt.NDArray[np.intp], shape: tuple[int, ...]) -> bool:
    return bool((voxels == 0).any() or (voxels == np.array(shape) - 1).any())


def _diameters(region: Region, axis: int, affine: Array) -> tuple[int, Diameter, Diameter]:
    """Return the slice, the longest diameter of any outline in any slice, and its perpendicular.

    Of equally long ones, that with the longest perpendicular is taken, then the one next to the middle of the region.
    """
    others = [other for other in range(3) if other != axis]
    pixel_mm = np.linalg.norm(affine[:3, others], axis=0)
    found = [
        (_length(ends), number, outline, ends)
        for number, plane in enumerate(np.moveaxis(region.mask, axis, 0))
        for outline in _outlines(plane, pixel_mm)
        for ends in _longest(outline)
    ]
    length = max(one[0] for one in found)
    pairs = [
        (number, ends, _perpendicular(outline, ends))
        for long, number, outline, ends in found
        if long > length - SAME_MM
    ]
    middle = (region.mask.shape[axis] - 1) / 2
    number, ends, across = max(pairs, key=lambda pair: (round(_length(pair[2]) / SAME_MM), -abs(pair[0] - middle)))
    place = _Placement(region.start, axis, number, others, affine)
    return region.start[axis] + number, place.diameter(ends / pixel_mm), place.diameter(across / pixel_mm)


@dataclass(frozen=True)
class _Placement:
    """A slice of a region, for places in it to be turned into mm."""

    start: tuple[int, int, int]
    axis: int
    number: int
    others: list[int]
    affine: Array

    def diameter(self, ends: Array) -> Diameter:
        """Return the line between two (row, column) places of the slice."""
        index = np.empty((2, 3))
        index[:, self.axis] = self.number
        index[:, self.others] = ends
        one, two = (_to_mm(end + self.start, self.affine) for end in index)
        return Diameter(float(np.linalg.norm(two - one)), (_point(one), _point(two)))


def _outlines(plane: npt.NDArray[np.bool_], pixel_mm: Array) -> list[Array]:
    """Return the outline of each connected part of a slice as (segment, end, row and column) in mm."""
    labels, count = ndimage.label(plane, CORNERS)
    return [_outline(labels == number) * pixel_mm for number in range(1, count + 1)]


def _outline(plane: npt.NDArray[np.bool_]) -> Array:
    """Return the segments of an outline, in pixel indices: between the middles of neighbouring edges that it crosses.

    Of four pixels around a corner, two on the diagonal are joined.
    """
    padded = np.pad(plane, 1).astype(np.uint8)
    pattern = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, 1:] + 8 * padded[1:, :-1]  # clockwise
    crossed = np.argwhere((pattern > 0) & (pattern < 15))
    segments = _SEGMENTS[pattern[tuple(crossed.T)]]
    places = (crossed - 1.0)[:, None, None] + _MIDDLES[segments]
    return np.asarray(places[segments[..., 0] >= 0])


_MIDDLES = np.array([(0, 0.5), (0.5, 1), (1, 0.5), (0.5, 0)])
"""Middle between each of four pixels around a corner and the next one clockwise: (row, column) from the first."""


def _segments() -> npt.NDArray[np.intp]:
    """Return which middles the outline joins around a corner, (pattern, segment, end); -1 where there is no segment.

    Bit n of a pattern says whether pixel n is inside.
    """
    table = np.full((16, 2, 2), -1)
    for pattern in range(1, 15):
        inside = [bool(pattern >> bit & 1) for bit in range(4)]
        crossed = [edge for edge in range(4) if inside[edge] != inside[(edge + 1) % 4]]
        if len(crossed) == 2:
            table[pattern, 0] = crossed
        else:  # cut off each of the two pixels outside, the second and fourth or the first and third
            table[pattern] = [(0, 1), (2, 3)] if inside[0] else [(3, 0), (1, 2)]
    return table


_SEGMENTS = _segments()


def _longest(outline_mm: Array) -> list[Array]:
    """Return the ends, (2, 2), of the longest line between places of an outline, and of each equally long one."""
    points = np.unique(outline_mm.reshape(-1, 2), axis=0)
    hull = points[ConvexHull(points).vertices]
    one, two = np.triu_indices(len(hull), 1)
    lengths = np.linalg.norm(hull[one] - hull[two], axis=1)
    return [hull[[one[at], two[at]]] for at in np.flatnonzero(lengths > lengths.max() - SAME_MM)]


def _perpendicular(outline_mm: Array, ends_mm: Array) -> Array:
    """Return the ends, (2, 2), of the longest line between places of an outline at a right angle to another line.

    As with the longest one, its ends lie on the outline; between them it may cross a notch. Of equally long ones, that
    nearest to the middle of the other line is taken.
    """
    along = (ends_mm[1] - ends_mm[0]) / _length(ends_mm)
    frame = np.stack([along, [-along[1], along[0]]], axis=1)
    turned = outline_mm @ frame  # (segment, end, along and across)
    places = np.unique(turned[..., 0])
    first, last = (turned[..., 0].min(axis=1), turned[..., 0].max(axis=1))
    covers = (first[:, None] <= places + SAME_MM) & (places - SAME_MM <= last[:, None])
    run = np.diff(turned[..., 0], axis=1)
    share = np.divide(
        places - turned[:, :1, 0], run, out=np.zeros((len(turned), places.size)), where=np.abs(run) > SAME_MM
    )
    across = turned[:, :1, 1] + np.clip(share, 0, 1) * np.diff(turned[..., 1], axis=1)
    low, high = np.where(covers, across, np.inf).min(axis=0), np.where(covers, across, -np.inf).max(axis=0)
    middle = float((ends_mm @ along).mean())
    equal = np.flatnonzero(high - low > (high - low).max() - SAME_MM)
    best = int(equal[np.abs(places[equal] - middle).argmin()])
    return np.asarray(np.array([(places[best], low[best]), (places[best], high[best])]) @ frame.T)


def _length(ends: Array) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _to_mm(index: Array, affine: Array) -> Array:
    return np.asarray(affine[:3, :3] @ index + affine[:3, 3])


def _point(values: Array) -> Point:
    x, y, z = (float(value) for value in values)
    return x, y, z
