"""How much one image says of another where a rigid transform lays it: mutual information, and where it rises.

Joint histogram of sampled points after Mattes et al. (IEEE TMI 22, 2003): fixed values in bins, moving values shared
between the two bins beside them; gradient as in Thevenaz and Unser (IEEE TIP 9, 2000). The points lie between the
voxels, at random: on the grid interpolation smooths unevenly and draws the fit to whole voxels (Pluim, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy.ndimage import gaussian_filter, map_coordinates

Array = npt.NDArray[np.float64]
Bins = npt.NDArray[np.intp]

BINS = 32
SEED = 20
LEAST_PART = 0.1
"""Part of the points that must lie in the other image; fewer say nothing."""
EMPTY = 1e-9
"""Probability of an empty bin, for its logarithm."""


@dataclass(frozen=True, eq=False)
class MutualInformation:
    """Two smoothed images, to be compared at any transform from LPS mm of the fixed one to LPS mm of the other."""

    points_mm: Array  # points x 3, LPS, in the fixed image
    bins: Bins  # of the fixed image at the points
    moving: npt.NDArray[np.float32]  # scaled to bins
    slopes: tuple[npt.NDArray[np.float32], ...]  # of `moving`, bins per voxel along each axis
    to_voxels: Array  # 4 x 4, LPS mm of the moving image to its voxels

    @classmethod
    def of(cls, fixed: Volume, moving: Volume, *, smooth_mm: float, count: int) -> MutualInformation:
        """Sample `count` points of the fixed image; both are smoothed by a Gaussian of that standard deviation."""
        places = np.random.default_rng(SEED).uniform(-0.5, np.array(fixed.spatial_shape) - 0.5, (count, 3)).T
        values = map_coordinates(_scaled(fixed, smooth_mm), places, order=1, mode="nearest")
        scaled = _scaled(moving, smooth_mm)
        return cls(
            points_mm=np.asarray(places.T @ fixed.affine[:3, :3].T + fixed.affine[:3, 3]),
            bins=np.rint(values).astype(np.intp),
            moving=scaled,
            slopes=tuple(_slope(scaled, axis) for axis in range(3)),
            to_voxels=np.asarray(np.linalg.inv(moving.affine)),
        )

    def at(self, transform: Array) -> float:
        """Return the information in nats at a transform (4 x 4); not a number where the images do not meet.

        What as many points tell by chance alone, (bins - 1)^2 / 2 n (Miller, 1955), is taken off.
        """
        inside, voxels = self._inside(transform)
        if inside.mean() < LEAST_PART:
            return float("nan")
        return _information(_probabilities(*self._cells(inside, voxels)), int(inside.sum()))

    def rising(self, transform: Array, centre_mm: Array) -> tuple[float, Array]:
        """Return the information, and where it rises, in nats per radian and mm: turns about a point, then shifts.

        Both are of the transformed points, along and about the axes of LPS. All 0 where the images do not meet.
        """
        inside, voxels = self._inside(transform)
        if inside.mean() < LEAST_PART:
            return float("nan"), np.zeros(6)
        cells, share = self._cells(inside, voxels)
        joint = _probabilities(cells, share)
        told = np.log((joint + EMPTY) / (joint.sum(0, keepdims=True) + EMPTY)).ravel()
        rise = (told[cells + 1] - told[cells]) / len(cells)  # by the value of the moving image at each point
        slope = np.stack([map_coordinates(one, voxels, order=1, mode="nearest") for one in self.slopes], -1)
        pull = rise[:, None] * (slope @ self.to_voxels[:3, :3])
        arms = self.points_mm[inside] @ transform[:3, :3].T + transform[:3, 3] - centre_mm
        return _information(joint, len(cells)), np.concatenate([np.cross(arms, pull).sum(0), pull.sum(0)])

    def _inside(self, transform: Array) -> tuple[npt.NDArray[np.bool_], Array]:
        """Return which points lie in the moving image, and the voxels where (3 x points)."""
        onto = self.to_voxels @ transform
        voxels = self.points_mm @ onto[:3, :3].T + onto[:3, 3]
        inside = np.asarray(((voxels >= -0.5) & (voxels <= np.array(self.moving.shape) - 0.5)).all(1))
        return inside, np.ascontiguousarray(voxels[inside].T)

    def _cells(self, inside: npt.NDArray[np.bool_], voxels: Array) -> tuple[Bins, Array]:
        """Return the lower of the two cells of the histogram that each point counts in, and the share of the upper."""
        values = map_coordinates(self.moving, voxels, order=1, mode="nearest")
        lower = np.minimum(values.astype(np.intp), BINS - 2)
        return self.bins[inside] * BINS + lower, np.asarray(values - lower, np.float64)


def _probabilities(cells: Bins, share: Array) -> Array:
    counts = np.bincount(cells, 1 - share, BINS * BINS) + np.bincount(cells + 1, share, BINS * BINS)
    return np.asarray(counts.reshape(BINS, BINS) / len(cells))


def _information(joint: Array, count: int) -> float:
    own = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    told = float((joint * np.log(np.where(joint > 0, joint, 1) / np.where(joint > 0, own, 1))).sum())
    taken = [np.count_nonzero(joint.sum(axis)) - 1 for axis in (0, 1)]
    return told - taken[0] * taken[1] / (2 * count)


def _slope(image: npt.NDArray[np.float32], axis: int) -> npt.NDArray[np.float32]:
    """Return how an image rises along an axis; across a single slice it does not."""
    return np.asarray(np.gradient(image, axis=axis) if image.shape[axis] > 1 else np.zeros_like(image), np.float32)


def _scaled(volume: Volume, smooth_mm: float) -> npt.NDArray[np.float32]:
    """Return a smoothed image, its values scaled to 0 ... BINS - 1; all 0 without contrast."""
    smooth = gaussian_filter(np.asarray(volume.array, np.float32), smooth_mm / np.array(volume.spacing))
    lowest, span = smooth.min(), np.ptp(smooth)
    return np.asarray((smooth - lowest) * ((BINS - 1) / span if span > 0 else 0), np.float32)
