"""The outline of a mask in a picture: drawn around it, so that no pixel of what it marks is covered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


def outline(mask: Mask, width: int = 1) -> Mask:
    """Return the ring of pixels around a (row, column) mask; none where the picture ends.

    width  of the ring in pixels

    >>> outline(np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], bool)).astype(int)
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 1, 0]])
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    ring = np.zeros_like(mask)
    if not rows.size:
        return ring
    box = tuple(slice(max(0, found[0] - width), found[-1] + 1 + width) for found in (rows, columns))
    inside = mask[box]
    grown = inside
    for _ in range(width):
        grown = _grown(grown)
    ring[box] = grown & ~inside
    return ring


def _grown(mask: Mask) -> Mask:
    """Return a mask with the four neighbours of each of its pixels."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown
