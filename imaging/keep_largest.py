"""One solid object: the largest connected component with its holes filled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imaging.label_components import Components, label_components


def keep_largest(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the largest face-connected component of a (slice, row, column) mask, cavities filled.

    Of components of equal size the one that comes first in array order is kept. An empty mask stays empty.

    >>> keep_largest(np.array([[[1, 1, 0, 1]]], bool)).astype(int).tolist()
    [[[1, 1, 0, 0]]]
    """
    if mask.ndim != 3:
        raise ValueError(f"mask must be (slice, row, column), got shape {mask.shape}")
    result = np.zeros(mask.shape, bool)
    box = bounding_box(mask)
    if box is None:
        return result
    components = label_components(mask[box])
    result[box] = _fill_cavities(_one(components, int(components.sizes().argmax())))
    return result


def bounding_box(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """Return the smallest box that holds every true voxel, None when there is none."""
    box = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(mask.any(axis=others))
        if not filled.size:
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return box[0], box[1], box[2]


def _one(components: Components, number: int) -> npt.NDArray[np.bool_]:
    """Return the mask of the component of a number."""
    return components.mask(np.arange(components.component.size) == number)


def _fill_cavities(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Fill background that does not reach the border of the array."""
    background = ~np.pad(mask, 1)  # all that reaches the border is one component, and the first
    return ~_one(label_components(background), 0)[1:-1, 1:-1, 1:-1]
