"""Points that a user gives, as marks on a volume."""

from __future__ import annotations

import math

import numpy as np
from highdicom import Volume

from imaging.mark import Mark, Origin
from imaging.outcome import Reason, RefusedError, UsageError

Point = tuple[float, float, float]


def parse_points(text: str) -> tuple[Point, ...]:
    """Return LPS points in mm from "x,y,z; x,y,z"; an empty text has none. UsageError when it is anything else.

    >>> parse_points("-40.5,12,-150; 61,8.25,-90")
    ((-40.5, 12.0, -150.0), (61.0, 8.25, -90.0))
    """
    return tuple(_point(part) for part in text.split(";") if part.strip())


def seed_marks(points: tuple[Point, ...], volume: Volume) -> tuple[Mark, ...]:
    """Return a mark for each LPS point in mm; RefusedError when one lies outside the volume."""
    outside = [number for number, point in enumerate(points, start=1) if not _inside(point, volume)]
    if outside:
        low, high = _corners_mm(volume)
        raise RefusedError(
            f"Points within the CT are needed; point {', '.join(map(str, outside))} of {len(points)} lies outside. "
            f"It reaches from {_said(low)} to {_said(high)} (LPS, mm). Check the signs: "
            "x rises to the patient's left, y to posterior, z to the head.",
            Reason.OUTSIDE,
        )
    return tuple(Mark(centre_mm=point, origin=Origin.USER) for point in points)


def _point(part: str) -> Point:
    try:
        values = [float(value) for value in part.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise UsageError(
            "Points are needed as x,y,z in LPS mm, several of them parted by semicolons "
            f'(such as "-40.5,12,-150; 61,8,-90"); {part.strip()[:40]!r} is none.'
        )
    return values[0], values[1], values[2]


def _inside(point: Point, volume: Volume) -> bool:
    index = volume.map_reference_to_indices(np.array([point]))[0]
    return bool(((index >= -0.5) & (index <= np.array(volume.shape) - 0.5)).all())


def _corners_mm(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest and the largest LPS coordinate of any voxel."""
    last = np.array(volume.shape) - 1
    corners = np.array([[k, j, i] for k in (0, last[0]) for j in (0, last[1]) for i in (0, last[2])])
    positions = volume.map_indices_to_reference(corners)
    return positions.min(axis=0), positions.max(axis=0)


def _said(position: np.ndarray) -> str:
    return ",".join(f"{value:.0f}" for value in position)
