"""Connected components of a mask, found run by run: needs numpy alone and no label image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Components:
    """Runs of true voxels along columns, in array order, and the component that each belongs to.

    Positions count the voxels of the mask with one false voxel more at the end of each axis, so that runs end with
    their row and neighbours are found by a fixed distance.
    """

    shape: tuple[int, int, int]  # slices, rows, columns of the mask
    starts: Indices
    ends: Indices  # first position behind a run
    component: Indices  # of each run: the number of the component's first run

    def sizes(self) -> Indices:
        """Return the number of voxels of each component, 0 where no component has the number."""
        sizes = np.zeros(self.starts.size, np.intp)
        np.add.at(sizes, self.component, self.ends - self.starts)
        return sizes

    def mask(self, kept: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Return the (slice, row, column) mask of some of the components, by their numbers."""
        runs = kept[self.component]
        slices, rows, columns = (size + 1 for size in self.shape)
        change = np.zeros(slices * rows * columns, np.int8)
        change[self.starts[runs]] = 1
        change[self.ends[runs]] = -1
        inside = np.cumsum(change, dtype=np.int8, out=change).view(bool)
        return inside.reshape(slices, rows, columns)[:-1, :-1, :-1]


def label_components(mask: npt.NDArray[np.bool_]) -> Components:
    """Return the face-connected components of a (slice, row, column) mask.

    >>> label_components(np.array([[[1, 1, 0, 1]]], bool)).sizes().tolist()
    [2, 1]
    """
    padded = np.pad(mask, [(0, 1)] * 3)
    flat = padded.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        edges = np.concatenate([[0], edges])
    starts, ends = edges[::2], edges[1::2]
    rows, columns = padded.shape[1:]
    pairs = [_touching(starts, ends, distance) for distance in (columns, rows * columns)]
    component = _unite(starts.size, *np.concatenate(pairs, axis=1))
    return Components(mask.shape, starts, ends, component)


def _touching(starts: Indices, ends: Indices, distance: int) -> Indices:
    """Return (2, n): pairs of runs of which the second overlaps with the first moved on by a distance."""
    first = np.searchsorted(ends, starts + distance, side="right")
    behind = np.searchsorted(starts, ends + distance, side="left")
    counts = np.maximum(behind - first, 0)
    runs = np.repeat(np.arange(starts.size), counts)
    number = np.arange(runs.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([runs, first[runs] + number])


def _unite(count: int, one: Indices, other: Indices) -> Indices:
    """Return for each of so many things the first one that pairs connect it to."""
    root = np.arange(count)
    while one.size:
        low, high = np.minimum(root[one], root[other]), np.maximum(root[one], root[other])
        np.minimum.at(root, high, low)
        while (root[root] != root).any():
            root = root[root]
        apart = root[one] != root[other]
        one, other = one[apart], other[apart]
    return root
