"""A synthetic chest in Hounsfield units: analytic shapes with soft edges, evaluated at any grid of patient positions.

Nothing here comes from a person. It is asymmetric on purpose: the right lung is larger and its dome of the diaphragm
higher, the heart and the descending aorta lie at the left, a bubble of gas lies in the stomach. Five nodules of known
size lie in the lungs: one free, one beside a vessel, one against the pleura, one with spicules, one oblong.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imaging.region import Region, region_of

Array = npt.NDArray[np.float32]
Affine = npt.NDArray[np.float64]
Triple = tuple[float, float, float]
Shape = tuple[int, int, int]

AIR_HU, LUNG_HU, FAT_HU, SOFT_HU, BONE_HU, MARROW_HU = -1000.0, -870.0, -100.0, 45.0, 650.0, 180.0
GRAVITY_HU_PER_MM = 0.5
"""The lung is denser towards the back of a person who lies on it."""
EDGE_MM = 1.2
"""Width of the edges between tissues: what a CT with a medium kernel shows."""
AROUND_MM = 3.0
"""Vessels keep this far away from a nodule, but for the one that it hangs on."""
THINNEST_MM = 0.8
"""Radius below which a vessel ends: a CT with pixels of 1 mm hardly shows it."""


@dataclass(frozen=True, kw_only=True)
class Nodule:
    """An ellipsoid of one density; with a ball for its core, spicules may stand out of it."""

    name: str
    centre_mm: Triple  # LPS
    semi_axes_mm: Triple  # along its own x, y and z
    turn_deg: float = 0.0  # of its x axis from patient left towards the back
    hu: float = 50.0
    spicules: int = 0
    in_lung: bool = True  # False: a part of it lies beyond the pleura, and does not count

    @property
    def longest_mm(self) -> float:
        """Longest diameter in an axial slice, of the whole ellipsoid, without spicules."""
        return 2 * max(self.semi_axes_mm[:2])

    @property
    def perpendicular_mm(self) -> float:
        """Longest diameter perpendicular to that."""
        return 2 * min(self.semi_axes_mm[:2])

    @property
    def volume_ml(self) -> float:
        """Exact volume of the whole ellipsoid, without spicules."""
        return 4 / 3 * math.pi * math.prod(self.semi_axes_mm) / 1000

    @property
    def reach_mm(self) -> float:
        """Radius of a ball that holds it."""
        return max(self.semi_axes_mm)

    def distance_mm(self, x: Array, y: Array, z: Array) -> Array:
        """Return how far positions lie from its surface, negative inside; exact at the surface."""
        x, y, z = (axis - np.float32(middle) for axis, middle in zip((x, y, z), self.centre_mm, strict=True))
        cosine, sine = math.cos(math.radians(self.turn_deg)), math.sin(math.radians(self.turn_deg))
        return _ellipsoid((cosine * x + sine * y, cosine * y - sine * x, z), self.semi_axes_mm)


NODULES = (
    Nodule(name="free", centre_mm=(-76.0, -18.0, 62.0), semi_axes_mm=(3.0, 3.0, 3.0)),
    Nodule(name="beside a vessel", centre_mm=(72.0, 38.0, 44.0), semi_axes_mm=(4.0, 4.0, 4.0)),
    Nodule(name="against the pleura", centre_mm=(-118.6, 22.0, -14.0), semi_axes_mm=(6.0, 6.0, 6.0), in_lung=False),
    Nodule(name="spiculated", centre_mm=(74.0, -14.0, 66.0), semi_axes_mm=(9.0, 9.0, 9.0), hu=35.0, spicules=14),
    Nodule(name="oblong", centre_mm=(-70.0, 40.0, -42.0), semi_axes_mm=(7.5, 4.5, 5.0), turn_deg=35.0, hu=20.0),
)
"""The nodules of the sample; diameters 6, 8, 12, 18 and 15 x 9 mm."""


@dataclass(frozen=True)
class _Cone:
    """A straight branch between two balls."""

    start_mm: Triple
    end_mm: Triple
    start_radius_mm: float
    end_radius_mm: float

    @property
    def centre_mm(self) -> Triple:
        x, y, z = ((one + two) / 2 for one, two in zip(self.start_mm, self.end_mm, strict=True))
        return x, y, z

    @property
    def half_mm(self) -> Triple:
        thick = max(self.start_radius_mm, self.end_radius_mm)
        x, y, z = (abs(two - one) / 2 + thick for one, two in zip(self.start_mm, self.end_mm, strict=True))
        return x, y, z

    def distance_mm(self, x: Array, y: Array, z: Array) -> Array:
        """Return how far positions lie from its surface, negative inside."""
        relative = [axis - np.float32(first) for axis, first in zip((x, y, z), self.start_mm, strict=True)]
        run = [two - one for one, two in zip(self.start_mm, self.end_mm, strict=True)]
        share = np.clip(
            sum(a * np.float32(b) for a, b in zip(relative, run, strict=True)) / math.hypot(*run) ** 2, 0, 1
        )
        away = np.sqrt(sum((a - share * np.float32(b)) ** 2 for a, b in zip(relative, run, strict=True)))
        thin = self.end_radius_mm - self.start_radius_mm
        return np.asarray(away - (np.float32(self.start_radius_mm) + share * np.float32(thin)), np.float32)


TRACHEA = (
    _Cone((1.0, -2.0, 170.0), (3.0, 8.0, 26.0), 9.0, 8.5),
    _Cone((3.0, 8.0, 26.0), (-34.0, 14.0, 2.0), 7.0, 5.5),
    _Cone((3.0, 8.0, 26.0), (42.0, 16.0, 0.0), 6.0, 5.0),
)
AORTA = (_Cone((23.0, 44.0, 40.0), (18.0, 44.0, -200.0), 12.5, 11.5),)
HANGING = _Cone((60.0, 34.0, 8.0), (81.0, 41.0, 84.0), 2.2, 1.1)
"""The vessel of the nodule that hangs on one."""


@dataclass(frozen=True)
class _Lung:
    """An ellipsoid above a dome of the diaphragm."""

    centre_mm: Triple
    semi_axes_mm: Triple
    dome_mm: float  # height of the top of the diaphragm
    fall_mm: float  # from there to its rim
    hilum_mm: Triple

    def distance_mm(self, x: Array, y: Array, z: Array) -> Array:
        """Return how far positions lie from its surface, negative inside."""
        x, y, z = (axis - np.float32(middle) for axis, middle in zip((x, y, z), self.centre_mm, strict=True))
        rim = (x / self.semi_axes_mm[0]) ** 2 + (y / self.semi_axes_mm[1]) ** 2
        above = (self.dome_mm - self.centre_mm[2] - self.fall_mm * rim - z) * np.float32(0.75)  # it leans: 41 degrees
        return np.maximum(_ellipsoid((x, y, z), self.semi_axes_mm), above)


RIGHT_LUNG = _Lung((-66.0, 0.0, -5.0), (58.0, 80.0, 118.0), -60.0, 36.0, (-32.0, 10.0, 6.0))
LEFT_LUNG = _Lung((64.0, 2.0, 0.0), (54.0, 78.0, 114.0), -76.0, 30.0, (38.0, 12.0, 8.0))


def paint_chest(
    shape: Shape,
    affine: Affine,
    *,
    nodules: Sequence[Nodule] = NODULES,
    edge_mm: float = EDGE_MM,
    lungs: bool = True,
) -> Array:
    """Return the chest in HU without noise, (slice, row, column).

    affine  (slice, row, column) indices to LPS mm; the origin lies between the lungs, z rises to the head
    edge_mm width of the edges between tissues
    lungs   whether there are any: without, soft tissue takes their place
    """
    canvas = _Canvas(shape, affine, edge_mm)
    _paint_trunk(canvas)
    if lungs:
        _paint_lungs(canvas)
        _paint_vessels(canvas, nodules)
        _paint_nodules(canvas, nodules)
    return canvas.hu


def ct_noise(shape: Shape, sigma_hu: float, rng: np.random.Generator, *, grain_pixels: float = 0.6) -> Array:
    """Return noise with the grain of a CT: correlated within a slice, not across slices."""
    noise = rng.standard_normal(shape, np.float32)
    ndimage.gaussian_filter(noise, (0, grain_pixels, grain_pixels), output=noise)
    return np.asarray(noise * np.float32(sigma_hu / max(float(noise[:8].std()), 1e-6)), np.float32)


def nodule_region(nodule: Nodule, shape: Shape, affine: Affine, *, samples: int = 4) -> Region | None:
    """Return the voxels of which at least half lies in a nodule, without spicules; None when there is none.

    samples  places along each axis of a voxel at which the shape is looked up
    """
    box = _box(shape, affine, nodule.centre_mm, (nodule.reach_mm,) * 3)
    start, size = (box[0].start, box[1].start, box[2].start), (_size(box[0]), _size(box[1]), _size(box[2]))
    if not all(size):
        return None
    return region_of(nodule_fraction(nodule, size, _moved(affine, start), samples) >= 0.5, start)


def nodule_fraction(nodule: Nodule, shape: Shape, affine: Affine, samples: int = 4) -> Array:
    """Return the part of each voxel of a grid that lies in a nodule, without spicules and what is beyond the pleura."""
    fine = affine.copy()
    fine[:3, :3] /= samples
    fine[:3, 3] -= fine[:3, :3] @ np.full(3, (samples - 1) / 2)
    size = (shape[0] * samples, shape[1] * samples, shape[2] * samples)
    places = _positions(fine, (slice(0, size[0]), slice(0, size[1]), slice(0, size[2])))
    inside = nodule.distance_mm(*places) <= 0
    if not nodule.in_lung:
        inside = inside & (np.minimum(RIGHT_LUNG.distance_mm(*places), LEFT_LUNG.distance_mm(*places)) <= 0)
    blocks = np.broadcast_to(inside, size).reshape(shape[0], samples, shape[1], samples, shape[2], samples)
    return np.asarray(blocks.mean(axis=(1, 3, 5)), np.float32)


class _Canvas:
    """Densities on a grid, and how much of each voxel is lung."""

    def __init__(self, shape: Shape, affine: Affine, edge_mm: float) -> None:
        self.hu = np.full(shape, AIR_HU, np.float32)
        self.lung = np.zeros(shape, np.float32)
        self.affine, self.edge_mm = affine, edge_mm
        half = affine[:3, :3] @ ((np.array(shape) - 1) / 2)
        self.middle_mm = _triple(affine[:3, 3] + half)
        self.radius_mm = float(np.linalg.norm(affine[:3, :3], axis=0) @ np.array(shape)) / 2 + edge_mm

    def may_show(self, cone: _Cone) -> bool:
        """Return whether a branch may reach into the grid: few do where the grid is small."""
        return math.dist(cone.centre_mm, self.middle_mm) < self.radius_mm + math.hypot(*cone.half_mm)

    def box(self, centre_mm: Triple, half_mm: Triple) -> tuple[slice, slice, slice]:
        """Return the part of the grid around a place, with room for the edges."""
        x, y, z = (half + self.edge_mm for half in half_mm)
        return _box(self.hu.shape, self.affine, centre_mm, (x, y, z))

    def positions(self, box: tuple[slice, slice, slice]) -> tuple[Array, Array, Array]:
        """Return x, y and z of a part of the grid, for broadcasting against each other."""
        return _positions(self.affine, box)

    def share(self, distance_mm: Array) -> Array:
        """Return how much of a voxel a shape covers, by the distance from its surface."""
        return np.asarray(np.clip(np.float32(0.5) - distance_mm / np.float32(self.edge_mm), 0, 1), np.float32)

    def blend(self, box: tuple[slice, slice, slice], share: Array, hu: Array | float) -> None:
        """Put a shape over what is there."""
        _blend(self.hu[box], share, hu)

    def paint(self, cone: _Cone, hu: float, *, in_lung: bool = False) -> None:
        """Put a branch over what is there, or only over lung."""
        box = self.box(cone.centre_mm, cone.half_mm)
        if not self.hu[box].size:
            return
        share = self.share(cone.distance_mm(*self.positions(box)))
        self.blend(box, share * self.lung[box] if in_lung else share, hu)


def _blend(over: Array, share: Array, hu: Array | float) -> None:
    over += share * (np.asarray(hu, np.float32) - over)


ALL = (math.inf, math.inf, math.inf)


def _paint_trunk(canvas: _Canvas) -> None:
    """Table, skin and fat, muscle, spine, ribs, gas in the stomach: all that lies behind, around or below the lungs."""
    box = canvas.box((0, 0, 0), ALL)
    x, y, z = canvas.positions(box)
    trunk = np.full(np.broadcast_shapes(x.shape, y.shape), AIR_HU, np.float32)
    for distance, hu in (
        (np.abs(y - 117 - x * x / 2500) - 3, -250.0),
        (_ellipsoid((x, y), (150, 106)), FAT_HU),
        (_ellipsoid((x, y), (139, 97)), SOFT_HU),
        (_ellipsoid((x, y - 72), (19, 15)), BONE_HU),
        (_ellipsoid((x, y - 72), (17, 13)), MARROW_HU),
        (_ellipsoid((x, y - 96), (8, 7)), BONE_HU),
    ):
        _blend(trunk, canvas.share(distance), hu)
    canvas.hu[:] = trunk
    ring = np.abs(_ellipsoid((x, y), (132, 90.5)))
    gap = np.float32(5.5) - np.abs((z + np.float32(0.45) * y) % 27 - np.float32(13.5))  # how deep in a rib, along z
    canvas.blend(box, canvas.share(np.maximum(ring - np.float32(3.5), -gap)), BONE_HU)
    canvas.blend(box, canvas.share(np.maximum(ring - np.float32(1.5), np.float32(2) - gap)), MARROW_HU)
    gas = canvas.box((62, -28, -128), (26, 22, 12))
    xg, yg, zg = canvas.positions(gas)
    canvas.blend(gas, canvas.share(_ellipsoid((xg - 62, yg + 28, zg + 128), (26, 22, 12))), -980.0)


def _paint_lungs(canvas: _Canvas) -> None:
    """Lungs with what lies between them: mediastinum, heart, aorta, trachea and main bronchi."""
    for lung in (RIGHT_LUNG, LEFT_LUNG):
        box = canvas.box(lung.centre_mm, lung.semi_axes_mm)
        x, y, z = canvas.positions(box)
        share = canvas.share(lung.distance_mm(x, y, z))
        for inner in (_ellipsoid((x - 3, y - 4), (31, 88)), _ellipsoid((x - 26, y + 30, z + 46), (48, 42, 46))):
            share *= 1 - canvas.share(inner)
        share *= 1 - canvas.share(_ellipsoid((x, y - 72), (21, 17)))
        for cone in AORTA:
            share *= 1 - canvas.share(cone.distance_mm(x, y, z))
        canvas.lung[box] = np.maximum(canvas.lung[box], share)
        fissure = np.abs(z + np.float32(0.9) * (y - 5)) * np.float32(0.74)
        density = LUNG_HU + GRAVITY_HU_PER_MM * y + 110 * canvas.share(fissure - np.float32(0.3))
        canvas.blend(box, share, density)
    for cone in AORTA:
        canvas.paint(cone, SOFT_HU + 5)
    for cone in TRACHEA:
        canvas.paint(_thicker(cone, 1.5), 20.0)
    for cone in TRACHEA:
        canvas.paint(cone, AIR_HU)


def _paint_vessels(canvas: _Canvas, nodules: Sequence[Nodule]) -> None:
    for cone in filter(canvas.may_show, (*_vessels(), HANGING)):
        if cone is HANGING or not any(_near(cone, nodule) for nodule in nodules):
            canvas.paint(cone, SOFT_HU, in_lung=True)


def _paint_nodules(canvas: _Canvas, nodules: Sequence[Nodule]) -> None:
    for nodule in nodules:
        for spicule in _spicules(nodule):
            canvas.paint(spicule, nodule.hu, in_lung=True)
        box = canvas.box(nodule.centre_mm, (nodule.reach_mm,) * 3)
        share = canvas.share(nodule.distance_mm(*canvas.positions(box)))
        canvas.blend(box, share * canvas.lung[box], nodule.hu)


def _spicules(nodule: Nodule) -> Iterator[_Cone]:
    """Yield thin cones that stand out of a ball, evenly around it."""
    radius = nodule.reach_mm
    for number in range(nodule.spicules):
        height = 1 - 2 * (number + 0.5) / nodule.spicules
        around = number * math.pi * (3 - math.sqrt(5))
        flat = math.sqrt(1 - height**2)
        out = np.array([flat * math.cos(around), flat * math.sin(around), height])
        tip = radius + 5.0 + 3.0 * (number % 3) / 2
        yield _Cone(_along(nodule.centre_mm, out, radius - 2), _along(nodule.centre_mm, out, tip), 1.1, 0.3)


@cache
def _vessels() -> tuple[_Cone, ...]:
    """Return the branches of both lungs: from the hilum, in two at each fork, ever thinner, until the pleura."""
    rng = np.random.default_rng(5)
    stems = [
        (0.35, -0.5, 0.8),
        (0.5, 0.5, 0.75),
        (1.0, -0.35, 0.1),
        (0.8, 0.7, -0.3),
        (0.45, 0.35, -0.9),
        (0.6, -0.6, -0.6),
    ]
    branches: list[_Cone] = []
    for lung, outward in ((RIGHT_LUNG, -1.0), (LEFT_LUNG, 1.0)):
        for x, y, z in stems:
            heading = np.array([outward * x, y, z]) + rng.normal(0, 0.1, 3)
            branches += _branches(lung, lung.hilum_mm, heading / np.linalg.norm(heading), 4.6, rng)
    return tuple(branches)


def _branches(
    lung: _Lung, start_mm: Triple, heading: Affine, radius_mm: float, rng: np.random.Generator
) -> Iterator[_Cone]:
    end_mm = _along(start_mm, heading, (7 + 3.6 * radius_mm) * float(rng.uniform(0.8, 1.2)))
    if radius_mm < THINNEST_MM:
        return
    yield _Cone(start_mm, end_mm, radius_mm, 0.85 * radius_mm)
    if float(lung.distance_mm(*(np.array(value, np.float32) for value in end_mm))) > -6:
        return
    sideways = np.cross(heading, rng.normal(0, 1, 3))
    sideways /= np.linalg.norm(sideways)
    for sign in (1, -1):
        angle = math.radians(float(rng.uniform(18, 42)))
        turned = math.cos(angle) * heading + sign * math.sin(angle) * sideways
        yield from _branches(lung, end_mm, turned, radius_mm * float(rng.uniform(0.7, 0.85)), rng)


def _near(cone: _Cone, nodule: Nodule) -> bool:
    near_mm = nodule.reach_mm + AROUND_MM
    if math.dist(cone.centre_mm, nodule.centre_mm) > near_mm + math.hypot(*cone.half_mm):
        return False
    middle = (np.array([value], np.float32) for value in nodule.centre_mm)
    return bool(cone.distance_mm(*middle)[0] < near_mm)


def _thicker(cone: _Cone, by_mm: float) -> _Cone:
    return _Cone(cone.start_mm, cone.end_mm, cone.start_radius_mm + by_mm, cone.end_radius_mm + by_mm)


def _along(start_mm: Triple, heading: Affine, far_mm: float) -> Triple:
    return _triple(np.array(start_mm) + heading * far_mm)


def _triple(values: Affine) -> Triple:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _ellipsoid(places: tuple[Array, ...], semi_axes_mm: tuple[float, ...]) -> Array:
    """Return the distance to an ellipsoid around the origin, to first order at its surface, negative inside."""
    small = np.float32(1e-6)  # at the centre, both sums are nothing
    squares = small + sum((axis / np.float32(semi)) ** 2 for axis, semi in zip(places, semi_axes_mm, strict=True))
    slopes = sum((axis / np.float32(semi**2)) ** 2 for axis, semi in zip(places, semi_axes_mm, strict=True))
    radius = np.sqrt(np.asarray(squares, np.float32))
    return np.asarray(radius * (radius - 1) / np.sqrt(slopes + small / np.float32(max(semi_axes_mm) ** 2)), np.float32)


def _positions(affine: Affine, box: tuple[slice, slice, slice]) -> tuple[Array, Array, Array]:
    """Return x, y and z of a box of voxels; an axis that a coordinate does not change along has length 1."""
    places = []
    for row in affine[:3]:
        place = np.full((1, 1, 1), row[3], np.float64)
        for axis, part in enumerate(box):
            if abs(row[axis]) > 1e-9:
                along = np.arange(part.start, part.stop) * row[axis]
                place = place + along.reshape([-1 if other == axis else 1 for other in range(3)])
        places.append(np.asarray(place, np.float32))
    return places[0], places[1], places[2]


def _box(shape: Sequence[int], affine: Affine, centre_mm: Triple, half_mm: Triple) -> tuple[slice, slice, slice]:
    """Return the voxels within a distance of a place along each patient axis; the box may be empty."""
    if math.isinf(half_mm[0]):
        return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])
    inverse = np.linalg.inv(affine)
    middle = inverse[:3, :3] @ centre_mm + inverse[:3, 3]
    half = np.abs(inverse[:3, :3]) @ half_mm
    first = np.clip(np.floor(middle - half).astype(int), 0, shape)
    last = np.clip(np.ceil(middle + half).astype(int) + 1, first, shape)
    k, j, i = (slice(start, stop) for start, stop in zip(first.tolist(), last.tolist(), strict=True))
    return k, j, i


def _moved(affine: Affine, start: Shape) -> Affine:
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ np.array(start)
    return moved


def _size(part: slice) -> int:
    return int(part.stop - part.start)
