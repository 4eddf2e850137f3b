"""A synthetic head: labels of a procedural phantom, evaluated at any grid of patient positions.

Nothing here comes from a person. The phantom is asymmetric on purpose (one ventricle is larger, the falx is
tilted, the nose is in front), so that a mirrored or turned result does not look right.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Tissue(IntEnum):
    """Labels of the phantom."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    CORTICAL_BONE = 4
    CANCELLOUS_BONE = 5
    OUTER_CSF = 6
    SULCAL_CSF = 7
    CORTEX = 8
    WHITE_MATTER = 9
    VENTRICLE = 10
    DEEP_GREY = 11
    CEREBELLUM = 12
    BRAIN_STEM = 13
    EYE = 14
    SPINAL_CORD = 15


BRAIN_TISSUES = (
    Tissue.SULCAL_CSF,
    Tissue.CORTEX,
    Tissue.WHITE_MATTER,
    Tissue.VENTRICLE,
    Tissue.DEEP_GREY,
    Tissue.CEREBELLUM,
    Tissue.BRAIN_STEM,
)
"""Labels inside the brain hull: the outer CSF between hull and skull is not part of it."""

T1W_SIGNAL: Mapping[Tissue, float] = {
    Tissue.AIR: 0.0,
    Tissue.SKIN: 420.0,
    Tissue.FAT: 900.0,
    Tissue.MUSCLE: 330.0,
    Tissue.CORTICAL_BONE: 40.0,
    Tissue.CANCELLOUS_BONE: 380.0,
    Tissue.OUTER_CSF: 120.0,
    Tissue.SULCAL_CSF: 150.0,
    Tissue.CORTEX: 470.0,
    Tissue.WHITE_MATTER: 700.0,
    Tissue.VENTRICLE: 110.0,
    Tissue.DEEP_GREY: 560.0,
    Tissue.CEREBELLUM: 530.0,
    Tissue.BRAIN_STEM: 650.0,
    Tissue.EYE: 130.0,
    Tissue.SPINAL_CORD: 560.0,
}
"""Signal of each label in a T1-weighted gradient echo, in arbitrary units."""


class _Ellipsoid(NamedTuple):
    label: Tissue
    centre_mm: tuple[float, float, float]
    semi_axes_mm: tuple[float, float, float]


# x to the left, y to the back, z to the head (LPS); the origin is the middle of the cerebrum.
_NECK: tuple[_Ellipsoid, ...] = (
    _Ellipsoid(Tissue.SKIN, (0, 12, -118), (60, 66, 95)),
    _Ellipsoid(Tissue.FAT, (0, 12, -118), (57.5, 63.5, 95)),
    _Ellipsoid(Tissue.MUSCLE, (0, 12, -118), (52, 58, 95)),
    _Ellipsoid(Tissue.CANCELLOUS_BONE, (0, 22, -118), (17, 19, 80)),
)
_FACE: tuple[_Ellipsoid, ...] = (
    _Ellipsoid(Tissue.SKIN, (0, -45, -62), (62, 58, 62)),
    _Ellipsoid(Tissue.FAT, (0, -45, -62), (59.5, 55.5, 59.5)),
    _Ellipsoid(Tissue.MUSCLE, (0, -43, -62), (50, 47, 52)),
    _Ellipsoid(Tissue.CANCELLOUS_BONE, (0, -62, -88), (34, 26, 20)),
    _Ellipsoid(Tissue.AIR, (0, -60, -66), (14, 26, 16)),
    _Ellipsoid(Tissue.SKIN, (2, -104, -60), (10, 14, 18)),
)
_CRANIUM: tuple[_Ellipsoid, ...] = (
    _Ellipsoid(Tissue.SKIN, (0, 2, -4), (80, 99, 88)),
    _Ellipsoid(Tissue.FAT, (0, 2, -4), (77.5, 96.5, 85.5)),
    _Ellipsoid(Tissue.CORTICAL_BONE, (0, 2, -4), (74.5, 93, 82)),
    _Ellipsoid(Tissue.CANCELLOUS_BONE, (0, 2, -4), (72.8, 91.2, 80.2)),
    _Ellipsoid(Tissue.CORTICAL_BONE, (0, 2, -4), (70.5, 88.5, 77.5)),
    _Ellipsoid(Tissue.OUTER_CSF, (0, 2, -4), (69, 87, 76)),
)
_INNER: tuple[_Ellipsoid, ...] = (
    _Ellipsoid(Tissue.VENTRICLE, (11, -4, 12), (7, 30, 10)),
    _Ellipsoid(Tissue.VENTRICLE, (-10, -2, 12), (5, 26, 8)),
    _Ellipsoid(Tissue.DEEP_GREY, (16, 2, -4), (9, 15, 9)),
    _Ellipsoid(Tissue.DEEP_GREY, (-16, 2, -4), (9, 15, 9)),
)
_BACK: tuple[_Ellipsoid, ...] = (
    _Ellipsoid(Tissue.CEREBELLUM, (21, 42, -42), (33, 28, 23)),
    _Ellipsoid(Tissue.CEREBELLUM, (-21, 42, -42), (33, 28, 23)),
    _Ellipsoid(Tissue.BRAIN_STEM, (0, 14, -40), (14, 14, 32)),
)
_EYES: tuple[_Ellipsoid, ...] = (
    _Ellipsoid(Tissue.EYE, (31, -76, -46), (12, 12, 12)),
    _Ellipsoid(Tissue.EYE, (-31, -76, -46), (12, 12, 12)),
)


def label_head(points_mm: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Return the tissue label at each patient position.

    points_mm  (..., 3) LPS positions in mm; the origin is the middle of the cerebrum

    The result has the shape of ``points_mm`` without its last axis.

    >>> label_head(np.array([[0.0, 0.0, 500.0], [40.0, 0.0, 15.0]])).tolist() == [
    ...     Tissue.AIR, Tissue.WHITE_MATTER]
    True
    """
    x, y, z = np.moveaxis(np.asarray(points_mm, np.float32), -1, 0)
    labels = np.zeros(x.shape, np.uint8)
    _paint(labels, (x, y, z), _NECK + _FACE + _CRANIUM)
    in_skull = labels == Tissue.OUTER_CSF
    below = in_skull & (z < _skull_base_mm(y))
    labels[below] = np.where(z[below] > _skull_base_mm(y)[below] - 4, Tissue.CORTICAL_BONE, Tissue.MUSCLE)
    in_skull &= ~below
    _paint(labels, (x, y, z), _EYES)
    _paint_cord(labels, x, y, z)
    labels[in_skull] = Tissue.OUTER_CSF
    _paint_cerebrum(labels, x, y, z, in_skull)
    _paint(labels, (x, y, z), _INNER)
    _paint(labels, (x, y, z), _BACK)
    return labels


def _skull_base_mm(y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Height of the skull base: high above the orbits, low in the posterior fossa."""
    return np.asarray(np.interp(y, (-60, -10, 20, 30), (-32, -46, -68, -72)), np.float32)


def _tentorium_mm(y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Height of the lower surface of the cerebrum: the skull base in front, the tentorium behind."""
    return np.asarray(np.interp(y, (-60, -10, 5, 30, 80), (-29, -42, -30, -18, -20)), np.float32)


def _inside(points: tuple[npt.NDArray[np.float32], ...], shape: _Ellipsoid) -> npt.NDArray[np.bool_]:
    radii = sum(
        ((axis - np.float32(centre)) / np.float32(semi)) ** 2
        for axis, centre, semi in zip(points, shape.centre_mm, shape.semi_axes_mm, strict=True)
    )
    return np.asarray(radii <= 1.0)


def _paint(
    labels: npt.NDArray[np.uint8],
    points: tuple[npt.NDArray[np.float32], ...],
    shapes: tuple[_Ellipsoid, ...],
) -> None:
    for shape in shapes:
        labels[_inside(points, shape)] = shape.label


def _paint_cord(
    labels: npt.NDArray[np.uint8],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    z: npt.NDArray[np.float32],
) -> None:
    """Spinal canal and cord below the brain stem, as far down as the neck goes."""
    radius = np.hypot(x, y - 18)
    canal = (z < -60) & (labels != Tissue.AIR)
    labels[canal & (radius < 9)] = Tissue.OUTER_CSF
    labels[canal & (radius < 6)] = Tissue.SPINAL_CORD


def _paint_cerebrum(
    labels: npt.NDArray[np.uint8],
    x: npt.NDArray[np.float32],
    y: npt.NDArray[np.float32],
    z: npt.NDArray[np.float32],
    in_skull: npt.NDArray[np.bool_],
) -> None:
    """Folded cortex around white matter, split by a tilted falx, above the tentorium."""
    radius = np.sqrt((x / 65) ** 2 + ((y - 1) / 83) ** 2 + (z / 70) ** 2)
    hull = in_skull & (z > _tentorium_mm(y)) & (radius <= 1)
    folds = np.sin(x / 4.1 + z / 9) + np.sin(y / 4.7 - x / 11) + np.sin(z / 4.3 + y / 8)
    falx = np.abs(x - 0.02 * y) < 1.0
    sulcus = hull & ((folds > 1.75) & (radius > 0.86) | falx & (radius > 0.7))
    labels[hull] = np.where(radius[hull] + 0.03 * folds[hull] > 0.87, Tissue.CORTEX, Tissue.WHITE_MATTER)
    labels[sulcus] = Tissue.SULCAL_CSF
