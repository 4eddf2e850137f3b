"""A network's output as a mask on the grid of the source image."""

from __future__ import annotations

import numpy as np
from highdicom import Volume

from imaging.resample import resample


def restore_mask(logits: Volume, source: Volume, *, threshold: float = 0.5) -> Volume:
    """Return the mask of a single-channel logit volume on the source's grid, bool.

    The probability is interpolated, then cut at the threshold, so the boundary lies between voxels of the model grid.
    Positions beyond the model grid are background.
    """
    with np.errstate(over="ignore"):
        probability = 1 / (1 + np.exp(-logits.array.astype(np.float32)))
    on_source = resample(logits.with_array(probability), source.get_geometry())
    return source.with_array(on_source.array > threshold)
