"""A synthetic female pelvis: labels of a procedural phantom, evaluated at any grid of patient positions.

Nothing here comes from a person. A seed draws size and tilt of the pelvis, filling of bladder and rectum, lie and shape
of the uterus, ovaries, lymph nodes, and a lobulated tumour of the cervix whose volume is exact: its scale is the one at
which as many places of a fine grid lie inside. Sizes and places are roughly those of an adult; no study was measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Points = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]
Places = tuple[Points, Points, Points]
Triple = tuple[float, float, float]
Box = tuple[Triple, Triple]

TUMOUR_ML = (1.0, 60.0)
"""Least and largest volume of a tumour that is drawn."""
RIND_MM = 1.5
"""Thickness of cortical bone."""
CHUNK = 1 << 15
"""Positions that are labelled at a time: few enough for the cache, near enough to leave most shapes out."""
CALIBRATION = 60
"""Places along each axis of the grid on which the volume of a tumour is measured."""
FURTHEST = 2.5
"""Radius, as a multiple of that of the ball of equal volume, that no tumour needs where organs squeeze it."""
SHADOW = (0.5, 0.65, 0.8, 1.0)
"""Parts of the way from the middle of a tumour at which an organ stops it: it does not grow on behind a bladder."""


class Tissue(IntEnum):
    """Labels of the phantom; tables of signals are indexed by them."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    CORTICAL_BONE = 3
    MARROW = 4
    BOWEL = 5
    URINE = 6
    BLADDER_WALL = 7
    MYOMETRIUM = 8
    JUNCTIONAL_ZONE = 9  # and fibroids
    ENDOMETRIUM = 10
    STROMA = 11  # of the cervix
    CANAL = 12  # of the cervix, and cysts beside it
    VAGINA = 13
    RECTAL_WALL = 14
    STOOL = 15
    GAS = 16
    VESSEL = 17
    OVARY = 18
    FOLLICLE = 19
    LYMPH_NODE = 20
    PARAMETRIUM = 21  # fat with veins
    TUMOUR = 22


class Shape(Protocol):
    """A body as an implicit function."""

    @property
    def box_mm(self) -> Box:
        """Lowest and highest corner of a box that holds it."""
        ...

    def level_mm(self, x: Points, y: Points, z: Points) -> Points:
        """Return about how far positions lie outside of its surface, negative inside."""
        ...


@dataclass(frozen=True)
class Wobble:
    """A smooth unevenness of a surface."""

    height_mm: float = 0.0
    waves: tuple[Triple, ...] = ()  # per mm
    phases: tuple[float, ...] = ()

    def __call__(self, x: Points, y: Points, z: Points) -> Points | float:
        """Return the unevenness at positions, in mm."""
        if not self.waves:
            return 0.0
        total: Points = np.zeros_like(x)
        for wave, phase in zip(self.waves, self.phases, strict=True):
            a, b, c = map(np.float32, wave)
            total += np.sin(a * x + b * y + c * z + np.float32(phase))
        return np.asarray(total * np.float32(self.height_mm / len(self.waves)), np.float32)


SMOOTH = Wobble()


@dataclass(frozen=True)
class Ellipsoid:
    """An uneven ellipsoid, turned about the left, posterior and head axes."""

    centre_mm: Triple
    semi_axes_mm: Triple
    turn_deg: Triple = (0.0, 0.0, 0.0)
    wobble: Wobble = SMOOTH

    @cached_property
    def box_mm(self) -> Box:
        """Lowest and highest corner of a box that holds it."""
        reach = np.sqrt((self._turn**2) @ np.square(self.semi_axes_mm)) + self.wobble.height_mm
        return _around([self.centre_mm], reach)

    def level_mm(self, x: Points, y: Points, z: Points) -> Points:
        """Return about how far positions lie outside of its surface, negative inside."""
        turn = self._turn.astype(np.float32)
        places = [axis - np.float32(middle) for axis, middle in zip((x, y, z), self.centre_mm, strict=True)]
        own = [sum(turn[row, column] * places[row] for row in range(3)) for column in range(3)]
        share = [place / np.float32(size) for place, size in zip(own, self.semi_axes_mm, strict=True)]
        slope = [place / np.float32(size) for place, size in zip(share, self.semi_axes_mm, strict=True)]
        radius = np.sqrt(share[0] ** 2 + share[1] ** 2 + share[2] ** 2)
        steep = np.sqrt(slope[0] ** 2 + slope[1] ** 2 + slope[2] ** 2)
        level = radius * (radius - 1) / np.maximum(steep, np.float32(1e-6))
        return np.asarray(np.where(radius < 1e-3, -min(self.semi_axes_mm), level) + self.wobble(x, y, z), np.float32)

    @cached_property
    def _turn(self) -> npt.NDArray[np.float64]:
        return np.asarray(Rotation.from_euler("xyz", self.turn_deg, degrees=True).as_matrix())


@dataclass(frozen=True)
class Tube:
    """Cones along a line, with round ends; wider from left to right than in depth when stretched."""

    line_mm: tuple[Triple, ...]
    radii_mm: tuple[float, ...]  # one for each point of the line
    stretch: float = 1.0
    wobble: Wobble = SMOOTH

    @cached_property
    def box_mm(self) -> Box:
        """Lowest and highest corner of a box that holds it."""
        reach = np.outer(self.radii_mm, [self.stretch, 1, 1]) + self.wobble.height_mm * max(1, self.stretch)
        return _around(self.line_mm, reach)

    @property
    def cones(self) -> tuple[Tube, ...]:
        """Its pieces, each with a box of its own: they leave out more positions than the whole."""
        joints = zip(itertools.pairwise(self.line_mm), itertools.pairwise(self.radii_mm), strict=True)
        return tuple(Tube(ends, radii, self.stretch, self.wobble) for ends, radii in joints)

    def level_mm(self, x: Points, y: Points, z: Points) -> Points:
        """Return about how far positions lie outside of its surface, negative inside."""
        narrow = [(a / self.stretch, b, c) for a, b, c in self.line_mm]
        flat = x / np.float32(self.stretch)
        joints = zip(itertools.pairwise(narrow), itertools.pairwise(self.radii_mm), strict=True)
        levels = [_cone(flat, y, z, *ends, *radii) for ends, radii in joints]
        return np.asarray(np.minimum.reduce(levels) + self.wobble(x, y, z), np.float32)


@dataclass(frozen=True)
class Funnel:
    """The wall of an upright funnel: the pelvic floor."""

    centre_mm: tuple[float, float]  # left, back
    heights_mm: tuple[float, float]  # of its narrow and of its wide end
    radii_mm: tuple[float, float]  # at these
    half_mm: float  # half the thickness of the wall

    @cached_property
    def box_mm(self) -> Box:
        """Lowest and highest corner of a box that holds it."""
        (left, back), (low, high), reach = self.centre_mm, self.heights_mm, max(self.radii_mm) + self.half_mm
        return (left - reach, back - 1.3 * reach, low), (left + reach, back + 1.3 * reach, high)

    def level_mm(self, x: Points, y: Points, z: Points) -> Points:
        """Return about how far positions lie outside of its surface, negative inside."""
        (low, high), (narrow, wide) = self.heights_mm, self.radii_mm
        share = np.clip((z - low) / (high - low), 0, 1)
        away = np.hypot(x - self.centre_mm[0], (y - self.centre_mm[1]) / 1.3)
        level = np.abs(away - (narrow + (wide - narrow) * np.sqrt(share))) - self.half_mm
        return np.asarray(np.maximum(level, np.maximum(low - z, z - high)), np.float32)


@dataclass(frozen=True)
class Folds:
    """What fills an ellipsoid in loops, such as bowel."""

    within: Ellipsoid
    wobble: Wobble
    least: float  # of the waves' sum, -1 to 1

    @cached_property
    def box_mm(self) -> Box:
        """Lowest and highest corner of a box that holds it."""
        return self.within.box_mm

    def level_mm(self, x: Points, y: Points, z: Points) -> Points:
        """Return about how far positions lie outside of its surface, negative inside."""
        return np.maximum(self.within.level_mm(x, y, z), 10 * (self.least - np.asarray(self.wobble(x, y, z))))


@dataclass(frozen=True)
class Part:
    """What is painted over all that came before."""

    tissue: Tissue
    shape: Shape
    grow_mm: float = 0.0  # beyond the surface of the shape; negative for what lies below it


@dataclass(frozen=True)
class Tumour:
    """A lobulated body around a middle: every ray from there leaves it once, unless an organ stops it before."""

    centre_mm: Triple
    squeeze: Triple  # of its ellipsoid along left, posterior and head
    lobes: tuple[tuple[Triple, float, float], ...]  # direction, height, sharpness
    wobble: Wobble  # of directions
    stops: tuple[Shape, ...]
    scale_mm: float = 1.0

    @cached_property
    def box_mm(self) -> Box:
        """Lowest and highest corner of a box that holds it."""
        furthest = self.scale_mm * (1 + sum(height for _, height, _ in self.lobes) + self.wobble.height_mm)
        return _around([self.centre_mm], furthest * np.array(self.squeeze))

    def level_mm(self, x: Points, y: Points, z: Points) -> Points:
        """Return a number that is negative inside, in no exact unit; beyond any where an organ lies on the way."""
        level = self.radius(x, y, z) - np.float32(1)
        inside = np.flatnonzero(level <= 0)
        level[inside[self.stopped(x[inside], y[inside], z[inside])]] = np.inf
        return level

    def radius(self, x: Points, y: Points, z: Points) -> Points:
        """Return the distance from the middle, 1 at the surface, whatever lies on the way."""
        away = [axis - np.float32(middle) for axis, middle in zip((x, y, z), self.centre_mm, strict=True)]
        a, b, c = (axis / np.float32(size * self.scale_mm) for axis, size in zip(away, self.squeeze, strict=True))
        distance = np.sqrt(a**2 + b**2 + c**2) + np.float32(1e-6)
        a, b, c = a / distance, b / distance, c / distance
        surface = 1 + np.asarray(self.wobble(a, b, c))
        for way, height, sharpness in self.lobes:
            left, back, head = map(np.float32, way)
            lobe = np.exp(np.float32(sharpness) * (a * left + b * back + c * head - 1))
            surface = surface + np.float32(height) * lobe
        return np.asarray(distance / surface, np.float32)

    def stopped(self, x: Points, y: Points, z: Points) -> npt.NDArray[np.bool_]:
        """Return which positions lie in an organ that stops it, or behind one."""
        found = np.zeros(x.shape, np.bool_)
        for shape, share in itertools.product(self.stops, SHADOW):
            a, b, c = (
                np.float32(share) * axis + np.float32((1 - share) * middle)
                for axis, middle in zip((x, y, z), self.centre_mm, strict=True)
            )
            found |= shape.level_mm(a, b, c) <= 0
        return found


@dataclass(frozen=True)
class Frame:
    """From patient positions to those of the drawing: tilt, size, and a smooth warp; the origin stays."""

    turn_deg: Triple
    size: Triple  # 1 is as drawn
    warp_mm: float
    waves: tuple[float, ...]  # per mm; six: of each axis along both others
    phases: tuple[float, ...]

    def __call__(self, points_mm: Points) -> Places:
        """Return the positions in the drawing of patient positions (n, 3)."""
        turn = Rotation.from_euler("xyz", self.turn_deg, degrees=True).as_matrix() / np.array(self.size)
        own = (points_mm @ turn.astype(np.float32)).T
        x, y, z = (np.ascontiguousarray(axis + shift) for axis, shift in zip(own, self._shifts(own), strict=True))
        return x, y, z

    def _shifts(self, own: Points) -> Iterator[Points]:
        for axis in range(3):
            shift: Points = np.zeros_like(own[axis])
            for step in (1, 2):
                wave, phase = self.waves[2 * axis + step - 1], self.phases[2 * axis + step - 1]
                along = own[(axis + step) % 3]
                shift += np.sin(np.float32(wave) * along + np.float32(phase)) - np.float32(math.sin(phase))
            yield np.float32(self.warp_mm / 2) * shift


@dataclass(frozen=True)
class Pelvis:
    """A drawn pelvis."""

    seed: int
    tumour_ml: float  # 0 when there is no tumour
    frame: Frame
    body: Ellipsoid  # so long that it is a cylinder
    skin_mm: float  # least thickness of the fat below the skin
    parts: tuple[Part, ...]  # in the order of painting
    tumour: Tumour | None

    @cached_property
    def painted(self) -> tuple[Part, ...]:
        """All parts, the tumour last."""
        return self.parts if self.tumour is None else (*self.parts, Part(Tissue.TUMOUR, self.tumour))

    @cached_property
    def boxes_mm(self) -> tuple[Points, Points]:
        """Lowest and highest corners of boxes that hold each part, (part, 3)."""
        boxes = np.array([part.shape.box_mm for part in self.painted])
        margin = np.array([[max(0.0, part.grow_mm) + 0.01] for part in self.painted])
        return (boxes[:, 0] - margin).astype(np.float32), (boxes[:, 1] + margin).astype(np.float32)


def draw_pelvis(seed: int, *, tumour_ml: float | None = None) -> Pelvis:
    """Return a pelvis; equal arguments give equal ones, a seed the same person but for what a tumour pushes away.

    tumour_ml  volume of the tumour; None draws one, log-uniform within TUMOUR_ML; 0 for none

    >>> draw_pelvis(3, tumour_ml=20.0).tumour_ml
    20.0
    """
    rng = np.random.default_rng([seed, 6])
    drawn = float(np.exp(rng.uniform(*np.log(TUMOUR_ML))))
    wanted = drawn if tumour_ml is None else float(tumour_ml)
    frame = _draw_frame(rng)
    body = Ellipsoid((rng.normal(0, 3), rng.normal(-4, 3), 0.0), (rng.uniform(172, 196), rng.uniform(108, 124), 4000.0))
    pushed_mm = 0.7 * max(0.0, (750 * wanted / math.pi) ** (1 / 3) - 13)
    bladder, rectum = _draw_bladder(rng, pushed_mm), _draw_rectum(rng, pushed_mm)
    axis = _draw_axis(rng)
    painted = (
        *_muscles(rng),
        *_bowel(rng),
        *_hollow(bladder, rectum, rng),
        *_bones(),
        *_vessels(rng),
        *_nodes(rng),
        *_uterus(rng, axis),
        *_ovaries(rng),
    )
    parts = tuple(piece for part in painted for piece in _pieces(part))
    tumour = _draw_tumour(rng, wanted, frame, (bladder, rectum)) if wanted > 0 else None
    return Pelvis(seed, wanted, frame, body, float(rng.uniform(9, 22)), parts, tumour)


def label_pelvis(pelvis: Pelvis, points_mm: npt.NDArray[np.floating]) -> Labels:
    """Return the tissue label at each patient position.

    points_mm  (..., 3) LPS positions in mm; the origin is the middle of the cervix
    """
    points = np.asarray(points_mm, np.float32)
    flat = points.reshape(-1, 3)
    labels = np.zeros(len(flat), np.uint8)
    for start in range(0, len(flat), CHUNK):
        labels[start : start + CHUNK] = _label(pelvis, flat[start : start + CHUNK])
    return labels.reshape(points.shape[:-1])


def _label(pelvis: Pelvis, points: Points) -> Labels:
    places = pelvis.frame(points)
    skin = pelvis.body.level_mm(*places)
    labels = np.full(len(points), Tissue.FAT, np.uint8)
    least, most = (np.array([function(axis) for axis in places]) for function in (np.min, np.max))
    lows, highs = pelvis.boxes_mm
    for number in np.flatnonzero(((highs >= least) & (lows <= most)).all(1)):
        part = pelvis.painted[number]
        near = _near(places, lows[number], highs[number], most - least)
        if len(near):
            inside = part.shape.level_mm(*(axis[near] for axis in places)) <= part.grow_mm
            labels[near[inside]] = part.tissue
    labels[skin > -pelvis.skin_mm] = Tissue.FAT
    labels[skin > 0] = Tissue.AIR
    return labels


def _pieces(part: Part) -> Iterator[Part]:
    shapes = part.shape.cones if isinstance(part.shape, Tube) else (part.shape,)
    yield from (replace(part, shape=shape) for shape in shapes)


def _near(places: Places, low: Points, high: Points, extent: Points) -> npt.NDArray[np.intp]:
    """Return which positions lie in a box; first along the axis along which most of them do not."""
    first, *others = np.argsort((high - low) / (extent + 1))
    near = np.flatnonzero((places[first] >= low[first]) & (places[first] <= high[first]))
    for axis in others:
        here = places[axis][near]
        near = near[(here >= low[axis]) & (here <= high[axis])]
    return near


def _around(line: Iterable[Triple], reach: npt.NDArray[np.float64]) -> Box:
    points = np.array(list(line))
    low, high = (points - reach).min(0), (points + reach).max(0)
    return (float(low[0]), float(low[1]), float(low[2])), (float(high[0]), float(high[1]), float(high[2]))


def _cone(x: Points, y: Points, z: Points, start: Triple, end: Triple, first_mm: float, last_mm: float) -> Points:
    """Return how far positions lie outside of a cone with round ends, about."""
    places = [axis - np.float32(at) for axis, at in zip((x, y, z), start, strict=True)]
    run = [np.float32(b - a) for a, b in zip(start, end, strict=True)]
    length = np.float32(sum(float(part) ** 2 for part in run))
    share = np.clip((places[0] * run[0] + places[1] * run[1] + places[2] * run[2]) / length, 0, 1)
    away = [place - share * part for place, part in zip(places, run, strict=True)]
    distance = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
    return np.asarray(distance - np.float32(first_mm) - share * np.float32(last_mm - first_mm), np.float32)


def _mirrored(line: tuple[Triple, ...], side: int) -> tuple[Triple, ...]:
    return tuple((side * x, y, z) for x, y, z in line)


def _draw_wobble(rng: np.random.Generator, height_mm: float, period: float, count: int = 3) -> Wobble:
    """Return an unevenness with a period in the unit of the positions."""
    waves = rng.normal(0, 1, (count, 3))
    waves *= 2 * math.pi / period / np.linalg.norm(waves, axis=1, keepdims=True)
    rows = tuple((float(a), float(b), float(c)) for a, b, c in waves)
    return Wobble(height_mm, rows, tuple(rng.uniform(0, 2 * math.pi, count).tolist()))


def _draw_frame(rng: np.random.Generator) -> Frame:
    turn = (float(rng.normal(0, 6)), float(rng.normal(0, 2.5)), float(rng.normal(0, 2.5)))
    overall = rng.uniform(0.95, 1.05)
    x, y, z = (overall * rng.uniform(0.95, 1.05, 3)).tolist()
    waves = tuple((2 * math.pi / rng.uniform(110, 190, 6)).tolist())
    return Frame(turn, (x, y, z), float(rng.uniform(1, 4)), waves, tuple(rng.uniform(0, 2 * math.pi, 6).tolist()))


def _draw_bladder(rng: np.random.Generator, pushed_mm: float) -> Ellipsoid:
    """In front of the cervix; the fuller, the higher."""
    volume_ml = float(np.exp(rng.uniform(math.log(40), math.log(330))))
    size = (volume_ml * 750 / math.pi) ** (1 / 3)
    wide, deep, high = 1.18 * size, rng.uniform(0.8, 0.92) * size, 0.0
    high = size**3 / (wide * deep)
    centre = (float(rng.normal(0, 3)), -(17 + deep + pushed_mm), float(high - rng.uniform(26, 34)))
    return Ellipsoid(centre, (wide, deep, high), (float(rng.uniform(-18, 5)), 0.0, 0.0), _draw_wobble(rng, 2.2, 45))


def _draw_rectum(rng: np.random.Generator, pushed_mm: float) -> Tube:
    """Along the sacrum and down to the anal canal, which runs to the back."""
    wide, side = rng.uniform(10, 18), rng.normal(0, 5)
    front = 17 + wide + pushed_mm
    line: tuple[Triple, ...] = (
        (0.0, 34.0, -95.0), (0.0, 24.0, -68.0), (0.3 * side, min(front, 34.0), -42.0), (side, front, -8.0),
        (-side, max(front + 3, 38.0), 28.0), (14 + side, 40.0, 58.0), (34.0, 22.0, 82.0),
    )  # fmt: skip
    return Tube(line, (9.0, 10.0, 0.8 * wide, wide, 0.95 * wide, 0.85 * wide, 12.0), 1.0, _draw_wobble(rng, 2.0, 35))


def _draw_axis(rng: np.random.Generator) -> tuple[Triple, ...]:
    """Return external os, internal os, middle and fundus: anteverted in four of five."""
    half = rng.uniform(13, 17)
    tilt = math.radians(rng.uniform(5, 25))
    back = rng.random() < 0.2
    bend = math.radians(rng.uniform(-65, -20) if back else rng.uniform(25, 75))
    lean, length = rng.normal(0, 0.12), rng.uniform(42, 62)
    internal = np.array([0, -half * math.sin(tilt), half * math.cos(tilt)])
    way = np.array([lean, -math.sin(bend), math.cos(bend)])
    line = (-internal, internal, internal + 0.55 * length * way, internal + 0.85 * length * way)
    return tuple((float(x), float(y), float(z)) for x, y, z in line)


def _muscles(rng: np.random.Generator) -> Iterator[Part]:
    bulk = rng.uniform(0.88, 1.1)
    for side in (-1, 1):
        shapes: tuple[Shape, ...] = (
            Ellipsoid((side * 72, 74, -15), (62 * bulk, 24 * bulk, 78), (0, 0, -side * 26), _draw_wobble(rng, 3, 60)),
            Ellipsoid((side * 128, 6, 45), (20 * bulk, 52, 70), (0, -side * 8, side * 18), _draw_wobble(rng, 3, 50)),
            Ellipsoid((side * 112, -58, -50), (34 * bulk, 28 * bulk, 62), (0, 0, 0), _draw_wobble(rng, 3, 40)),
            Tube(_mirrored(((58, -8, 130), (72, -38, 50), (86, -52, 0), (92, -38, -50)), side), (21, 21, 17, 15)),
            Tube(_mirrored(((32, 62, 32), (62, 58, 14), (112, 32, -5)), side), (11 * bulk, 12 * bulk, 7)),
            Ellipsoid((side * 58, -6, -24), (9 * bulk, 34, 31), (0, side * 8, side * 10), _draw_wobble(rng, 2, 40)),
            Ellipsoid((side * 54, -42, -68), (30, 11 * bulk, 20), (0, 0, -side * 30)),
            Ellipsoid((side * 28, -96, 50), (27, 7 * bulk, 110), (-5, 0, 0)),
        )
        for shape in shapes:
            yield Part(Tissue.MUSCLE, shape)
    yield Part(Tissue.MUSCLE, Funnel((0.0, 10.0), (-90.0, -32.0), (14.0, 47.0), 2.6 * bulk))


def _bowel(rng: np.random.Generator) -> Iterator[Part]:
    room = Ellipsoid((0, -25, 100), (78, 62, 55), (0, 0, 0), _draw_wobble(rng, 6, 60))
    waves = _draw_wobble(rng, 1.0, 42, 4)
    yield Part(Tissue.BOWEL, Folds(room, waves, 0.02))
    yield Part(Tissue.STOOL, Folds(room, waves, 0.25))
    yield Part(Tissue.GAS, Folds(room, waves, 0.5), -8.0)


def _bones() -> Iterator[Part]:
    """Rinds first: bones that have grown together show none between them."""
    sacrum = Tube(((0, 30, 98), (0, 58, 62), (0, 72, 28), (0, 67, -4), (0, 58, -22)), (19, 14, 10, 6, 4), 2.5)
    bones: list[Shape] = [sacrum]
    thighs: list[Shape] = []
    for side in (-1, 1):
        bones += [
            Ellipsoid((side * 88, 6, 72), (8.5, 66, 52), (0, side * 12, side * 33)),
            Ellipsoid((side * 82, -4, -10), (21, 30, 34)),
            Tube(_mirrored(((80, 14, -32), (66, 20, -80)), side), (17, 15)),
            Tube(_mirrored(((76, -28, -20), (38, -68, -30), (11, -80, -42)), side), (12, 8, 10)),
            Tube(_mirrored(((12, -76, -52), (36, -36, -74), (64, 16, -84)), side), (7, 6, 8)),
        ]
        thighs += [
            Ellipsoid((side * 94, -10, -20), (24.5, 24.5, 24.5)),
            Tube(_mirrored(((94, -10, -20), (130, 0, -46), (136, 4, -60), (126, -2, -130)), side), (14, 17, 17, 14)),
        ]
    for shapes in (bones, thighs):
        for grow, tissue in ((RIND_MM, Tissue.CORTICAL_BONE), (0.0, Tissue.MARROW)):
            yield from (Part(tissue, shape, grow) for shape in shapes)


def _vessels(rng: np.random.Generator) -> Iterator[Part]:
    for side in (-1, 1):
        across, back = rng.normal(0, 3, 2)
        outer = _moved(((30, 12, 105), (53, -18, 50), (67, -56, 8), (74, -84, -35)), across, back)
        vein = _moved(((30, 20, 105), (50, -7, 48), (60, -50, 4), (64, -82, -35)), across, back)
        inner = _moved(((33, 26, 95), (46, 42, 48), (46, 40, 12), (50, 24, -12)), across, back)
        uterine = ((47, 36, 14), (36, 14, 10), (19, 3, 2))
        for line, radius in ((outer, 4.6), (vein, 5.8), (inner, 3.6), (uterine, 1.5)):
            wide = radius * rng.uniform(0.85, 1.15)
            yield Part(Tissue.VESSEL, Tube(_mirrored(line, side), (wide,) * len(line)))


def _moved(line: tuple[Triple, ...], across: float, back: float) -> tuple[Triple, ...]:
    return tuple((x + across, y + back, z) for x, y, z in line)


def _nodes(rng: np.random.Generator) -> Iterator[Part]:
    """Small lymph nodes beside the vessels: as bright as a tumour in diffusion-weighted images, and none."""
    for _ in range(rng.integers(2, 7)):
        side, share = rng.choice([-1, 1]), rng.random()
        centre = (side * (48 + 10 * share), 4 - 48 * share + rng.normal(0, 4), 42 - 44 * share + rng.normal(0, 5))
        long, short = rng.uniform(3.5, 7), rng.uniform(2, 4)
        turn = (float(rng.uniform(-40, 40)), 0.0, float(rng.uniform(-40, 40)))
        yield Part(Tissue.LYMPH_NODE, Ellipsoid(centre, (short, short, long), turn))


def _hollow(bladder: Ellipsoid, rectum: Tube, rng: np.random.Generator) -> Iterator[Part]:
    yield Part(Tissue.RECTAL_WALL, rectum)
    yield Part(Tissue.STOOL, rectum, -rng.uniform(2.5, 4))
    start = int(rng.integers(2, 5))
    bubble = tuple((x, y - 3, z) for x, y, z in rectum.line_mm[start : start + 2])
    if rng.random() < 0.6:
        yield Part(Tissue.GAS, Tube(bubble, (rng.uniform(2, 8), rng.uniform(2, 8))))
    yield Part(Tissue.BLADDER_WALL, bladder)
    yield Part(Tissue.URINE, bladder, -rng.uniform(2.2, 4.5))


def _uterus(rng: np.random.Generator, axis: tuple[Triple, ...]) -> Iterator[Part]:
    """Parametria, vagina, corpus and cervix with their layers; a plane of fat parts them from what lies around."""
    external, internal, middle, fundus = axis
    thick, stout = rng.uniform(15, 23), rng.uniform(12, 15)
    uneven = _draw_wobble(rng, 1.5, 40)
    for side in (-1, 1):
        room = Ellipsoid((side * 24, 4, 1), (17, 9, 17), (0, 0, 0), _draw_wobble(rng, 3, 25))
        yield Part(Tissue.PARAMETRIUM, room)
        yield Part(Tissue.VESSEL, Folds(room, _draw_wobble(rng, 1.0, 13, 4), 0.42))
    corpus = Tube((internal, middle, fundus), (0.62 * thick, 0.95 * thick, thick), rng.uniform(1.1, 1.35), uneven)
    cervix = Tube((external, internal), (stout, 0.9 * stout), rng.uniform(1.05, 1.2), uneven)
    x, y, z = external
    fornix: Triple = (x, y + 1, z - 4)
    vagina = Tube((fornix, (0.0, 6.0, -45.0), (0.0, -4.0, -92.0)), (6.5, 4.5, 4.5), rng.uniform(2.2, 3), uneven)
    for shape in (vagina, corpus, cervix):
        yield Part(Tissue.FAT, shape, 1.8)
    yield Part(Tissue.VAGINA, vagina)
    yield Part(Tissue.CANAL, vagina, -rng.uniform(3.6, 4.3))
    yield Part(Tissue.MYOMETRIUM, corpus)
    lining, zone = rng.uniform(1.5, 5.5), rng.uniform(3, 6)
    cavity = Tube((internal, middle, fundus), (0.5, lining, 0.8 * lining), rng.uniform(1.6, 2.6))
    yield Part(Tissue.JUNCTIONAL_ZONE, cavity, zone)
    for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
        place = np.array(fundus) + rng.normal(0, 0.6 * thick, 3)
        size = (rng.uniform(4, 13),) * 3
        yield Part(Tissue.JUNCTIONAL_ZONE, Ellipsoid((place[0], place[1], place[2]), size, wobble=uneven))
    yield Part(Tissue.STROMA, cervix)
    yield Part(Tissue.ENDOMETRIUM, cavity)
    yield Part(Tissue.CANAL, Tube((external, internal), (rng.uniform(0.8, 1.8),) * 2, rng.uniform(1.5, 3)))
    for _ in range(rng.integers(0, 4)):
        turn, up = rng.uniform(0, 2 * math.pi), rng.uniform(-0.9, 0.6)
        place = up * np.array(internal) + np.array([7.5 * math.cos(turn), 7.5 * math.sin(turn), 0])
        yield Part(Tissue.CANAL, Ellipsoid((place[0], place[1], place[2]), (rng.uniform(1, 3),) * 3))


def _ovaries(rng: np.random.Generator) -> Iterator[Part]:
    for side in (-1, 1):
        centre = np.array([side * rng.uniform(38, 50), rng.uniform(-4, 20), rng.uniform(26, 50)])
        semi_axes = rng.uniform((10, 7, 12), (14, 11, 18))
        turn = (float(rng.uniform(-30, 30)), 0.0, float(rng.uniform(-30, 30)))
        yield Part(Tissue.OVARY, Ellipsoid(_triple(centre), _triple(semi_axes), turn, _draw_wobble(rng, 1, 15)))
        for _ in range(rng.integers(0, 7)):
            place = centre + rng.uniform(-0.55, 0.55, 3) * semi_axes
            yield Part(Tissue.FOLLICLE, Ellipsoid(_triple(place), (rng.uniform(1.5, 5),) * 3))


def _triple(values: npt.NDArray[np.float64]) -> Triple:
    return float(values[0]), float(values[1]), float(values[2])


def _draw_tumour(rng: np.random.Generator, volume_ml: float, frame: Frame, stops: tuple[Shape, ...]) -> Tumour:
    """Some lobes reach into the parametria, the vagina or the corpus; the others have no preference."""
    favourites = ((1, 0, 0), (-1, 0, 0), (0, 0.2, -1), (0, -0.4, 1))
    directions = [np.array(way, float) + rng.normal(0, 0.25, 3) for way in favourites if rng.random() < 0.5]
    directions += list(rng.normal(0, 1, (int(rng.integers(3, 7)), 3)))
    lobes = tuple(
        (_triple(way / np.linalg.norm(way)), float(rng.uniform(0.15, 0.6)), float(rng.uniform(2.5, 9)))
        for way in directions
    )
    reach, turn = rng.uniform(0, 6), rng.uniform(0, 2 * math.pi)
    centre = (float(reach * math.cos(turn)), float(0.6 * reach * math.sin(turn)), float(rng.uniform(-9, 4)))
    squeeze = (float(rng.uniform(0.95, 1.2)), float(rng.uniform(0.75, 0.95)), float(rng.uniform(0.85, 1.15)))
    size = (750 * volume_ml / math.pi) ** (1 / 3)
    drawn = Tumour(centre, squeeze, lobes, _draw_wobble(rng, 0.07, 1.1), stops, size)
    return _with_volume(drawn, volume_ml, frame)


def _with_volume(tumour: Tumour, volume_ml: float, frame: Frame) -> Tumour:
    """Return the tumour at the scale at which its volume in the patient is as wanted."""
    half = 2.2 * tumour.scale_mm + math.hypot(*tumour.centre_mm)
    step = 2 * half / CALIBRATION
    along = (np.arange(CALIBRATION, dtype=np.float32) + 0.5) * np.float32(step) - np.float32(half)
    grid = np.stack(np.meshgrid(along, along, along, indexing="ij"), axis=-1).reshape(-1, 3)
    x, y, z = frame(grid)
    radii = tumour.radius(x, y, z)
    near = np.flatnonzero(radii < FURTHEST)
    free = np.sort(radii[near[~tumour.stopped(x[near], y[near], z[near])]])
    return replace(tumour, scale_mm=tumour.scale_mm * float(free[round(volume_ml * 1000 / step**3)]))
