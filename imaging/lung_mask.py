"""The lungs in a chest CT: air inside the body, without the airways, in two sides, with what lies in them.

All work is done on a grid of about 2 mm. Air that a slice does not close in from all sides is outside, so an open mouth
does not matter, and neither do arms and table: what no soft tissue surrounds is no lung. Gas is told from lung by its
density. Each lung is closed with a ball, so that nodules at the pleura and vessels at the hilum lie inside, and holes
are filled (as in Armato and Sensakovic, Acad Radiol 2004;11:1011-1021).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

from imaging.keep_largest import bounding_box
from imaging.outcome import Reason, RefusedError
from imaging.plausibility import Check, Flag

Mask = npt.NDArray[np.bool_]
Hu = npt.NDArray[np.float32]

GRID_MM = 2.0
LUNG_BELOW_HU = -400.0
"""Lung, the airways and gas are below; so are voxels of the grid that are more lung than vessel or wall."""
OUTSIDE_BELOW_HU = -930.0
"""Air around the body is below, most lung above: a lung that the field of view cuts is not flooded from its border."""
RIND_MM = 4.0
"""Width of the rim of the skin that is as dense as lung."""
GAS_BELOW_HU = -965.0
"""Median of gas in stomach, bowel, pleura or between arm and trunk; that of a lung with emphysema is higher."""
AIRWAY_BELOW_HU = -880.0
AIRWAY_MM2 = (60.0, 900.0)
"""Area of the trachea, or of both main bronchi, in a slice."""
AIRWAY_LENGTH_MM = 30.0
AIRWAY_WALL_MM = 3.0
SMALLEST_PART_ML = 80.0
"""Of a lung: parts of it that fluid or a tumour cuts off count from here on."""
TISSUE_ABOVE_HU = -250.0
WALLED_IN = 0.5
"""Part of the surroundings of a lung that is soft tissue at the least."""
WALL_MM = (4.0, 8.0)
"""Distance of those surroundings: the wall of a table is thinner, air or the bore lies behind it."""
IN_THE_OPEN = 0.15
"""Part of what lies next to a lung that may be air around the body: where the field of view cuts it."""
CLOSE_MM = 12.0
"""Radius of the ball that a lung is closed with."""
SMALLER_LUNG = 0.12
"""Least part of both lungs that one of them has, when one piece of air is to be cut into two."""
SMALLEST_ML = 500.0
PART_ONLY_ML = 2000.0
CUT_ABOVE = 0.6
"""Below that volume, a first slice with this part of the largest area means that only the bases were scanned."""
VOLUME = Check(
    code="lungs-volume",
    brief="lung volume no adult has",
    basis="both lungs of adults from full expiration of small ones to full inspiration of large ones",
    low=1000.0,
    high=9000.0,
    unit="mL",
)
MISSING = Check(code="lung-missing", brief="a lung is missing", basis="a chest shows two")
SMALL = Check(
    code="lung-small", brief="a small lung", basis="one lung of an adult in full expiration", low=300.0, unit="mL"
)
BORDER = Check(
    code="lungs-at-border",
    brief="lungs cut by the field of view",
    basis="area of the lungs in an outermost plane",
    high=300.0,
    unit="mm2",
)
CHECKS = (VOLUME, MISSING, SMALL, BORDER)
TO_HEAD_BACK_LEFT = "HPL"


class Side(StrEnum):
    """A side of the patient, as results say it."""

    RIGHT = "right"
    LEFT = "left"


SIDE_LABELS = {Side.RIGHT: 1, Side.LEFT: 2}
"""Values of ``LungMask.sides``."""


@dataclass(frozen=True)
class LungMask:
    """Both lungs on the grid of the CT, with the nodules and vessels that lie in them."""

    sides: Volume  # uint8: 0 outside, 1 right, 2 left
    right_ml: float
    left_ml: float
    flags: tuple[Flag, ...] = ()  # empty when nothing is suspicious

    @cached_property
    def mask(self) -> Volume:
        """Both lungs as one bool mask."""
        return self.sides.with_array(self.sides.array > 0)


@dataclass(frozen=True)
class _Grid:
    """The CT on the coarse grid: slices rise to the head, rows to the back, columns to the left."""

    hu: Hu
    spacing_mm: tuple[float, float, float]

    @property
    def voxel_ml(self) -> float:
        return math.prod(self.spacing_mm) / 1000

    @property
    def pixel_mm2(self) -> float:
        return self.spacing_mm[1] * self.spacing_mm[2]


def lung_mask(volume: Volume) -> LungMask:
    """Return the lungs of a CT; RefusedError with Reason.EMPTY_RESULT when it shows none, or only their bases.

    volume  HU, its axes in any order and direction

    The volumes are those of the masks, so vessels and nodules inside count; trachea and main bronchi do not.
    """
    turned = volume.to_patient_orientation(TO_HEAD_BACK_LEFT)
    factors = [max(1, round(GRID_MM / size)) for size in turned.spacing]
    z, y, x = (size * factor for size, factor in zip(turned.spacing, factors, strict=True))
    grid = _Grid(_shrunk(turned.array, factors), (z, y, x))
    sides = _lungs(grid)
    right_ml, left_ml = (
        float(np.count_nonzero(sides == SIDE_LABELS[side])) * grid.voxel_ml for side in (Side.RIGHT, Side.LEFT)
    )
    fine = turned.with_array(_grown(sides, factors, turned.shape))
    back = fine.match_geometry(volume) if fine.shape != volume.shape or not _same_axes(fine, volume) else fine
    return LungMask(back, right_ml, left_ml, tuple(_flags(grid, sides, right_ml, left_ml)))


def _same_axes(one: Volume, other: Volume) -> bool:
    return bool(np.allclose(one.affine, other.affine, atol=1e-6))


def _shrunk(array: Hu, factors: list[int]) -> Hu:
    """Return means over blocks of so many voxels, at the end of an axis over what is left."""
    result = array
    for axis, factor in sorted(enumerate(factors), key=lambda one: -one[1]):
        if factor > 1:
            starts = np.arange(0, array.shape[axis], factor)
            counts = np.diff([*starts, array.shape[axis]]).astype(np.float32)
            shape = [-1 if other == axis else 1 for other in range(3)]
            sums = np.add.reduceat(result, starts, axis=axis, dtype=np.float32)
            result = np.asarray(sums / counts.reshape(shape), np.float32)
    return result


def _grown(array: npt.NDArray[np.uint8], factors: list[int], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return an array on the voxels that its blocks were made of."""
    for axis, (factor, size) in enumerate(zip(factors, shape, strict=True)):
        array = np.repeat(array, factor, axis=axis).take(range(size), axis=axis)
    return array


def _lungs(grid: _Grid) -> npt.NDArray[np.uint8]:
    """Return the sides on the coarse grid."""
    outside = _outside(grid)
    air = (grid.hu < LUNG_BELOW_HU) & ~outside
    air &= ~_airways(grid, air)
    parts = list(_parts(grid, air, outside))
    total_ml = sum(np.count_nonzero(part) for part in parts) * grid.voxel_ml
    if total_ml < SMALLEST_ML:
        raise RefusedError(
            f"A chest CT with lungs is needed; {total_ml:.0f} mL of lung were found, at least {SMALLEST_ML:.0f} mL are "
            "expected. Check that the series shows the chest.",
            Reason.EMPTY_RESULT,
        )
    _refuse_bases(grid, parts, total_ml)
    sides = np.zeros(grid.hu.shape, np.uint8)
    for side, mask in _by_side(grid, parts):
        box = _wider(mask, [math.ceil(CLOSE_MM / size) + 1 for size in grid.spacing_mm])
        closed = _closed(mask[box], grid.spacing_mm)
        part = sides[box]
        part[closed & (part == 0)] = SIDE_LABELS[side]
        sides[mask] = SIDE_LABELS[side]
    return sides


def _in_planes(mask: Mask, axis: int = 0) -> tuple[npt.NDArray[np.int32], int]:
    """Return the labels of the parts of each plane across an axis, and how many there are in all."""
    labels, count = ndimage.label(mask, _cross(without=axis))
    return labels, int(count)


def _cross(*, without: int) -> Mask:
    """Return a structure that joins neighbours along the other two axes."""
    structure = np.asarray(ndimage.generate_binary_structure(3, 1))
    np.moveaxis(structure, without, 0)[[0, 2]] = False
    return structure


def _outside(grid: _Grid) -> Mask:
    """Return the air around the body with the rim of the skin."""
    labels, count = _in_planes(grid.hu < OUTSIDE_BELOW_HU)
    touching = np.zeros(count + 1, bool)
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        touching[edge] = True
    touching[0] = False
    outside = touching[labels]
    for _ in range(max(1, round(RIND_MM / grid.spacing_mm[1]))):
        outside = ndimage.binary_dilation(outside, _cross(without=0), mask=grid.hu < LUNG_BELOW_HU)
    return np.asarray(outside)


def _airways(grid: _Grid, air: Mask) -> Mask:
    """Return the trachea and what goes on from it below, with walls, as far as slices show it apart from the lungs."""
    labels, count = _in_planes(air & (grid.hu < AIRWAY_BELOW_HU))
    low, high = (area / grid.pixel_mm2 for area in AIRWAY_MM2)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    fits = (sizes >= low) & (sizes <= high)
    fits[0] = False
    tubes, number = ndimage.label(fits[labels])
    boxes = ndimage.find_objects(tubes, number)
    lengths = [(box[0].stop - box[0].start) * grid.spacing_mm[0] for box in boxes]
    body = grid.hu > LUNG_BELOW_HU
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    if not columns.size:
        return np.zeros_like(air)
    third = np.ptp(columns) / 3
    found = np.zeros_like(air)
    for at, (box, length) in enumerate(zip(boxes, lengths, strict=True), start=1):
        middle = (box[2].start + box[2].stop) / 2 - columns[0]
        if length >= AIRWAY_LENGTH_MM and third < middle < 2 * third:
            found[box] |= tubes[box] == at
    for _ in range(max(1, round(AIRWAY_WALL_MM / grid.spacing_mm[1]))):
        found = ndimage.binary_dilation(found, _cross(without=0))
    return np.asarray(found)


def _parts(grid: _Grid, air: Mask, outside: Mask) -> Iterator[Mask]:
    """Yield the connected parts of the lungs."""
    labels, count = ndimage.label(air)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * grid.voxel_ml
    for number in np.flatnonzero(sizes >= SMALLEST_PART_ML):
        part = labels == number
        if number and np.median(grid.hu[part]) > GAS_BELOW_HU and _walled_in(grid, part, outside):
            yield part


def _walled_in(grid: _Grid, part: Mask, outside: Mask) -> bool:
    """Return whether soft tissue surrounds a part, and not air: clothes have the density of lung."""
    box = _wider(part, [math.ceil(WALL_MM[1] / size) + 1 for size in grid.spacing_mm])
    away = ndimage.distance_transform_edt(~part[box], sampling=grid.spacing_mm)
    wall = (away > WALL_MM[0]) & (away <= WALL_MM[1])
    next_to = (away > 0) & (away <= WALL_MM[0])
    if not wall.any() or np.mean(outside[box][next_to]) > IN_THE_OPEN:
        return False
    return bool(np.mean(grid.hu[box][wall] > TISSUE_ABOVE_HU) >= WALLED_IN)


def _refuse_bases(grid: _Grid, parts: list[Mask], total_ml: float) -> None:
    """Refuse an abdominal CT that shows the bases of the lungs alone."""
    areas = sum(part.sum(axis=(1, 2)) for part in parts)
    if total_ml < PART_ONLY_ML and areas[-1] >= CUT_ABOVE * areas.max():
        raise RefusedError(
            f"A chest CT with whole lungs is needed; the series shows {total_ml:.0f} mL of lung, cut by its upper end "
            "where they are widest. Send a series that covers the chest.",
            Reason.EMPTY_RESULT,
        )


def _by_side(grid: _Grid, parts: list[Mask]) -> Iterator[tuple[Side, Mask]]:
    """Yield the right and the left lung, or the one that there is."""
    pieces = []
    for part in parts:
        pieces += _cut_in_two(grid, part)
    middle = _middle_column(grid, np.any(parts, axis=0))
    masks = {side: np.zeros(grid.hu.shape, bool) for side in Side}
    for piece, column in _columns(pieces, middle):
        masks[Side.RIGHT if column < middle else Side.LEFT] |= piece
    for side, mask in masks.items():
        if mask.any():
            yield side, mask


def _columns(pieces: list[Mask], middle: float) -> Iterator[tuple[Mask, float]]:
    """Yield each piece with its mean column; of the two largest, the middle of the body must lie between."""
    ordered = sorted(pieces, key=np.count_nonzero, reverse=True)
    columns = [float(np.nonzero(piece)[2].mean()) for piece in ordered]
    if len(ordered) > 1 and np.count_nonzero(ordered[1]) > SMALLER_LUNG * np.count_nonzero(ordered[0]):
        first, second = columns[:2]
        if (first < middle) == (second < middle) and abs(first - second) * 4 > middle / 2:
            columns[:2] = (middle - 1, middle + 1) if first < second else (middle + 1, middle - 1)
    yield from zip(ordered, columns, strict=True)


def _middle_column(grid: _Grid, lungs: Mask) -> float:
    """Return the middle of the body in the slices that show lung: the mean column of tissue and lung."""
    slices = np.flatnonzero(lungs.any(axis=(1, 2)))
    around = slice(int(slices[0]), int(slices[-1]) + 1)
    counts = ((grid.hu[around] > TISSUE_ABOVE_HU) | lungs[around]).sum(axis=(0, 1))
    return float(np.average(np.arange(counts.size), weights=counts))


def _cut_in_two(grid: _Grid, part: Mask) -> list[Mask]:
    """Return both lungs of a part in which they touch, or the part itself when it is one lung.

    It is eroded until it falls into two sides; each voxel goes to the nearer one.
    """
    box = _wider(part, [1, 1, 1])
    inside = part[box]
    depth = ndimage.distance_transform_edt(inside, sampling=grid.spacing_mm)
    for reach_mm in (2.1, 4.1, 6.1, 8.1, 10.1, 13.1, 16.1):
        labels, count = ndimage.label(depth > reach_mm)
        sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
        if count < 2:
            continue
        one, two = np.argsort(sizes)[::-1][:2] + 1
        if sizes[two - 1] < SMALLER_LUNG * sizes.sum() or not _side_by_side(labels == one, labels == two):
            continue
        seeds = np.where(labels == one, 1, np.where(labels == two, 2, 0))
        nearest = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
        owner = seeds[tuple(nearest)]
        halves = []
        for number in (1, 2):
            half = np.zeros_like(part)
            half[box] = inside & (owner == number)
            halves.append(half)
        return halves
    return [part]


def _side_by_side(one: Mask, two: Mask) -> bool:
    """Return whether two parts lie beside each other rather than above or behind each other, as lobes do."""
    apart = [abs(float(np.mean(a) - np.mean(b))) for a, b in zip(np.nonzero(one), np.nonzero(two), strict=True)]
    return apart[2] > max(apart[:2])


def _wider(mask: Mask, margins: list[int]) -> tuple[slice, slice, slice]:
    """Return the box of a mask with a margin, as far as the grid goes."""
    box = bounding_box(mask)
    assert box is not None  # noqa: S101  parts hold voxels
    k, j, i = (
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, margin, size in zip(box, margins, mask.shape, strict=True)
    )
    return k, j, i


def _closed(mask: Mask, spacing_mm: tuple[float, float, float]) -> Mask:
    """Return a mask closed with a ball, and with what two of three planes through a voxel enclose.

    A nodule is enclosed in all three, a vessel in two; the dome of the diaphragm only in axial planes.
    """
    margins = [math.ceil(CLOSE_MM / size) + 1 for size in spacing_mm]
    padded = np.pad(mask, [(margin, margin) for margin in margins], mode="edge")
    grown = ndimage.distance_transform_edt(~padded, sampling=spacing_mm) <= CLOSE_MM
    closed = ndimage.distance_transform_edt(grown, sampling=spacing_mm) > CLOSE_MM
    closed = closed[tuple(slice(margin, -margin) for margin in margins)] | mask
    planes = sum(_filled(closed, axis).astype(np.uint8) for axis in range(3))
    return np.asarray(closed | (planes >= 2))


def _filled(mask: Mask, axis: int) -> Mask:
    """Return a mask with what it encloses in planes across an axis."""
    labels, count = _in_planes(~mask, axis)
    at_border = np.zeros(count + 1, bool)
    for other in range(3):
        if other != axis:
            at_border[labels.take([0, -1], axis=other)] = True
    at_border[0] = False
    return np.asarray(~at_border[labels])


def _flags(grid: _Grid, sides: npt.NDArray[np.uint8], right_ml: float, left_ml: float) -> Iterator[Flag]:
    total = right_ml + left_ml
    if VOLUME.broken_by(total):
        limits = f"{VOLUME.low:.0f} to {VOLUME.high:.0f} mL"
        yield VOLUME.flag(f"Implausible lung volume: {total:.0f} mL, expected {limits}", total)
    for side, own_ml in ((Side.RIGHT, right_ml), (Side.LEFT, left_ml)):
        if own_ml == 0:
            yield MISSING.flag(
                f"No {side} lung was found: it may be missing, without air, or not told from the other one"
            )
        elif SMALL.broken_by(own_ml):
            yield SMALL.flag(f"The {side} lung is small: {own_ml:.0f} mL", own_ml)
    cut = {name: area_mm2 for name, area_mm2 in _border_areas(grid, sides > 0) if BORDER.broken_by(area_mm2)}
    if cut:
        text = f"The field of view cuts the lungs at its {', '.join(cut)} border: nodules may lie outside"
        yield BORDER.flag(text, max(cut.values()))


def _border_areas(grid: _Grid, mask: Mask) -> Iterator[tuple[str, float]]:
    """Yield the area of a mask in each outermost plane."""
    names = (("lower", "upper"), ("front", "back"), ("right", "left"))
    for axis, both in enumerate(names):
        face_mm2 = math.prod(grid.spacing_mm) / grid.spacing_mm[axis]
        for name, end in zip(both, (0, -1), strict=True):
            yield name, float(np.count_nonzero(mask.take(end, axis))) * face_mm2
