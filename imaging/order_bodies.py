"""Objects in a row, such as vertebral bodies: their order along the curve through their centres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree
from scipy.spatial.distance import cdist

Points = npt.NDArray[np.float64]

TO_HEAD = (0.0, 0.0, 1.0)
"""LPS."""
SHARPEST_TURN_DEG = 60.0
"""An object at an end of the row for which the curve must turn more is not of the row: between neighbouring levels
the lumbosacral junction and a severe scoliosis turn by half of that."""
SMALL = 0.4
"""Objects smaller than this fraction of the median object do not shape the curve; they join it where they fit: ..."""
END_STEPS = (0.5, 1.5)
"""... at an end, so many median steps from the last object, ..."""
ROOM = 1.4
"""... or between two objects that are more than so many median steps apart."""


@dataclass(frozen=True)
class OrderedBodies:
    """Instances in their order, and the curve through their centres."""

    labels: Volume  # int16 (slice, row, column): 1 is the most caudal body
    centres_mm: Points  # (body, 3) LPS
    tangents: Points  # (body, 3) unit vectors to the head
    aside_ml: tuple[float, ...]  # volume of each object that lies beside the row and was left out


def order_bodies(labels: Volume) -> OrderedBodies:
    """Return instances renumbered from caudal to cranial along their curve; what lies beside it is left out.

    labels  int16 (slice, row, column); 0 is background
    """
    boxes = {number: box for number, box in enumerate(ndimage.find_objects(labels.array), start=1) if box}
    numbers = list(boxes)
    indices = [_middle(labels.array[box] == number, box) for number, box in boxes.items()]
    centres = np.array(indices).reshape(-1, 3) @ labels.affine[:3, :3].T + labels.affine[:3, 3]
    sizes = np.bincount(labels.array.ravel())
    order = order_along_curve(centres, sizes[numbers])
    renumbered = np.zeros(max(numbers, default=0) + 1, np.int16)
    renumbered[[numbers[at] for at in order]] = np.arange(1, len(order) + 1)
    voxel_ml = float(np.prod(labels.spacing)) / 1000
    aside = sorted(set(range(len(numbers))) - set(order))
    row = centres[list(order)]
    return OrderedBodies(
        labels.with_array(renumbered[labels.array]),
        row,
        tangents_of(row),
        tuple(float(sizes[numbers[at]] * voxel_ml) for at in aside),
    )


def _middle(mask: npt.NDArray[np.bool_], box: Sequence[slice]) -> Points:
    """Return the mean index of a mask that lies in a box of the image."""
    return np.asarray(np.argwhere(mask).mean(axis=0) + [part.start for part in box])


def order_along_curve(
    points: Points, sizes: npt.NDArray[np.integer] | None = None, direction: Sequence[float] = TO_HEAD
) -> tuple[int, ...]:
    """Return the indices of the points that lie in a row, in their order along its curve.

    points     (n, 3) mm; neighbours in the row are nearer to each other than other parts of the curve
    sizes      of the objects at the points; all are equal when absent
    direction  the row runs this way from its first to its last point

    >>> order_along_curve(np.array([[0, 0, 60], [0, 5, 0], [0, 0, 30], [0, -80, 30]]))
    (1, 2, 0)
    """
    if len(points) < 2:
        return tuple(range(len(points)))
    sizes = np.ones(len(points), int) if sizes is None else sizes
    large = np.flatnonzero(sizes >= SMALL * np.median(sizes))
    path = [int(large[at]) for at in _longest_path(points[large])]
    path = _without_sharp_ends(points, path)
    for small in sorted(set(range(len(points))) - set(large.tolist()), key=lambda at: -int(sizes[at])):
        path = _joined(points, path, small)
    rising = (points[path[-1]] - points[path[0]]) @ np.array(direction) > 0
    return tuple(path if rising else path[::-1])


def tangents_of(points: Points) -> Points:
    """Return the unit tangent at each point of a row: that of the parabola through it and its nearest two.

    A single point has the tangent to the head.
    """
    if len(points) < 2:
        return np.array([TO_HEAD] * len(points)).reshape(-1, 3)
    if len(points) == 2:
        tangents = np.repeat(np.diff(points, axis=0), 2, axis=0)
    else:
        steps = np.diff(points, axis=0)
        lengths = np.linalg.norm(steps, axis=1, keepdims=True)
        slopes = steps / lengths
        before, after = lengths[:-1], lengths[1:]
        inner = (slopes[:-1] * after + slopes[1:] * before) / (before + after)
        tangents = np.vstack([2 * slopes[0] - inner[0], inner, 2 * slopes[-1] - inner[-1]])
    return np.asarray(tangents / np.linalg.norm(tangents, axis=1, keepdims=True))


def _longest_path(points: Points) -> list[int]:
    """Return the path of most points in the shortest tree that joins all points; of equal ones the shorter."""
    if len(points) < 2:
        return list(range(len(points)))
    tree = minimum_spanning_tree(cdist(points, points))
    tree = tree + tree.T
    lengths = tree.toarray()
    found: list[tuple[int, float, list[int]]] = []
    for start in range(len(points)):
        nodes, before = breadth_first_order(tree, start, directed=False)
        for end in nodes[1:]:
            path = [int(end)]
            while path[-1] != start:
                path.append(int(before[path[-1]]))
            length = sum(lengths[one, other] for one, other in pairwise(path))
            found.append((-len(path), length, path))
    return min(found)[2]


def _without_sharp_ends(points: Points, path: list[int]) -> list[int]:
    while len(path) > 2 and _turn_deg(points[path[:3]]) > SHARPEST_TURN_DEG:
        path = path[1:]
    while len(path) > 2 and _turn_deg(points[path[-3:]]) > SHARPEST_TURN_DEG:
        path = path[:-1]
    return path


def _joined(points: Points, path: list[int], new: int) -> list[int]:
    """Return a path with one more object where it fits best, the path itself where it fits nowhere."""
    if len(path) < 2:
        return path
    step = float(np.median(_steps(points, path)))
    longer = [[*path[:at], new, *path[at:]] for at in range(len(path) + 1)]
    fitting = [each for at, each in enumerate(longer) if _fits(points, each, at, step)]
    return min(fitting, key=lambda each: float(_steps(points, each).sum()), default=path)


def _fits(points: Points, path: list[int], at: int, step: float) -> bool:
    """Return whether the object at a place of a path lies on its curve and has room there."""
    if 0 < at < len(path) - 1:
        around = points[path[at - 1 : at + 2]]
        return float(np.linalg.norm(around[2] - around[0])) > ROOM * step and _turn_deg(around) <= SHARPEST_TURN_DEG
    end = points[path[:3] if at == 0 else path[-3:]]
    reach = float(np.linalg.norm(np.diff(end[:2] if at == 0 else end[-2:], axis=0)))
    return END_STEPS[0] * step <= reach <= END_STEPS[1] * step and _turn_deg(end) <= SHARPEST_TURN_DEG


def _steps(points: Points, path: list[int]) -> Points:
    return np.asarray(np.linalg.norm(np.diff(points[path], axis=0), axis=1))


def _turn_deg(three: Points) -> float:
    """Return by how much a path over three points turns at the middle one."""
    one, other = np.diff(three, axis=0)
    cosine = one @ other / (np.linalg.norm(one) * np.linalg.norm(other))
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
