"""Volume, diameters, diffusion and signal of a tumour, from its mask on the grid of the T2w series.

The surface of a mask runs through the middles of the voxel faces between inside and outside, as that of
``measure_nodule`` and of PyRadiomics' mesh does: a row of n voxels is n voxel sizes long, and the corners of voxels add
nothing to a round object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import cdist

from imaging.align_sequences import AlignedSequences
from imaging.measure_nodule import Diameter
from imaging.prepare_sequences import seen_in
from imaging.region import Region, region_of

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Point = tuple[float, float, float]

BEYOND = 0.01
"""Part of a tumour and the voxels next to it that a sequence may not show before it is said to be cut there."""
ROWS = 512
"""Rows of the table of distances that are held at a time."""


@dataclass(frozen=True, kw_only=True)
class TumourMeasurement:
    """One tumour."""

    volume_ml: float
    longest: Diameter  # in any direction
    axial: Diameter  # the longest one in any slice
    mean_t2w: float  # signal, of no unit
    mean_adc: float | None  # 1e-6 mm2/s, of the part that the ADC map shows; None without one
    centre_mm: Point  # LPS, of all voxels
    slices: int  # that it extends over
    at_border: bool  # of the T2w image: it may go on outside
    unseen: dict[str, float]  # sequences that end at the tumour: the part, 0 to 1, of it that they do not show


def measure_tumour(mask: Volume, aligned: AlignedSequences) -> TumourMeasurement | None:
    """Return the measurements of a (slice, row, column) bool mask on the grid of the T2w series; None when empty."""
    region = region_of(mask.array)
    if region is None:
        return None
    others = {name: volume for name, volume in (("DWI", aligned.dwi), ("ADC", aligned.adc)) if volume is not None}
    index = np.argwhere(region.mask) + region.start
    return TumourMeasurement(
        volume_ml=len(index) * math.prod(mask.spacing) / 1000,
        longest=longest_diameter(region, mask.affine),
        axial=longest_in_slice(region, mask.affine),
        mean_t2w=float(aligned.source.volume.array[region.box][region.mask].mean(dtype=np.float64)),
        mean_adc=_mean_seen(region, aligned.adc),
        centre_mm=_point(_to_mm(index.mean(axis=0), mask.affine)),
        slices=region.mask.shape[0],
        at_border=bool((index == 0).any() or (index == np.array(mask.shape) - 1).any()),
        unseen={name: _unseen(region, volume) for name, volume in others.items() if _cut(region, volume)},
    )


def longest_diameter(region: Region, affine: Array) -> Diameter:
    """Return the longest line between two places on the surface of a region, exact.

    affine  of the volume that the region lies in: voxel index to mm LPS
    """
    points = _to_mm(surface_points(region.mask) + region.start, affine)
    return _longest(points[ConvexHull(points).vertices])  # both ends are among them


def longest_in_slice(region: Region, affine: Array) -> Diameter:
    """Return the longest line between two places on the outline of a region in one of its slices, exact.

    What a slice shows in several parts is measured across them, as the longest diameter is.
    """
    found = []
    for number in np.flatnonzero(region.mask.any(axis=(1, 2))):
        index = surface_points(region.mask[number : number + 1], axes=(1, 2)) + region.start + np.array([number, 0, 0])
        points = _to_mm(index, affine)
        in_plane = index[:, 1:] * np.linalg.norm(affine[:3, 1:3], axis=0)
        found.append(_longest(points[ConvexHull(in_plane).vertices]))
    return max(found, key=lambda diameter: diameter.length_mm)


def surface_points(mask: Mask, axes: Sequence[int] = (0, 1, 2)) -> Array:
    """Return (n, 3) voxel indices: the outermost faces of each row of voxels along each axis; mask has a voxel.

    Faces between them lie on a straight line with them, and never at the end of a longest line.
    """
    found = []
    for axis in axes:
        lines = np.moveaxis(mask, axis, -1)
        at = np.argwhere(lines.any(axis=-1))
        first = lines.argmax(axis=-1)[tuple(at.T)] - 0.5
        last = mask.shape[axis] - lines[..., ::-1].argmax(axis=-1)[tuple(at.T)] - 0.5
        found += [np.insert(at.astype(np.float64), axis, ends, axis=1) for ends in (first, last)]
    return np.concatenate(found)


def _longest(places: Array) -> Diameter:
    """Return the longest line between any two places; of equal ones the first."""
    best = (0.0, 0, 0)
    for first in range(0, len(places), ROWS):
        apart = cdist(places[first : first + ROWS], places)
        row, column = np.unravel_index(int(apart.argmax()), apart.shape)
        best = max(best, (float(apart[row, column]), first + int(row), int(column)), key=lambda pair: pair[0])
    length, one, other = best
    return Diameter(length, (_point(places[one]), _point(places[other])))


def _to_mm(index: Array, affine: Array) -> Array:
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3])


def _mean_seen(region: Region, volume: Volume | None) -> float | None:
    if volume is None:
        return None
    values = volume.array[region.box][region.mask]
    values = values[seen_in(values)]
    return float(values.mean(dtype=np.float64)) if values.size else None


def _unseen(region: Region, volume: Volume) -> float:
    """Return the part of a region that a sequence does not show."""
    return float(1 - seen_in(volume.array[region.box])[region.mask].mean())


def _cut(region: Region, volume: Volume) -> bool:
    """Return whether a sequence ends at a region: it does not show some of it, or of the voxels next to it."""
    box = tuple(
        slice(max(part.start - 1, 0), min(part.stop + 1, size))
        for part, size in zip(region.box, volume.shape, strict=True)
    )
    around = np.zeros([part.stop - part.start for part in box], bool)
    inner = tuple(
        slice(part.start - outer.start, part.stop - outer.start) for part, outer in zip(region.box, box, strict=True)
    )
    around[inner] = region.mask
    around = ndimage.binary_dilation(around, np.ones((3, 3, 3), bool))
    return bool(np.mean(~seen_in(volume.array[box])[around]) > BEYOND)


def _point(place: Array) -> Point:
    x, y, z = (float(value) for value in place)
    return x, y, z
