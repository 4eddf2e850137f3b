"""A network's output as a mask on the grid of the source image."""

from __future__ import annotations

import numpy as np
from highdicom import PadModes, Volume

from imaging.resample import parallel_axes, resample


def restore_mask(logits: Volume, source: Volume, *, threshold: float = 0.5) -> Volume:
    """Return the mask of a single-channel logit volume on the source's grid, bool.

    The probability is interpolated, then cut at the threshold, so the boundary lies between voxels of the model grid.
    Positions beyond the model grid are background.
    """
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-logits.array.astype(np.float32)))
    on_source = resample(_within_view(logits.with_array(probability), source), source.get_geometry())
    return source.with_array(on_source.array > threshold)


def _within_view(volume: Volume, source: Volume) -> Volume:
    """Return the part of a volume whose voxel centres lie in the source's field of view, its border repeated once.

    Beyond the field of view the network saw nothing and says background: that must not pull the outermost slices down.
    """
    voxels = np.linalg.inv(source.affine) @ volume.affine
    kept, repeated = [], []
    for axis, source_axis in enumerate(parallel_axes(voxels[:3, :3])):
        at = voxels[source_axis, axis] * np.arange(volume.shape[axis]) + voxels[source_axis, 3]
        inside = np.flatnonzero((at >= -0.5) & (at <= source.shape[source_axis] - 0.5))
        first, last = (int(inside[0]), int(inside[-1])) if inside.size else (0, volume.shape[axis] - 1)
        kept.append(slice(first, last + 1))
        repeated.append([int(first > 0), int(last < volume.shape[axis] - 1)])
    return volume[tuple(kept)].pad(repeated, mode=PadModes.EDGE)
