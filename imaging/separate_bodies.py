"""Touching objects of one mask as instances: connected components, split where two deep cores share a thin bridge."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imaging.keep_largest import bounding_box

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int16]
Spacing = tuple[float, float, float]

SMALL_FRACTION = 0.2
"""Objects of at most this fraction of the mean body are no bodies (Kaliyugarasan et al., ISBI 2023)."""
SPECK_ML = 2.0
"""Objects below this do not take part in that mean: a dozen specks would pull it to nothing."""
BRIDGE_RATIO = 0.65
"""Two cores are two bodies when the bridge between them is at most so deep as this fraction of the shallower core."""
LEAST_PART = 0.35
"""A part smaller than this fraction of the median object is no body of its own: the cut is undone."""
LEAST_CORE_ML = 0.2
"""A core that a network marks and that is smaller is noise; that of a thoracic body has about 3 mL."""
LEVEL_STEP_MM = 0.5


def separate_bodies(mask: Mask, spacing_mm: Spacing, cores: Mask | None = None) -> Labels:
    """Return the instances of a (slice, row, column) mask as labels from 1, in array order; 0 is background.

    spacing_mm  of slices, rows, columns
    cores       where a network saw the inside of a body; without it, or where it shows one core in a component, cores
                are what lies deep in the mask

    Small objects are removed. A component without two cores stays whole, however large it is.

    >>> separate_bodies(np.array([[[1, 1, 0, 1]]], bool), (10.0, 20.0, 20.0)).tolist()
    [[[1, 1, 0, 2]]]
    """
    if mask.ndim != 3:
        raise ValueError(f"mask must be (slice, row, column), got shape {mask.shape}")
    labels = np.zeros(mask.shape, np.int16)
    box = bounding_box(mask)
    if box is None:
        return labels
    inside, seen = mask[box], None if cores is None else cores[box] & mask[box]
    voxel_ml = math.prod(spacing_mm) / 1000
    seeds = _seeds(inside, seen, spacing_mm, voxel_ml)
    parts = _nearest_seed(inside, seeds, spacing_mm)
    parts = _nearest_seed(inside, _without_fragments(parts, seeds), spacing_mm)
    labels[box] = _without_small(parts, voxel_ml)
    return labels


def _seeds(mask: Mask, cores: Mask | None, spacing_mm: Spacing, voxel_ml: float) -> Labels:
    """Return one seed for each object: the whole component, or the cores it holds."""
    seeds = np.zeros(mask.shape, np.int16)
    count = 0
    for component, box in _components(mask):
        own = [] if cores is None else _network_cores(component & cores[box], voxel_ml)
        if len(own) < 2:
            depth = np.asarray(ndimage.distance_transform_edt(np.pad(component, 1), spacing_mm)[1:-1, 1:-1, 1:-1])
            own = list(_deep_cores(component, depth))
        for core in own:
            count += 1
            seeds[box][core] = count
    return seeds


def _components(mask: Mask) -> Iterator[tuple[Mask, tuple[slice, ...]]]:
    """Yield each face-connected component within its box."""
    labels, _ = ndimage.label(mask)
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        yield labels[box] == number, box


def _network_cores(cores: Mask, voxel_ml: float) -> list[Mask]:
    labels, count = ndimage.label(cores)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    return [labels == number for number in range(1, count + 1) if sizes[number] * voxel_ml >= LEAST_CORE_ML]


def _deep_cores(component: Mask, depth: npt.NDArray[np.float64]) -> Iterator[Mask]:
    """Yield the parts a component falls into as its rind is peeled off, where each part goes on much deeper.

    depth  mm below the surface
    """
    waiting = [(component, 0.0)]
    while waiting:
        part, level = waiting.pop()
        halves = _first_split(part, depth, level)
        if halves is None:
            yield part
        else:
            waiting += halves


def _first_split(part: Mask, depth: npt.NDArray[np.float64], level: float) -> list[tuple[Mask, float]] | None:
    deepest = float(depth[part].max())
    while level + LEVEL_STEP_MM <= BRIDGE_RATIO * deepest:
        level += LEVEL_STEP_MM
        labels, count = ndimage.label(part & (depth > level))
        peaks = ndimage.maximum(depth, labels, range(1, count + 1)) if count > 1 else [deepest]
        deep = [number for number, peak in enumerate(peaks, start=1) if BRIDGE_RATIO * peak >= level]
        if len(deep) > 1:
            return [(labels == number, level) for number in deep]
    return None


def _nearest_seed(mask: Mask, seeds: Labels, spacing_mm: Spacing) -> Labels:
    """Give each voxel of a component to the nearest seed in it."""
    parts = np.zeros(mask.shape, np.int16)
    for component, box in _components(mask):
        own = np.where(component, seeds[box], 0)
        if len(np.unique(own[own > 0])) > 1:
            nearest = ndimage.distance_transform_edt(own == 0, spacing_mm, return_distances=False, return_indices=True)
            own = own[tuple(nearest)]
            parts[box][component] = own[component]
        else:
            parts[box][component] = own.max()
    return parts


def _without_fragments(parts: Labels, seeds: Labels) -> Labels:
    """Drop seeds of parts that are too small for a body where another seed shares the component."""
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    least = LEAST_PART * float(np.median(sizes[sizes > 0]))
    kept = np.where((sizes < least)[seeds], 0, seeds).astype(np.int16)
    for component, box in _components(parts > 0):
        if not kept[box][component].any():  # the whole object is small: another rule decides
            kept[box][component] = parts[box][component].max()
    return kept


def _without_small(parts: Labels, voxel_ml: float) -> Labels:
    """Remove small objects and number the others from 1."""
    sizes_ml = np.bincount(parts.ravel()) * voxel_ml
    sizes_ml[0] = 0
    bodies = sizes_ml[sizes_ml >= SPECK_ML]
    kept = sizes_ml > (SMALL_FRACTION * bodies.mean() if bodies.size else math.inf)
    numbers = np.zeros(sizes_ml.size, np.int16)
    numbers[kept] = np.arange(1, np.count_nonzero(kept) + 1)
    return numbers[parts]
