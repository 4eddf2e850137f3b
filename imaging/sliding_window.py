"""A network applied window by window, its outputs blended."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import numpy.typing as npt

Predict = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""(slice, row, column) or (channel, slice, row, column) image -> (channel, slice, row, column) logits."""


def sliding_window(
    image: npt.NDArray[np.float32], window: tuple[int, int, int], predict: Predict, *, overlap: float = 0.25
) -> npt.NDArray[np.float32]:
    """Return (channel, slice, row, column) logits, averaged where windows overlap, less weight at their border.

    image    (slice, row, column) or (channel, slice, row, column); axes shorter than the window are padded with 0
    overlap  fraction of the window shared by neighbours, 0 to below 1
    """
    if not 0 <= overlap < 1:
        raise ValueError(f"overlap must be at least 0 and below 1, got {overlap}")
    shape: tuple[int, ...] = image.shape[-3:]
    pad = [(0, max(0, size - have)) for size, have in zip(window, shape, strict=True)]
    channels = image.ndim - 3
    padded = np.pad(image, [(0, 0)] * channels + pad)
    whole: tuple[int, ...] = padded.shape[-3:]
    total: npt.NDArray[np.float32] | None = None
    weight_sum = np.zeros(whole, np.float32)
    weight = _window_weight(window)
    starts = [_starts(have, size, overlap) for have, size in zip(whole, window, strict=True)]
    for start in product(*starts):
        box = tuple(slice(first, first + size) for first, size in zip(start, window, strict=True))
        logits = predict(np.ascontiguousarray(padded[(slice(None),) * channels + box]))
        if total is None:
            total = np.zeros((len(logits), *whole), np.float32)
        total[(slice(None), *box)] += weight * logits
        weight_sum[box] += weight
    if total is None:
        raise ValueError("an image needs at least one voxel")
    total /= weight_sum
    return total[(slice(None), *(slice(size) for size in shape))]


def as_batch(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return a (slice, row, column) or (channel, slice, row, column) image as (1, channel, slice, row, column)."""
    return np.ascontiguousarray(image).reshape(1, -1, *image.shape[-3:])


def _starts(size: int, window: int, overlap: float) -> list[int]:
    step = max(1, int(window * (1 - overlap)))
    return [*range(0, size - window, step), size - window]


def _window_weight(window: tuple[int, int, int]) -> npt.NDArray[np.float32]:
    """A product of triangles, nowhere zero."""
    ramps = [1 - np.abs((np.arange(size) + 0.5) / size * 2 - 1) for size in window]
    weight = ramps[0][:, None, None] * ramps[1][None, :, None] * ramps[2][None, None, :]
    return np.asarray(np.maximum(weight, 1e-3), np.float32)
