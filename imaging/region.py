"""Voxels of one object: the mask of a box, and where in the volume the box lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imaging.keep_largest import bounding_box

Box = tuple[slice, slice, slice]


@dataclass(frozen=True)
class Region:
    """A part of a volume, (slice, row, column); many of them are small where many masks would be large."""

    mask: npt.NDArray[np.bool_]  # of the box
    start: tuple[int, int, int]  # index in the volume of the first voxel of the box

    @property
    def box(self) -> Box:
        """Slices of the volume that the mask covers."""
        first = zip(self.start, self.mask.shape, strict=True)
        k, j, i = (slice(start, start + size) for start, size in first)
        return k, j, i

    @property
    def voxels(self) -> int:
        """Number of voxels of the object."""
        return int(np.count_nonzero(self.mask))

    def within(self, shape: tuple[int, int, int]) -> npt.NDArray[np.bool_]:
        """Return the mask on a volume of that shape."""
        whole = np.zeros(shape, bool)
        whole[self.box] = self.mask
        return whole


def region_of(mask: npt.NDArray[np.bool_], start: tuple[int, int, int] = (0, 0, 0)) -> Region | None:
    """Return the smallest region that holds all true voxels of a mask, None when there are none.

    start  index in the volume of the mask's first voxel

    >>> region_of(np.array([[[False, True, True]]])).start
    (0, 0, 1)
    """
    box = bounding_box(mask)
    if box is None:
        return None
    k, j, i = (first + part.start for first, part in zip(start, box, strict=True))
    return Region(np.ascontiguousarray(mask[box]), (k, j, i))
