"""How thick a mask is along parallel lines in patient space, whatever the grid of the mask.

Line integrals of the linearly interpolated mask: on a slice it is the count of voxels along the line, between two
slices it is the mean of their counts, so the result does not depend on how the slices of a thick stack fall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

Array = npt.NDArray[np.float64]

STEP_MM = 0.25
"""Distance of samples along a line: a third of a pixel."""


@dataclass(frozen=True)
class Frame:
    """A right-handed frame in patient space: rows of ``axes`` are its unit vectors in LPS."""

    origin_mm: Array  # (3,) LPS
    axes: Array  # (3, 3): left, back and head of the object

    @property
    def along(self) -> Array:
        """The third axis."""
        return np.asarray(self.axes[2])


def frame_at(origin_mm: Array, along: Array) -> Frame:
    """Return the frame at a point whose third axis is ``along`` and whose second is as posterior as it can be."""
    head = along / np.linalg.norm(along)
    back = np.array([0.0, 1.0, 0.0])
    back = back - (back @ head) * head
    if np.linalg.norm(back) < 1e-3:
        raise ValueError(f"the axis of a body must not run front to back, got {along.round(3).tolist()}")
    back /= np.linalg.norm(back)
    return Frame(np.asarray(origin_mm, float), np.stack([np.cross(back, head), back, head]))


def occupancy(mask: Volume, frame: Frame, left_mm: Array, back_mm: Array, along_mm: Array) -> npt.NDArray[np.float32]:
    """Return the mask, 0 to 1, at a grid of places of a frame, (left, back, along).

    mask  (slice, row, column) bool; beyond it lies background
    """
    inside = np.argwhere(mask.array)
    if not len(inside):
        return np.zeros((len(left_mm), len(back_mm), len(along_mm)), np.float32)
    low, high = inside.min(0), inside.max(0) + 1
    part = mask.array[tuple(slice(*ends) for ends in zip(low, high, strict=True))].astype(np.float32)
    to_voxels = np.linalg.inv(mask.affine)
    axes = to_voxels[:3, :3] @ frame.axes.T
    origin = to_voxels[:3, :3] @ frame.origin_mm + to_voxels[:3, 3] - low
    grid = np.meshgrid(left_mm, back_mm, along_mm, indexing="ij")
    places = np.tensordot(axes, np.stack(grid), 1) + origin[:, None, None, None]
    return np.asarray(ndimage.map_coordinates(part, places, order=1, mode="grid-constant"), np.float32)


def samples(first_mm: float, last_mm: float, step_mm: float = STEP_MM) -> Array:
    """Return the middles of equal steps between two places.

    >>> samples(0.0, 1.0, 0.5).tolist()
    [0.25, 0.75]
    """
    count = max(1, round((last_mm - first_mm) / step_mm))
    return np.asarray(first_mm + (np.arange(count) + 0.5) * (last_mm - first_mm) / count)
