"""Places in the lungs that look like nodules, found without training: blobs that no vessel goes through.

Blobs are maxima, in place and scale, of Li's dot filter on the Hessian (Li, Sone and Doi, Med Phys 2003;30:2040-2051),
on a pyramid of grids. Each is then judged by what surrounds it: a shell beyond the edge of a nodule is dark, that
around a piece of vessel is bright at two places, that around a fork at three.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

from imaging.keep_largest import bounding_box
from imaging.lung_mask import LungMask
from imaging.mark import Mark, Origin
from imaging.resample import model_geometry, resample

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Triple = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """How much is called a nodule; a lower score finds more of them, and more that are none."""

    min_score: float = 0.3
    """Candidates with a lower score are left out."""
    min_diameter_mm: float = 4.0
    max_diameter_mm: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_score <= 1:
            raise ValueError(f"min_score must be 0 to 1, got {self.min_score}")
        if not 2 <= self.min_diameter_mm < self.max_diameter_mm <= 60:
            raise ValueError(
                f"diameters must be 2 to 60 mm and rise, got {self.min_diameter_mm} to {self.max_diameter_mm}"
            )


BALANCED = OperatingPoint()
OPERATING_POINTS = {
    "strict": OperatingPoint(min_score=0.5),
    "balanced": BALANCED,
    "sensitive": OperatingPoint(min_score=0.2),
}
"""By name; what each finds, and how much that is none, is measured by benchmarks/find_nodules.py."""

AIR_HU, DENSE_HU = -900.0, 50.0
"""Densities between which a nodule stands out; below and above, contrast says nothing."""
GRID_MM = 1.4
SIGMA_OF_DIAMETER = 1 / (2 * math.sqrt(3))
"""Scale at which a ball answers most."""
STEPS = 3
"""Scales for each doubling of the diameter."""
WEAKEST = 0.015
"""Dot filter of the faintest blob that is looked at; a ball of soft tissue in lung answers with about 0.25."""
MOST_BLOBS = 800
ALIKE = 0.9
"""Blobs whose diameters differ by fewer doublings are of one size."""
SMOOTH_MM = 0.8
REFINEMENTS = 3
AIR_BELOW_HU = -550.0
SHELL = (1.3, 1.7)
"""Shell around a candidate, in radii."""
STRENGTH = (0.0, 0.1)
"""Here and below: where what speaks for a nodule begins, and where it is complete."""
CONTRAST_HU = (100.0, 250.0)
SHELL_DARK = (-0.3, 0.0)
SHELL_IN_LUNG = (-0.6, 0.0)
ROUND = (0.15, 0.5)
LARGE_MM = (2.5, 5.0)
SMALLER, LARGER = 0.75, 1.3
"""The radius of half density is less than that of small nodules, and larger where vessels join."""


@dataclass(frozen=True)
class _Blob:
    """A maximum of the dot filter."""

    centre_mm: Triple
    diameter_mm: float  # of the ball that would answer most at its scale
    strength: float


def find_nodules(
    volume: Volume, lungs: LungMask, *, point: OperatingPoint = BALANCED, at_most: int = 20
) -> tuple[Mark, ...]:
    """Return computer-found marks with a score and an estimated diameter, best first; empty when there is none.

    volume   HU, its axes in any order and direction
    lungs    on the grid of the volume
    at_most  largest number of marks
    """
    box = bounding_box(lungs.mask.array)
    if box is None or at_most < 1:
        return ()
    part, mask = volume[box], lungs.mask[box]
    found = []
    for blob in _blobs(part, mask, point):
        mark = _judge(part, mask, blob, point)
        if mark is not None:
            found.append(mark)
    return tuple(_without_doubles(found))[:at_most]


def _blobs(volume: Volume, lungs: Volume, point: OperatingPoint) -> list[_Blob]:
    """Return the maxima of the dot filter, strongest first."""
    geometry = model_geometry(volume, GRID_MM, 1, 4096)
    inside = ndimage.binary_erosion(resample(lungs.astype(np.float32), geometry).array > 0.5)  # no rim of the wall
    hu = resample(volume, geometry).array
    image = (np.clip(hu, AIR_HU, DENSE_HU) - AIR_HU) / np.float32(DENSE_HU - AIR_HU)
    image[~inside] = np.median(image[inside]) if inside.any() else 0
    found: list[_Blob] = []
    spacing, offset = GRID_MM, np.zeros(3)
    scales = _diameters(point)
    while scales:
        octave = [diameter for diameter in scales if diameter < 8.5 * spacing] or scales
        scales = scales[len(octave) :]
        for diameter in octave:
            dots = _dots(image, inside, SIGMA_OF_DIAMETER * diameter / spacing)
            for index, strength in _peaks(dots):
                place = geometry.map_indices_to_reference((index * (spacing / GRID_MM) + offset)[None])[0]
                found.append(_Blob(_triple(place), diameter, strength))
        image, inside = _halved(image), _halved(inside.astype(np.float32)) > 0.5
        offset = offset + (spacing / GRID_MM) / 2
        spacing *= 2
    found.sort(key=lambda blob: -blob.strength)
    return _without_copies(found)[:MOST_BLOBS]


def _diameters(point: OperatingPoint) -> list[float]:
    count = math.ceil(STEPS * math.log2(point.max_diameter_mm / point.min_diameter_mm)) + 1
    return [point.min_diameter_mm * 2 ** (step / STEPS) for step in range(count)]


def _halved(array: Array) -> Array:
    """Return means over blocks of 2 voxels, without what is left at the end of an axis."""
    k, j, i = (size // 2 * 2 for size in array.shape)
    return np.asarray(array[:k, :j, :i].reshape(k // 2, 2, j // 2, 2, i // 2, 2).mean(axis=(1, 3, 5)), np.float32)


def _dots(image: Array, inside: Mask, sigma: float) -> Array:
    """Return the dot filter at a scale in voxels: 0 unless the image falls off in all directions."""
    smooth = ndimage.gaussian_filter(image, sigma, truncate=3.0, mode="nearest")
    second = [np.zeros_like(smooth) for _ in range(3)]
    for axis, curve in enumerate(second):
        along, into = np.moveaxis(smooth, axis, 0), np.moveaxis(curve, axis, 0)
        into[1:-1] = along[:-2] + along[2:] - 2 * along[1:-1]
    at = np.nonzero(inside & (second[0] < 0) & (second[1] < 0) & (second[2] < 0))
    result = np.zeros_like(smooth)
    if at[0].size:
        lowest, highest = _eigenvalues([curve[at] for curve in second], _mixed(smooth, at))
        result[at] = np.minimum(highest, 0) ** 2 / np.maximum(-lowest, np.float32(1e-9)) * np.float32(sigma**2)
    return np.asarray(result, np.float32)


def _mixed(smooth: Array, at: tuple[npt.NDArray[np.intp], ...]) -> list[Array]:
    """Return the mixed second derivatives at some voxels; beyond the border the image goes on."""
    low = [np.maximum(index - 1, 0) for index in at]
    high = [np.minimum(index + 1, size - 1) for index, size in zip(at, smooth.shape, strict=True)]
    mixed = []
    for one, two in ((0, 1), (0, 2), (1, 2)):
        total = np.zeros(at[0].size, np.float32)
        for a, b, sign in ((low, low, 1), (high, high, 1), (low, high, -1), (high, low, -1)):
            index = list(at)
            index[one], index[two] = a[one], b[two]
            total += sign * smooth[tuple(index)]
        mixed.append(np.asarray(total / 4, np.float32))
    return mixed


def _eigenvalues(diagonal: list[Array], mixed: list[Array]) -> tuple[Array, Array]:
    """Return the lowest and the highest eigenvalue of symmetric 3 x 3 matrices (Smith, Commun ACM 1961;4:168)."""
    mean = np.asarray(sum(diagonal) / np.float32(3), np.float32)
    a, b, c = (value - mean for value in diagonal)
    d, e, f = mixed
    size = np.sqrt(np.maximum((a * a + b * b + c * c + 2 * (d * d + e * e + f * f)) / 6, np.float32(1e-20)))
    determinant = a * (b * c - f * f) - d * (d * c - f * e) + e * (d * f - b * e)
    angle = np.arccos(np.clip(determinant / (2 * size**3), -1, 1)) / 3
    lowest, highest = (mean + 2 * size * np.cos(angle + np.float32(turn)) for turn in (2 * math.pi / 3, 0))
    return np.asarray(lowest, np.float32), np.asarray(highest, np.float32)


def _peaks(dots: Array) -> Iterator[tuple[npt.NDArray[np.float64], float]]:
    """Yield index and strength of each local maximum."""
    at = np.argwhere((dots > WEAKEST) & (dots == ndimage.maximum_filter(dots, 3)))
    for index in at:
        yield index.astype(float), float(dots[tuple(index)])


def _without_copies(blobs: list[_Blob]) -> list[_Blob]:
    """Keep of blobs at one place and of one size the strongest; they come strongest first.

    A small one in or beside a large one stays: a nodule may lie next to a fork of vessels.
    """
    kept: list[_Blob] = []
    places, sizes = np.empty((len(blobs), 3)), np.empty(len(blobs))
    for blob in blobs:
        count = len(kept)
        away = np.linalg.norm(places[:count] - blob.centre_mm, axis=1)
        alike = np.abs(np.log2(sizes[:count] / blob.diameter_mm)) < ALIKE
        if not (alike & (away < np.maximum(sizes[:count], blob.diameter_mm) / 2)).any():
            places[count], sizes[count] = blob.centre_mm, blob.diameter_mm
            kept.append(blob)
    return kept


@dataclass(frozen=True, kw_only=True)
class _Look:
    """What the full resolution shows of a blob."""

    centre_mm: Triple
    diameter_mm: float
    strength: float  # of the blob
    contrast_hu: float  # of its core, over the lung around
    shell: float  # part of a shell around it, as far as that lies in the lung, that is as bright as it
    buried: float  # part of the shell outside the lung
    roundness: float  # shortest by longest axis of what is bright near it

    @property
    def score(self) -> float:
        """Return how nodule-like it is, 0 to 1: the product of what speaks for it."""
        return math.prod(
            _rising(value, *limits)
            for value, limits in (
                (self.strength, STRENGTH),
                (self.contrast_hu, CONTRAST_HU),
                (-self.shell, SHELL_DARK),
                (-self.buried, SHELL_IN_LUNG),
                (self.roundness, ROUND),
                (self.diameter_mm, LARGE_MM),
            )
        )


def _rising(value: float, low: float, high: float) -> float:
    """Return 0 up to a limit, 1 from another one on, and a line between."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _judge(volume: Volume, lungs: Volume, blob: _Blob, point: OperatingPoint) -> Mark | None:
    """Return the mark of a blob, None when it is not nodule-like enough."""
    look = _look(volume, lungs, blob)
    if look is None or look.score < max(point.min_score, 1e-3):
        return None
    if not SMALLER * point.min_diameter_mm <= look.diameter_mm <= LARGER * point.max_diameter_mm:
        return None
    return Mark(
        centre_mm=look.centre_mm, origin=Origin.COMPUTER, diameter_mm=look.diameter_mm, score=round(look.score, 4)
    )


def _look(volume: Volume, lungs: Volume, blob: _Blob) -> _Look | None:
    """Return what is seen of a blob; None when nothing stands out of the lung."""
    box = _around(volume, blob.centre_mm, 1.2 * blob.diameter_mm + 5)
    hu = ndimage.gaussian_filter(volume.array[box], [SMOOTH_MM / size for size in volume.spacing], truncate=2.5)
    patch = _Patch(hu, lungs.array[box], _places(volume, box), volume.affine[:3, :3])
    air = hu[patch.inside & (hu < AIR_BELOW_HU)]
    if air.size < 20:
        return None
    lung_hu = float(np.median(air))
    centre, radius = np.array(blob.centre_mm), blob.diameter_mm / 2
    for _ in range(REFINEMENTS):
        away = patch.away_mm(centre)
        core = hu[away <= max(0.5 * radius, min(volume.spacing))]
        if not core.size or core.mean() - lung_hu < CONTRAST_HU[0]:
            return None
        bright = (hu > (lung_hu + core.mean()) / 2) & patch.inside
        radius = _radius(away, bright, patch.inside, radius)
        near = bright & (away <= 1.2 * radius)
        if not near.any():
            return None
        centre = centre + np.clip(patch.middle(near) - centre, -0.5 * radius, 0.5 * radius)
    away = patch.away_mm(centre)
    shell = (away > SHELL[0] * radius) & (away <= SHELL[1] * radius)
    in_lung = shell & patch.inside
    if not in_lung.any():
        return None
    return _Look(
        centre_mm=_triple(centre),
        diameter_mm=2 * radius,
        strength=blob.strength,
        contrast_hu=float(core.mean()) - lung_hu,
        shell=float(bright[in_lung].mean()),
        buried=1 - float(patch.inside[shell].mean()),
        roundness=patch.roundness(bright & (away <= SHELL[1] * radius)),
    )


@dataclass(frozen=True)
class _Patch:
    """A part of the CT around a blob."""

    hu: Array
    inside: Mask  # of the lungs
    places: list[Array]  # x, y and z, for broadcasting
    steps_mm: npt.NDArray[np.float64]  # from voxel to voxel, one column for each axis

    def away_mm(self, centre_mm: npt.NDArray[np.float64]) -> Array:
        """Return the distance of each voxel from a place."""
        squares = sum((axis - np.float32(middle)) ** 2 for axis, middle in zip(self.places, centre_mm, strict=True))
        return np.sqrt(np.asarray(np.broadcast_to(squares, self.hu.shape), np.float32))

    def middle(self, mask: Mask) -> npt.NDArray[np.float64]:
        """Return the mean position of some voxels."""
        return np.array([float(np.broadcast_to(axis, mask.shape)[mask].mean()) for axis in self.places])

    def roundness(self, mask: Mask) -> float:
        """Return the shortest by the longest axis of some voxels."""
        points = np.stack([np.broadcast_to(axis, mask.shape)[mask] for axis in self.places])
        if points.shape[1] < 2:
            return 0.0
        axes = np.linalg.eigvalsh(np.cov(points) + self.steps_mm @ self.steps_mm.T / 12)  # a voxel has an extent
        return float(np.sqrt(axes[0] / axes[2]))


def _radius(away: Array, bright: Mask, inside: Mask, guess_mm: float) -> float:
    """Return how far from a place more than half of the lung is bright."""
    step = 0.5
    last = max(int(2.2 * guess_mm / step), 4)
    bins = np.minimum((away / step).astype(int), last)[inside]
    total = np.bincount(bins, minlength=last + 1)
    share = np.bincount(bins, weights=bright[inside], minlength=last + 1) / np.maximum(total, 1)
    share[total == 0] = 1.0
    dark = np.flatnonzero(share[1:last] < 0.5)
    if not dark.size:
        return last * step
    at = int(dark[0]) + 1
    before = share[at - 1]
    part = (before - 0.5) / max(before - share[at], 1e-6) if before > 0.5 else 0.0
    return max(float(at - 0.5 + part) * step, 1.0)


def _around(volume: Volume, centre_mm: Triple, reach_mm: float) -> tuple[slice, slice, slice]:
    middle = volume.map_reference_to_indices(np.array([centre_mm]))[0]
    k, j, i = (
        slice(max(math.floor(at - reach_mm / size), 0), min(math.ceil(at + reach_mm / size) + 1, length))
        for at, size, length in zip(middle, volume.spacing, volume.shape, strict=True)
    )
    return k, j, i


def _places(volume: Volume, box: tuple[slice, slice, slice]) -> list[Array]:
    index = np.ogrid[box]
    affine = volume.affine
    return [
        np.asarray(sum(np.float32(row[axis]) * index[axis] for axis in range(3)) + np.float32(row[3]), np.float32)
        for row in affine[:3]
    ]


def _without_doubles(marks: list[Mark]) -> list[Mark]:
    """Return marks best first, without those within a better one."""
    kept: list[Mark] = []
    for mark in sorted(marks, key=lambda one: (-(one.score or 0), one.centre_mm)):
        if all(math.dist(mark.centre_mm, other.centre_mm) > _reach(mark, other) for other in kept):
            kept.append(mark)
    return kept


def _reach(one: Mark, other: Mark) -> float:
    return max(one.diameter_mm or 0.0, other.diameter_mm or 0.0) / 2


def _triple(values: npt.NDArray[np.float64]) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z
