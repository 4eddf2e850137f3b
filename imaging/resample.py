"""Resampling between grids whose axes are parallel: separable, in float32, smoothed when it goes coarser.

The model grid is the source volume turned to the closest (head, posterior, left) axes, never rotated, so each axis
of one grid runs along one axis of the other and interpolation is a small matrix per axis.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from highdicom import Volume, VolumeGeometry

MODEL_ORIENTATION = "HPL"
"""Directions in which (slice, row, column) rise on the model grid: those of an axial series."""


def model_geometry(source: Volume, spacing_mm: float, multiple: int, maximum: int) -> VolumeGeometry:
    """Return the isotropic grid around a volume: axes head, posterior, left; sizes rounded up to a multiple.

    spacing_mm  voxel size of the grid
    multiple    each size is a multiple of this many voxels, the volume stays in the middle
    maximum     largest size in voxels; a longer axis is cut evenly at both ends
    """
    turned = source.get_geometry().to_patient_orientation(MODEL_ORIENTATION)
    extent_mm = np.array(turned.shape) * np.array(turned.spacing)
    wanted = [math.ceil(size / spacing_mm / multiple - 1e-6) * multiple for size in extent_mm]
    shape = tuple(min(size, maximum) for size in wanted)
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
    array = np.ascontiguousarray(source.array, np.float32) - np.float32(outside)
    offsets = voxels[:3, 3]
    for source_axis in range(3):
        target_axis = axes.index(source_axis)
        weights = interpolation_weights(
            source.shape[source_axis],
            target.shape[target_axis],
            scale=voxels[source_axis, target_axis],
            offset=offsets[source_axis],
        )
        array = _along(array, weights, source_axis)
    array = np.ascontiguousarray(array.transpose(axes))
    if outside:
        array += np.float32(outside)
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
    """Apply (new, old) weights along one axis."""
    if axis == 2:
        return np.asarray(array @ weights.T)
    if axis == 1:
        return np.asarray(weights @ array)
    flat = weights @ array.reshape(array.shape[0], -1)
    return np.asarray(flat.reshape(weights.shape[0], *array.shape[1:]))
