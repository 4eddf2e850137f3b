"""A network's output as a mask, or as a probability, on the grid of the source image."""

from __future__ import annotations

import math

import numpy as np
from highdicom import PadModes, Volume, VolumeGeometry

from imaging.keep_largest import bounding_box
from imaging.resample import parallel_axes, resample


def restore_mask(logits: Volume, source: Volume, *, threshold: float = 0.5) -> Volume:
    """Return the mask of a single-channel logit volume on the source's grid, bool.

    The probability is interpolated, then cut at the threshold, so the boundary lies between voxels of the model grid.
    Positions beyond the model grid are background.
    """
    mask = np.zeros(source.shape, bool)
    part = _about_object(_seen(logits, source), threshold, source)
    if part is not None:
        box = covered(source, part)
        mask[box] = resample(part, source.get_geometry()[box]).array > threshold
    return source.with_array(mask)


def restore_probability(logits: Volume, source: Volume) -> Volume:
    """Return the probability of a single-channel logit volume on the source's grid, float32, 0 to 1.

    The mask of ``restore_mask`` is where it exceeds the threshold. Positions beyond the model grid have 0.
    """
    found = resample(_seen(logits, source), source.get_geometry())
    return source.with_array(np.clip(found.array, 0, 1, out=found.array))


def _seen(logits: Volume, source: Volume) -> Volume:
    """Return the probability where the network saw the source."""
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-logits.array.astype(np.float32)))
    return _within_view(logits.with_array(probability), source)


def _within_view(volume: Volume, source: Volume) -> Volume:
    """Return the part of a volume whose voxel centres lie in the source's field of view, its border repeated once.

    Beyond the field of view the network saw nothing and says background: that must not pull the outermost slices down.
    A border inside the field of view is background already, and stays.
    """
    kept = covered(volume, source)
    repeated = [[int(part.start > 0), int(part.stop < size)] for part, size in zip(kept, volume.shape, strict=True)]
    return volume[kept].pad(repeated, mode=PadModes.EDGE)


def _about_object(probability: Volume, threshold: float, source: Volume) -> Volume | None:
    """Return the part of a volume outside of which interpolation stays below the threshold, None for no part at all.

    A voxel of the source is a mean of voxels up to a filter's width away; it counts them fully when all are there.
    """
    box = bounding_box(probability.array > threshold)
    if box is None:
        return None
    width = max(1.0, max(source.spacing) / min(probability.spacing))
    margin = math.ceil(2 * width)
    around = [
        slice(max(0, part.start - margin), min(part.stop + margin, size))
        for part, size in zip(box, probability.shape, strict=True)
    ]
    return probability[tuple(around)]


def covered(grid: VolumeGeometry, other: VolumeGeometry) -> tuple[slice, slice, slice]:
    """Return the voxels of a grid whose centres lie within the outermost voxel edges of another; all when none does."""
    voxels = np.linalg.inv(other.affine) @ grid.affine
    box = []
    for axis, other_axis in enumerate(parallel_axes(voxels[:3, :3])):
        at = voxels[other_axis, axis] * np.arange(grid.shape[axis]) + voxels[other_axis, 3]
        inside = np.flatnonzero((at >= -0.5 - 1e-6) & (at <= other.shape[other_axis] - 0.5 + 1e-6))
        box.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, grid.shape[axis]))
    return box[0], box[1], box[2]
