"""Closed contours on the slices of a volume as a region of its voxels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from imaging.region import Region, region_of

OFF_SLICE = 0.25
"""Largest distance of a contour's point from a slice, as a fraction of the slice distance."""

Points = npt.NDArray[np.float64]


class NotOnSliceError(ValueError):
    """A contour lies between slices, or across them."""


def fill_contours(contours: Sequence[Points], shape: tuple[int, int, int]) -> Region | None:
    """Return the voxels whose centres lie within closed contours, None when there are none inside the volume.

    contours  (point, 3) indices of the volume, (slice, row, column), the last point joined to the first; on one slice
              an inner one is a hole, as is one that a channel of no width joins to the outer one (even-odd rule)
    shape     of the volume; what lies outside is cut off

    Raises NotOnSliceError when a contour does not lie on a slice.
    """
    by_slice: dict[int, list[Points]] = defaultdict(list)
    for contour in contours:
        by_slice[slice_of(contour)].append(contour[:, 1:])
    inside = {number: outlines for number, outlines in by_slice.items() if 0 <= number < shape[0]}
    if not inside:
        return None
    points = np.concatenate([outline for outlines in inside.values() for outline in outlines])
    low = np.clip(np.ceil(points.min(axis=0)), 0, shape[1:]).astype(int)
    high = np.clip(np.floor(points.max(axis=0)) + 1, low, shape[1:]).astype(int)
    first, last = min(inside), max(inside)
    mask = np.zeros((last - first + 1, *(high - low)), bool)
    for number, outlines in inside.items():
        for outline in outlines:
            mask[number - first] ^= _filled(outline - low, mask.shape[1:])
    return region_of(mask, (first, int(low[0]), int(low[1])))


def slice_of(contour: Points) -> int:
    """Return the slice that a contour lies on; NotOnSliceError when it lies on none."""
    number = round(float(np.median(contour[:, 0])))
    if np.abs(contour[:, 0] - number).max() > OFF_SLICE:
        raise NotOnSliceError("the contour does not lie on a slice")
    return number


def _filled(outline: Points, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return the pixels inside a polygon: those with an odd number of its edges to their left."""
    crossings = np.zeros((shape[0], shape[1] + 1), np.int32)
    following = np.roll(outline, -1, axis=0)
    for (row, column), (next_row, next_column) in zip(outline, following, strict=True):
        first, last = sorted((row, next_row))
        rows = np.arange(max(0, int(np.ceil(first))), min(shape[0], int(np.ceil(last))))  # first <= row < last
        if rows.size:
            at = column + (rows - row) / (next_row - row) * (next_column - column)
            np.add.at(crossings, (rows, np.clip(np.ceil(at), 0, shape[1]).astype(int)), 1)
    return np.asarray(np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1)
