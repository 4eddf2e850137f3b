"""Volume, heights and centre of each vertebral body, and the space between neighbours.

Everything is measured in patient millimetres in the frame of the body itself: its axis is the tangent of the curve
through the centres of the bodies, its front is the front of the patient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

from imaging.order_bodies import OrderedBodies
from imaging.thickness import STEP_MM, Frame, frame_at, occupancy, samples

REACH_MM = 35.0
"""From the centre of a body to beyond any edge in the median plane: half of 70 mm."""
SLAB_MM = 8.0
"""Heights are means over so much to the left and right of the centre."""
CYLINDER_MM = 8.0
"""Radius of the cylinder around the line of centres in which the space between two bodies is measured."""
GRID_MM = 1.0
BANDS = ((0.1, 0.3), (0.4, 0.6), (0.7, 0.9))
"""Fractions of the depth of a body, from its front edge, over which anterior, middle and posterior heights are means:
rounded edges stay outside."""
CUT_MM2 = 40.0
"""Area of a body in the outermost plane of the image from which on it counts as cut: a voxel or two may touch."""


@dataclass(frozen=True)
class Heights:
    """Mean heights of a body in the median slab, in mm."""

    anterior_mm: float
    middle_mm: float
    posterior_mm: float


@dataclass(frozen=True, kw_only=True)
class BodyMeasurement:
    """One vertebral body."""

    number: int  # from 1, the most caudal one
    volume_ml: float
    centre_mm: tuple[float, float, float]  # LPS
    heights: Heights | None  # None where the body is cut above, below, in front or behind
    endplate_tilt_deg: float | None  # lower end plate against the axial plane, positive where its front is lower
    cut: bool  # by the upper, lower, front or back border of the image
    leaves_slab: bool  # at its left or right side
    space_above_mm: float | None  # between its upper end plate and the lower one of the next body
    distance_above_mm: float | None  # between the centres


def measure_bodies(bodies: OrderedBodies) -> tuple[BodyMeasurement, ...]:
    """Return the measurements of each body from caudal to cranial."""
    count = len(bodies.centres_mm)
    voxel_ml = math.prod(bodies.labels.spacing) / 1000
    sizes = np.bincount(bodies.labels.array.ravel(), minlength=count + 1)
    boxes = ndimage.find_objects(bodies.labels.array, count)
    masks = [_one(bodies.labels, number, box) for number, box in enumerate(boxes, start=1)]
    measured = []
    for at, mask in enumerate(masks):
        frame = frame_at(bodies.centres_mm[at], bodies.tangents[at])
        cut, leaves = _borders(mask, boxes[at], bodies.labels.shape, frame)
        profile = None if cut else _profile(mask, frame)
        distance = None if at + 1 == count else float(np.linalg.norm(np.diff(bodies.centres_mm[at : at + 2], axis=0)))
        x, y, z = (float(value) for value in bodies.centres_mm[at])
        measured.append(
            BodyMeasurement(
                number=at + 1,
                volume_ml=float(sizes[at + 1]) * voxel_ml,
                centre_mm=(x, y, z),
                heights=None if profile is None else heights_of(profile),
                endplate_tilt_deg=None if profile is None else endplate_tilt_deg(profile, frame),
                cut=cut,
                leaves_slab=leaves,
                space_above_mm=None if distance is None else space_between(masks[at : at + 2], bodies.centres_mm[at:]),
                distance_above_mm=distance,
            )
        )
    return tuple(measured)


def _profile(mask: Volume, frame: Frame) -> npt.NDArray[np.float32]:
    """Return the mask in the median slab of a body, (left, back, along), GRID_MM and STEP_MM apart."""
    return occupancy(
        mask, frame, samples(-SLAB_MM, SLAB_MM, GRID_MM), samples(-REACH_MM, REACH_MM, GRID_MM), _along(REACH_MM)
    )


def _along(reach_mm: float) -> npt.NDArray[np.float64]:
    return samples(-reach_mm, reach_mm)


def heights_of(profile: npt.NDArray[np.float32]) -> Heights | None:
    """Return the heights in the three bands; None when there is no body along the median plane."""
    columns = profile.sum(axis=2).mean(axis=0) * STEP_MM
    edges = _edges(columns)
    if edges is None:
        return None
    front, back = edges
    bands = [_mean_between(columns, *(front + share * (back - front) for share in band)) for band in BANDS]
    return Heights(*bands)


def _edges(columns: npt.NDArray[np.float32]) -> tuple[float, float] | None:
    """Return where a profile of heights rises to half of its highest and falls again, in mm from its first place."""
    if columns.max(initial=0) <= 0:
        return None
    half = columns.max() / 2
    high = np.flatnonzero(columns >= half)
    first, last = int(high[0]), int(high[-1])

    def crossing(inside: int, outside: int) -> float:
        if not 0 <= outside < len(columns):
            return float(inside)
        share = (columns[inside] - half) / max(columns[inside] - columns[outside], 1e-6)
        return float(inside + share * (outside - inside))

    return crossing(first, first - 1) * GRID_MM, crossing(last, last + 1) * GRID_MM


def _mean_between(columns: npt.NDArray[np.float32], first_mm: float, last_mm: float) -> float:
    places = np.arange(len(columns)) * GRID_MM
    return float(np.interp(samples(first_mm, last_mm), places, columns).mean())


def endplate_tilt_deg(profile: npt.NDArray[np.float32], frame: Frame) -> float | None:
    """Return the tilt of the lower end plate in the sagittal plane; None when it is not seen.

    A line is laid through the lower ends of the columns between the bands of anterior and posterior height.
    """
    columns = profile.sum(axis=2).mean(axis=0) * STEP_MM
    edges = _edges(columns)
    if edges is None:
        return None
    depth = edges[1] - edges[0]
    first, last = (edges[0] + BANDS[0][0] * depth) / GRID_MM, (edges[0] + BANDS[2][1] * depth) / GRID_MM
    core = profile[:, math.ceil(first) : math.floor(last) + 1]
    filled = core > 0.5
    low = np.where(filled.any(axis=2), filled.argmax(axis=2) * STEP_MM, np.nan)
    if low.shape[1] < 5 or np.isnan(low).all(axis=0).any():
        return None
    slope = np.polyfit(np.arange(low.shape[1]) * GRID_MM, np.nanmean(low, axis=0), 1)[0]
    to_back = frame.axes[1] + slope * frame.along
    return float(np.degrees(np.arctan2(to_back[2], to_back[1])))


def space_between(pair: Sequence[Volume], centres_mm: npt.NDArray[np.float64]) -> float:
    """Return the mean distance in mm of the facing end plates of two bodies, in a cylinder around the line of centres.

    pair        masks of the lower and the upper body
    centres_mm  (2 or more, 3) LPS of both
    """
    line = centres_mm[1] - centres_mm[0]
    length = float(np.linalg.norm(line))
    frame = frame_at(centres_mm[0], line)
    across, along = samples(-CYLINDER_MM, CYLINDER_MM, GRID_MM), samples(0.0, length)
    filled = sum(occupancy(mask, frame, across, across, along) for mask in pair)
    free = np.clip(1 - np.asarray(filled), 0, 1).sum(axis=2) * (length / len(along))
    inside = np.hypot(*np.meshgrid(across, across, indexing="ij")) <= CYLINDER_MM
    return float(free[inside].mean())


def _one(labels: Volume, number: int, box: tuple[slice, ...]) -> Volume:
    """Return the mask of one body in its box: all that follows is quicker there."""
    part = labels[box]
    return part.with_array(part.array == number)


def _borders(mask: Volume, box: Sequence[slice], shape: Sequence[int], frame: Frame) -> tuple[bool, bool]:
    """Return whether a body is cut by a border of the image, and whether by one at its left or right side.

    box    where the mask lies in the image
    shape  of the image
    """
    cut = leaves = False
    for axis, (part, size) in enumerate(zip(box, shape, strict=True)):
        face_mm2 = math.prod(mask.spacing) / mask.spacing[axis]
        ends = [
            mask.array.take(index, axis) for index, at_end in ((0, part.start == 0), (-1, part.stop == size)) if at_end
        ]
        if any(np.count_nonzero(end) * face_mm2 > CUT_MM2 for end in ends):
            sideways = int(np.abs(frame.axes @ mask.direction[:, axis]).argmax()) == 0
            cut, leaves = cut or not sideways, leaves or sideways
    return cut, leaves
