"""Regions that share voxels: the same object twice, or neighbours that must not overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from imaging.region import Region, region_of

SAME = 0.5
"""Two regions are one object when they share this fraction of the smaller one."""


def distinct_regions(regions: Sequence[Region]) -> tuple[Region | None, ...]:
    """Return each region without the voxels of those before it; None when it is one of them again.

    The order is that of the regions: what comes first is kept whole.
    """
    kept: list[Region] = []
    result: list[Region | None] = []
    for region in regions:
        shared = [shared_voxels(region, other) for other in kept]
        smaller = [min(region.voxels, other.voxels) for other in kept]
        again = any(count >= SAME * size for count, size in zip(shared, smaller, strict=True) if count)
        rest = None if again else _without(region, [other for other, count in zip(kept, shared, strict=True) if count])
        result.append(rest)
        if rest is not None:
            kept.append(rest)
    return tuple(result)


def shared_voxels(one: Region, other: Region) -> int:
    """Return the number of voxels that two regions of one volume share."""
    box = _common(one, other)
    return 0 if box is None else int(np.count_nonzero(_part(one, box) & _part(other, box)))


def _without(region: Region, others: Sequence[Region]) -> Region | None:
    mask = region.mask.copy()
    for other in others:
        box = _common(region, other)
        if box is not None:
            within = tuple(
                slice(low - start, high - start) for (low, high), start in zip(box, region.start, strict=True)
            )
            mask[within] &= ~_part(other, box)
    return region_of(mask, region.start)


def _common(one: Region, other: Region) -> list[tuple[int, int]] | None:
    """Return first and last-but-one index of the box that both cover, along each axis; None when they are apart."""
    pairs = zip(one.box, other.box, strict=True)
    box = [(max(a.start, b.start), min(a.stop, b.stop)) for a, b in pairs]
    return box if all(low < high for low, high in box) else None


def _part(region: Region, box: Sequence[tuple[int, int]]) -> np.ndarray:
    return region.mask[
        tuple(slice(low - start, high - start) for (low, high), start in zip(box, region.start, strict=True))
    ]
