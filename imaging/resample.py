"""Resampling between grids whose axes are parallel: separable, in float32, smoothed when it goes coarser.

The model grid is the source volume turned to the closest (head, posterior, left) axes, never rotated, so each axis
of one grid runs along one axis of the other and interpolation is a small matrix per axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom import Volume, VolumeGeometry

MODEL_ORIENTATION = "HPL"
"""Directions in which (slice, row, column) rise on the model grid: those of an axial series."""
ROWS = 16
"""Rows of a matrix of weights that are applied at a time."""


def model_geometry(
    source: Volume,
    spacing_mm: float | Sequence[float],
    multiple: int | Sequence[int],
    maximum: int | Sequence[int],
    *,
    orientation: str = MODEL_ORIENTATION,
) -> VolumeGeometry:
    """Return the grid around a volume, its axes turned and never rotated; sizes rounded up to a multiple.

    spacing_mm   voxel size of the grid; here and below one number for all axes or one for each
    multiple     each size is a multiple of this many voxels, the volume stays in the middle
    maximum      largest size in voxels; a longer axis is cut evenly at both ends
    orientation  patient directions in which (slice, row, column) rise
    """
    turned = source.get_geometry().to_patient_orientation(orientation)
    extent_mm = np.array(turned.shape) * np.array(turned.spacing)
    whole = np.ceil(extent_mm / spacing_mm / multiple - 1e-6).astype(int) * multiple
    shape = tuple(int(size) for size in np.minimum(whole, maximum))
    axes = turned.affine[:3, :3] / np.array(turned.spacing)
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    centre = turned.map_indices_to_reference((np.array([turned.shape]) - 1) / 2)[0]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return VolumeGeometry(affine, shape, "PATIENT", frame_of_reference_uid=source.frame_of_reference_uid)


def resample(source: Volume, target: VolumeGeometry, *, outside: float = 0.0) -> Volume:
    """Return a volume on another grid with parallel axes, by linear interpolation.

    Where the target is coarser, a triangle filter as wide as its voxels prevents aliasing. Positions beyond the
    outermost voxel edges of the source get ``outside``.
    """
    voxels = np.linalg.inv(source.affine) @ target.affine
    axes = parallel_axes(voxels[:3, :3])
    array = np.ascontiguousarray(source.array, np.float32)
    beyond = {}
    for source_axis in range(3):
        target_axis = axes.index(source_axis)
        weights = interpolation_weights(
            source.shape[source_axis],
            target.shape[target_axis],
            scale=voxels[source_axis, target_axis],
            offset=voxels[source_axis, 3],
        )
        array = _along(array, weights, source_axis)
        beyond[target_axis] = ~weights.any(axis=1)
    array = np.ascontiguousarray(array.transpose(axes))
    for target_axis, planes in beyond.items():
        np.moveaxis(array, target_axis, 0)[planes] = outside
    return Volume(array, target.affine, "PATIENT", frame_of_reference_uid=target.frame_of_reference_uid)


def parallel_axes(matrix: npt.NDArray[np.float64]) -> tuple[int, int, int]:
    """Return the source axis that each target axis runs along; ValueError when the grids are oblique."""
    axes = tuple(int(axis) for axis in np.abs(matrix).argmax(axis=0))
    rest = matrix.copy()
    rest[axes, range(3)] = 0
    if sorted(axes) != [0, 1, 2] or np.abs(rest).max() > 1e-4 * np.abs(matrix).max():
        raise ValueError(f"the axes of both grids must be parallel, got the voxel matrix {matrix.round(4).tolist()}")
    return axes  # type: ignore[return-value]


def interpolation_weights(size: int, new_size: int, *, scale: float, offset: float) -> npt.NDArray[np.float32]:
    """Return (new_size, size) weights: row n interpolates at the source index ``scale * n + offset``.

    Rows sum to one inside the source and to zero beyond half a voxel outside it.

    >>> interpolation_weights(3, 2, scale=1.0, offset=0.5)
    array([[0.5, 0.5, 0. ],
           [0. , 0.5, 0.5]], dtype=float32)
    """
    at = scale * np.arange(new_size) + offset
    width = max(1.0, abs(scale))
    inside = (at >= -0.5 - 1e-6) & (at <= size - 0.5 + 1e-6)
    distance = np.abs(np.clip(at, 0, size - 1)[:, None] - np.arange(size)[None, :])
    weights = np.maximum(0.0, 1.0 - distance / width) * inside[:, None]
    totals = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0), np.float32)


def _along(array: npt.NDArray[np.float32], weights: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """Apply (new, old) weights along one axis, a few rows at a time: together they read only a few old planes."""
    result = np.zeros([*array.shape[:axis], len(weights), *array.shape[axis + 1 :]], np.float32)
    for first in range(0, len(weights), ROWS):
        rows = weights[first : first + ROWS]
        read = np.flatnonzero(rows.any(axis=0))
        if not read.size:
            continue
        planes = slice(read[0], read[-1] + 1)
        part = rows[:, planes]
        to = slice(first, first + ROWS)
        if axis == 2:
            result[..., to] = array[..., planes] @ part.T
        elif axis == 1:
            result[:, to] = part @ array[:, planes]
        else:
            flat = part @ array[planes].reshape(part.shape[1], -1)
            result[to] = flat.reshape(len(rows), *array.shape[1:])
    return result
