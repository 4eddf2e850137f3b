"""One solid object: the largest connected component with its holes filled."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage


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
    labels, count = ndimage.label(mask[box])
    sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    result[box] = _fill_cavities(labels == sizes.argmax())
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


def _fill_cavities(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Fill background that does not reach the border of the array."""
    labels, count = ndimage.label(~mask)
    if not count:
        return mask
    border = [labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]]
    outside = np.zeros(count + 1, bool)
    for face in border:
        outside[np.unique(face)] = True
    outside[0] = False  # label 0 is the mask itself
    return np.asarray(~outside[labels])
