"""Intensity of an MR image on a common scale."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PERCENTILES = (0.5, 99.5)
SAMPLES = 200_000


def intensity_window(array: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return the 0.5th and 99.5th percentile, from an even sample of large arrays."""
    flat = array.reshape(-1)
    low, high = np.percentile(flat[:: max(1, flat.size // SAMPLES)], PERCENTILES)
    return float(low), float(high)


def scale_intensity(array: npt.NDArray[np.float32], window: tuple[float, float]) -> npt.NDArray[np.float32]:
    """Return the array scaled linearly so that the window becomes 0 to 1, and clipped.

    >>> scale_intensity(np.array([0, 5, 20], np.float32), (0.0, 10.0))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    low, high = window
    if not high > low:
        return np.zeros_like(array)
    scaled = (array - np.float32(low)) * np.float32(1 / (high - low))
    return np.asarray(np.clip(scaled, 0, 1, out=scaled))
