"""An image without most of the air around the head: it need not go through a network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from highdicom import Volume

AIR_LEVEL = 0.05
"""Signal, on the scale from 0 to 1, up to which it may be that of air."""
SMALLEST_MM2 = 400.0
"""Cross-section of brighter voxels from which on a plane is not air: the crown of a head has it within a millimetre."""


def crop_air(image: Volume, margin_mm: float, multiple: int | Sequence[int]) -> Volume:
    """Return the part of an image from the first to the last plane of each axis that is not air, and a margin.

    image     scaled to 0 to 1
    multiple  of voxels, for each size: of the image, and of the part; one number for all axes or one for each

    Noise, ghosts, a coil are not air either: the worst case is the whole image.
    """
    bright = image.array > AIR_LEVEL
    voxel_mm3 = math.prod(image.spacing)
    box = []
    for axis, (spacing_mm, whole) in enumerate(zip(image.spacing, np.broadcast_to(multiple, 3), strict=True)):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(bright.sum(axis=others) * voxel_mm3 / spacing_mm >= SMALLEST_MM2)
        box.append(_planes(filled, math.ceil(margin_mm / spacing_mm), image.shape[axis], int(whole)))
    return image[tuple(box)]


def _planes(filled: np.ndarray, margin: int, size: int, multiple: int) -> slice:
    """Return a multiple of planes that holds the filled ones and a margin, of all of them where none is filled."""
    if not filled.size:
        return slice(0, size)
    first, end = max(0, int(filled[0]) - margin), min(size, int(filled[-1]) + 1 + margin)
    wanted = min(size, math.ceil((end - first) / multiple) * multiple)
    start = min(max(0, (first + end - wanted) // 2), size - wanted)
    return slice(start, start + wanted)
