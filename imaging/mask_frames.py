"""The frames of masks: all planes of a mask on the whole volume, of a region only those it touches."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

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


def frames_of(masks: Sequence[Mask], source: SourceImage) -> list[tuple[int, int]]:
    """Return number of the segment, from 1, and index of the plane of each frame of a BINARY segmentation, in order.

    Frames that would end with a pad byte (PS3.5 8.1.1) get one empty frame more, or one less where there is none to
    add: OHIF 3.13 does not load them otherwise (docs/viewers.md). Nothing is to be done where every plane of every
    segment is occupied, nor about frames that end within a byte.
    """
    frames = [(number, at) for number, mask in enumerate(masks, 1) for at in planes_of(mask, source)]
    size = prod(source.volume.shape[1:])
    if size % 8 or len(frames) * (size // 8) % 2 == 0:
        return frames
    return _one_more(frames, source) or _one_less(frames, masks, source) or frames


def viewer_notes(rows: int, columns: int, frames: int) -> list[str]:
    """Return what a user of a BINARY segmentation of that size should know of viewers (docs/viewers.md)."""
    instead = "use the outlines, an image series, there"
    if rows * columns % 8:
        return [f"The viewer OHIF (3.13) shows a wrong mask of a segmentation of {rows} x {columns}: {instead}"]
    if frames * (rows * columns // 8) % 2:
        return [f"The viewer OHIF (3.13) does not load a segmentation of {frames} x {rows} x {columns}: {instead}"]
    return []


def _one_more(frames: list[tuple[int, int]], source: SourceImage) -> list[tuple[int, int]]:
    """Return the frames and one beside those of a segment that has none there; nothing when all are taken."""
    taken = set(frames)
    free = [(number, at) for number in range(1, frames[-1][0] + 1) for at in range(len(source.planes))]
    free = [frame for frame in free if frame not in taken]
    if not free:
        return []
    beside = [frame for frame in free if {(frame[0], frame[1] - 1), (frame[0], frame[1] + 1)} & taken]
    return sorted([*frames, (beside or free)[-1]])


def _one_less(frames: list[tuple[int, int]], masks: Sequence[Mask], source: SourceImage) -> list[tuple[int, int]]:
    """Return the frames without the last empty one of a segment that has others; nothing when none is empty."""
    numbers = [number for number, _ in frames]
    for frame in reversed(frames):
        image = on_slice(masks[frame[0] - 1], source.planes[frame[1]].slice, source.volume.shape)
        if not image.any() and numbers.count(frame[0]) > 1:
            return [one for one in frames if one != frame]
    return []


def on_slice(mask: Mask, number: int, shape: Sequence[int], axis: int = 0) -> npt.NDArray[np.bool_]:
    """Return a mask on one slice across an axis of a volume of that shape."""
    if not isinstance(mask, Region):
        return np.asarray(np.moveaxis(mask, axis, 0)[number])
    others = [other for other in range(3) if other != axis]
    image = np.zeros([shape[other] for other in others], bool)
    if mask.box[axis].start <= number < mask.box[axis].stop:
        inside = mask.mask.take(number - mask.start[axis], axis)
        image[mask.box[others[0]], mask.box[others[1]]] = inside
    return image
