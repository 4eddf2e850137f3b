"""Grids of synthetic series: where their pixels lie in the scanner."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Triple = tuple[float, float, float]
Shape = tuple[int, int, int]


def grid_affine(
    shape: Shape,
    spacing_mm: Triple,
    axes: tuple[str, str, str],
    *,
    turn_deg: Triple = (0.0, 0.0, 0.0),
    centre_mm: Triple = (0.0, 0.0, 0.0),
) -> npt.NDArray[np.float64]:
    """Return the affine of (slice, row, column) indices to LPS mm of a grid about a place.

    axes      directions in which slices, rows and columns rise; x to the left, y to the back, z to the head
    turn_deg  about the left, posterior and head axes, for an oblique acquisition

    >>> grid_affine((1, 2, 3), (5.0, 2.0, 1.0), ("-z", "+y", "+x"))
    array([[ 0.,  0.,  1., -1.],
           [ 0.,  2.,  0., -1.],
           [-5.,  0.,  0.,  0.],
           [ 0.,  0.,  0.,  1.]])
    """
    turn = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    directions = np.stack([_direction(axis) for axis in axes], axis=1)
    affine = np.eye(4)
    affine[:3, :3] = turn @ directions * np.array(spacing_mm)
    affine[:3, 3] = np.array(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def _direction(axis: str) -> npt.NDArray[np.float64]:
    return np.where(np.arange(3) == "xyz".index(axis[1]), -1.0 if axis[0] == "-" else 1.0, 0.0)
