"""A synthetic lumbar spine: labels of a procedural phantom, evaluated at any grid of patient positions.

Nothing here comes from a person. T12 to L5 are tilted, wedged elliptic cylinders with concave end plates in a lordotic
row, above a sacrum whose S1 is no body to be found. It is asymmetric on purpose: the aorta runs at the left, the row
leans a little to one side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]
Labels = npt.NDArray[np.uint8]


class Tissue(IntEnum):
    """Labels of the phantom."""

    AIR = 0
    FAT = 1
    MUSCLE = 2
    BOWEL = 3
    VESSEL = 4
    CORTICAL_BONE = 5
    ANNULUS = 6
    NUCLEUS = 7
    CSF = 8
    CORD = 9
    ARCH = 10  # marrow of the arches
    SACRUM = 11  # marrow of the sacrum
    MARROW = 12  # of the bodies from T12 to L5


T2W_SIGNAL: Mapping[Tissue, float] = {
    Tissue.AIR: 0.0,
    Tissue.FAT: 600.0,
    Tissue.MUSCLE: 130.0,
    Tissue.BOWEL: 110.0,
    Tissue.VESSEL: 30.0,
    Tissue.CORTICAL_BONE: 45.0,
    Tissue.ANNULUS: 100.0,
    Tissue.NUCLEUS: 560.0,
    Tissue.CSF: 900.0,
    Tissue.CORD: 330.0,
    Tissue.ARCH: 380.0,
    Tissue.SACRUM: 330.0,
    Tissue.MARROW: 300.0,
}
"""Signal of each label in a T2-weighted turbo spin echo, in arbitrary units."""
T1W_SIGNAL: Mapping[Tissue, float] = {
    **{tissue: 0.8 * value for tissue, value in T2W_SIGNAL.items()},
    Tissue.FAT: 900.0, Tissue.MUSCLE: 280.0, Tissue.NUCLEUS: 230.0, Tissue.ANNULUS: 200.0, Tissue.CSF: 120.0,
    Tissue.MARROW: 430.0, Tissue.SACRUM: 440.0,
}  # fmt: skip
STIR_SIGNAL: Mapping[Tissue, float] = {
    **T2W_SIGNAL,
    Tissue.FAT: 40.0, Tissue.MARROW: 90.0, Tissue.SACRUM: 90.0, Tissue.ARCH: 60.0,
}  # fmt: skip


@dataclass(frozen=True)
class Body:
    """A wedged elliptic cylinder with concave end plates; lengths in mm, LPS."""

    centre_mm: tuple[float, float, float]
    tilt_deg: float  # of its axis; positive where its front is lower
    height_mm: float  # at its rim, in the middle of its depth
    half_width_mm: float
    half_depth_mm: float
    wedge_deg: float = 0.0  # between its end plates; positive where its front is higher
    concavity_mm: float = 1.5  # of each end plate, at its middle

    @property
    def volume_ml(self) -> float:
        """Exact volume: the paraboloids of both end plates take half their depth each."""
        area = math.pi * self.half_width_mm * self.half_depth_mm
        return area * (self.height_mm - self.concavity_mm) / 1000

    def local(self, points_mm: Points) -> tuple[Points, Points, Points]:
        """Return positions to the left, to the front and to the head of the centre, along the axes of the body."""
        x, y, z = (points_mm[..., axis] - np.float32(self.centre_mm[axis]) for axis in range(3))
        sine, cosine = math.sin(math.radians(self.tilt_deg)), math.cos(math.radians(self.tilt_deg))
        return x, -cosine * y - sine * z, -sine * y + cosine * z

    def height_at(self, left_mm: Points, front_mm: Points) -> Points:
        """Return the height at places of the footprint."""
        radius = (left_mm / self.half_width_mm) ** 2 + (front_mm / self.half_depth_mm) ** 2
        wedge = 2 * math.tan(math.radians(self.wedge_deg) / 2) * front_mm
        return np.asarray(self.height_mm + wedge - 2 * self.concavity_mm * (1 - radius), np.float32)

    def holds(self, points_mm: Points, rind_mm: float = 0.0) -> npt.NDArray[np.bool_]:
        """Return which positions lie inside, or within a rind around it."""
        left, front, up = self.local(points_mm)
        radius = (left / (self.half_width_mm + rind_mm)) ** 2 + (front / (self.half_depth_mm + rind_mm)) ** 2
        return np.asarray((radius <= 1) & (np.abs(up) <= self.height_at(left, front) / 2 + rind_mm))


BODIES: Mapping[str, Body] = {
    "L5": Body((0.5, 5.8, -79.2), 29.0, 27.5, 25.0, 16.5, 15.0),
    "L4": Body((0.0, -1.6, -40.1), 5.5, 27.5, 24.5, 16.5, 4.0),
    "L3": Body((0.0, 0.0, 0.0), -1.0, 28.0, 24.0, 16.5, 3.0),
    "L2": Body((0.8, 3.0, 38.6), -6.0, 27.0, 23.0, 16.0, 1.0),
    "L1": Body((2.0, 7.6, 75.4), -8.0, 26.0, 22.0, 15.5, 0.0),
    "T12": Body((3.6, 12.3, 110.3), -8.0, 24.5, 21.0, 15.0, -2.0),
}
"""From caudal to cranial; the origin is the middle of L3."""
SACRUM = (
    Body((1.0, 23.0, -109.5), 48.0, 30.0, 55.0, 14.0, 14.0, 0.0),
    Body((1.0, 41.5, -125.5), 54.0, 26.0, 46.0, 9.0, 8.0, 0.0),
    Body((1.0, 59.0, -137.5), 62.0, 22.0, 36.0, 6.0, 8.0, 0.0),
)
"""Grown together, and with wings at their sides."""
T11 = Body((5.2, 16.3, 143.5), -7.0, 23.5, 20.0, 14.5, -2.0)
"""The row goes on; it lies above the view of the sample."""
RIND_MM = 1.2
_ROW = (*reversed(SACRUM), *BODIES.values(), T11)
_HEIGHTS_MM = np.array([body.centre_mm[2] for body in _ROW])
_BACKS_MM = np.array([body.centre_mm[1] for body in _ROW])
_SIDES_MM = np.array([body.centre_mm[0] for body in _ROW])
_DEPTHS_MM = np.array([body.half_depth_mm for body in _ROW])


def label_lumbar(points_mm: npt.NDArray[np.floating]) -> Labels:
    """Return the tissue label at each patient position.

    points_mm  (..., 3) LPS positions in mm; the origin is the middle of L3

    >>> label_lumbar(np.array([[0.0, 500.0, 0.0], [0.0, 0.0, 0.0]])).tolist() == [Tissue.AIR, Tissue.MARROW]
    True
    """
    points = np.asarray(points_mm, np.float32)
    x, y, z = np.moveaxis(points, -1, 0)
    middle, half, left = (_along(z, values) for values in (_BACKS_MM, _DEPTHS_MM, _SIDES_MM))
    labels = np.zeros(x.shape, np.uint8)
    _paint_trunk(labels, x, y, z, middle)
    _paint_column(labels, x - left, y - middle, z, half)
    _paint_canal(labels, x - left, y - middle - half, z)
    near = np.hypot(x - left, y - middle) < 60
    chosen = points[near]
    inside = labels[near]
    bony = [(body, Tissue.MARROW) for body in (*BODIES.values(), T11)] + [(part, Tissue.SACRUM) for part in SACRUM]
    for body, _ in bony:
        inside[body.holds(chosen, RIND_MM)] = Tissue.CORTICAL_BONE
    for body, marrow in bony:
        inside[body.holds(chosen)] = marrow
    labels[near] = inside
    return labels


def number_bodies(points_mm: npt.NDArray[np.floating]) -> Labels:
    """Return which body lies at each patient position: 1 is L5, 6 is T12, 0 none of them.

    >>> number_bodies(np.array([[0.5, 5.8, -79.2], [3.6, 12.3, 110.3], [0.0, 0.0, 20.0]])).tolist()
    [1, 6, 0]
    """
    points = np.asarray(points_mm, np.float32)
    numbers = np.zeros(points.shape[:-1], np.uint8)
    for number, body in enumerate(BODIES.values(), start=1):
        numbers[body.holds(points)] = number
    return numbers


def _along(z: Points, values: npt.NDArray[np.float64]) -> Points:
    """Return a property of the row at a height."""
    return np.asarray(np.interp(z, _HEIGHTS_MM, values), np.float32)


def _paint_trunk(labels: Labels, x: Points, y: Points, z: Points, middle: Points) -> None:
    """Skin fat, muscle behind the row, fat with bowel and vessels in front of it."""
    surface = ((x / 175) ** 2 + ((y + 30) / 118) ** 2) <= 1
    labels[surface] = Tissue.FAT
    deep = ((x / 160) ** 2 + ((y + 30) / 98) ** 2) <= 1
    folds = np.sin(x / 9 + z / 13) + np.sin(y / 8 - z / 11) + np.sin(z / 9 + y / 17)
    behind = y > middle
    labels[deep & behind & (folds < 2.2)] = Tissue.MUSCLE
    labels[surface & (z < -135) & (y > 40)] = Tissue.MUSCLE  # gluteal
    labels[deep & ~behind & (folds > 0.3) & (z > -115)] = Tissue.BOWEL
    labels[deep & ~behind & (np.abs(y + 112) < 7)] = Tissue.MUSCLE
    labels[np.hypot(x - 9, y - middle + 29) < 8.5] = Tissue.VESSEL
    labels[np.hypot(x + 16, y - middle + 27) < 10] = Tissue.VESSEL


def _paint_column(labels: Labels, x: Points, y: Points, z: Points, half: Points) -> None:
    """Ligaments, and the discs that fill the row between its bodies."""
    column = (z > -150) & (z < 170)
    labels[column & ((x / 27) ** 2 + (y / (half + 2.5)) ** 2 <= 1)] = Tissue.CORTICAL_BONE
    labels[column & ((x / 25) ** 2 + (y / (half + 0.5)) ** 2 <= 1)] = Tissue.ANNULUS
    labels[column & (z > -100) & ((x / 16) ** 2 + (y / (0.62 * half)) ** 2 <= 1)] = Tissue.NUCLEUS


def _paint_canal(labels: Labels, x: Points, behind: Points, z: Points) -> None:
    """Spinal canal with cord or roots, arches and spinous processes; ``behind`` counts from the back of the bodies."""
    phase = np.mod(z + 58, 37) - 18.5
    spinous = (
        (np.abs(x) < 4.5) & (np.abs(phase + 0.35 * (behind - 30)) < 9) & (behind > 20) & (behind < 48) & (z > -100)
    )
    rind = (np.abs(x) < 3.2) & (np.abs(phase + 0.35 * (behind - 30)) < 7.5) & (behind > 21) & (behind < 46) & (z > -100)
    labels[spinous] = Tissue.CORTICAL_BONE
    labels[spinous & rind] = Tissue.ARCH
    canal = np.hypot(x / 1.25, behind - 10.5)
    labels[(canal < 9.5) & (z > -150)] = Tissue.FAT
    labels[(canal < 7.5) & (z > -128)] = Tissue.CSF
    roots = (np.hypot(x, behind - 14) < 2.6) & (np.sin(1.9 * x) * np.sin(1.7 * behind) > -0.4) & (z > -90)
    labels[(canal < 7.5) & np.where(z > 70, np.hypot(x, behind - 10.5) < 4, roots)] = Tissue.CORD
