"""Bodies of known size on any grid, and what their measurements must be."""

from collections.abc import Sequence

import numpy as np
from highdicom import Volume
from scipy.spatial.transform import Rotation

from imaging.lumbar_phantom import BODIES, Body
from imaging.measure_bodies import BANDS, CYLINDER_MM, SLAB_MM

GRID_SPACING_MM = (4.4, 0.78, 0.78)
SAGITTAL = np.stack([(-1.0, 0, 0), (0, 0, -1.0), (0, 1.0, 0)], axis=1)
LUMBAR = tuple(BODIES.values())


def grid_around(
    bodies: Sequence[Body], *, degrees=(0, 0, 0), spacing_mm=GRID_SPACING_MM, margin_mm=(12.0, 45.0, 20.0)
) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of a sagittal grid around bodies, turned by angles about the patient's axes.

    margin_mm  beyond the bodies along slices, rows, columns
    """
    axes = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ SAGITTAL
    corners = np.array([np.array(body.centre_mm) + sign * 26 for body in bodies for sign in (-1, 1)]) @ axes
    low, high = corners.min(axis=0) - margin_mm, corners.max(axis=0) + margin_mm
    shape = tuple(int(size) for size in np.ceil((high - low) / spacing_mm))
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    affine[:3, 3] = axes @ (low + 0.137 * np.array(spacing_mm))  # the middle of a body is no voxel centre
    return shape, affine


def labels_of(bodies: Sequence[Body], shape, affine, numbers: Sequence[int] | None = None) -> Volume:
    """Label map of bodies; the numbers are those of the sequence, from 1, unless others are given."""
    labels = np.zeros(shape, np.int16)
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).astype(np.float32)
    points = index @ affine[:3, :3].T.astype(np.float32) + affine[:3, 3].astype(np.float32)
    for number, body in zip(numbers or range(1, len(bodies) + 1), bodies, strict=True):
        labels[body.holds(points)] = number
    return Volume(labels, affine, "PATIENT")


def true_heights(body: Body) -> tuple[float, float, float]:
    """Mean height of the body along its axis in the three bands of the median slab."""
    left = np.linspace(-SLAB_MM, SLAB_MM, 65)[:, None]
    fronts = [np.linspace(*(body.half_depth_mm * (1 - 2 * np.array(band))), 65) for band in BANDS]
    return tuple(float(body.height_at(left, front[None]).mean()) for front in fronts)


def true_space(lower: Body, upper: Body) -> float:
    """Mean distance of the facing end plates along the line of centres, on a fine grid of lines."""
    start, end = np.array(lower.centre_mm), np.array(upper.centre_mm)
    length = np.linalg.norm(end - start)
    along = (end - start) / length
    left = np.array([1.0, 0, 0]) - along[0] * along
    left /= np.linalg.norm(left)
    front = np.cross(along, left)
    u, v = np.meshgrid(np.arange(-8, 8.1, 0.5), np.arange(-8, 8.1, 0.5))
    lines = np.stack([u, v], -1)[np.hypot(u, v) <= CYLINDER_MM]
    steps = np.arange(0, length, 0.05)
    points = start + lines[:, None, :1] * left + lines[:, None, 1:] * front + steps[None, :, None] * along
    free = ~(lower.holds(points) | upper.holds(points))
    return float(free.sum(axis=1).mean() * 0.05)


def arc(count: int, *, step_deg: float, distance_mm: float = 36.0, first_deg: float = 20.0, **size) -> list[Body]:
    """Bodies on an arc of constant curvature, each upright on it, from caudal to cranial."""
    size = {"height_mm": 26.0, "half_width_mm": 23.0, "half_depth_mm": 16.0, **size}
    bodies, place, tilt = [], np.zeros(3), first_deg
    for _ in range(count):
        bodies.append(Body(tuple(place), tilt, **size))
        middle = np.radians(tilt - step_deg / 2)
        place = place + distance_mm * np.array([0, -np.sin(middle), np.cos(middle)])
        tilt -= step_deg
    return bodies
