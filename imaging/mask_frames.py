"""The frames of a mask: all planes of a mask on the whole volume, of a region only those it touches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from imaging.region import Region
from imaging.to_volume import SourceImage

Mask = npt.NDArray[np.bool_] | Region
"""Voxels of one object on the grid of the source volume, (slice, row, column)."""


def planes_of(mask: Mask, source: SourceImage) -> tuple[int, ...]:
    """Return which planes of the source a mask has frames on, by index.

    A region on slices where no source frame lies has an empty frame on the nearest plane: a segment has at least one.
    """
    if not isinstance(mask, Region):
        return tuple(range(len(source.planes)))
    touched = mask.start[0] + np.flatnonzero(mask.mask.any(axis=(1, 2)))
    slices = np.array([plane.slice for plane in source.planes])
    found = np.flatnonzero(np.isin(slices, touched))
    if not found.size:
        found = np.abs(slices - mask.start[0]).argmin(keepdims=True)
    return tuple(int(at) for at in found)


def reaches(mask: Mask, number: int) -> bool:
    """Return whether a mask may have voxels on a slice; asked first, many small regions cost little."""
    return not isinstance(mask, Region) or mask.box[0].start <= number < mask.box[0].stop


def on_slice(mask: Mask, number: int, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Return a mask on one slice of a volume of that shape, (row, column)."""
    if not isinstance(mask, Region):
        return np.asarray(mask[number])
    image = np.zeros(shape[1:], bool)
    if mask.box[0].start <= number < mask.box[0].stop:
        image[mask.box[1:]] = mask.mask[number - mask.start[0]]
    return image
