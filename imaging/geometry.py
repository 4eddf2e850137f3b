"""Position and orientation of slices: the gate every series passes before it becomes a volume.

Positions are LPS in mm (PS3.3 C.7.6.2.1.1). Slices are ordered by projection on the normal, never by file name
or Instance Number. Nothing is guessed: what does not fit is refused with its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imaging.outcome import Reason, RefusedError
from imaging.slice_plane import SlicePlane
from imaging.study import Stack

ORIENTATION_TOLERANCE = 1e-4
"""Largest difference of a direction cosine within a series."""
SPACING_TOLERANCE = 0.01
"""Largest deviation of a slice distance from the median, as a fraction of the median ..."""
SPACING_TOLERANCE_MM = 0.02
"""... or in mm, whichever is larger: positions are often stored with few digits."""
SHEAR_TOLERANCE = 0.01
"""Largest sideways step between neighbouring slices, as a fraction of their distance (gantry tilt)."""
DRIFT_TOLERANCE = 0.5
"""Largest distance of a slice from its place in the regular stack, as a fraction of the smallest voxel edge."""


@dataclass(frozen=True, kw_only=True)
class GeometryPolicy:
    """What an application tolerates of a series; everything tolerated is recorded and said."""

    max_gap_mm: float = 0.0
    """Largest distance between two neighbours where slices are missing or the spacing varies; 0 refuses every gap."""
    resample_uneven: bool = False
    """Whether slices of varying distance are interpolated onto an even grid; ``max_gap_mm`` still holds unless 0."""
    correct_tilt: bool = False
    """Whether a stack that leans (gantry tilt) is interpolated onto a grid along its normal."""


STRICT = GeometryPolicy()


@dataclass(frozen=True)
class StackGeometry:
    """A stack of slices on a regular grid: the affine maps (slice, row, column) indices to LPS mm."""

    order: tuple[int, ...]  # frames from the first slice to the last
    slices: tuple[float, ...]  # place of each of them on the slice axis, in the same order; whole unless uneven
    affine: npt.NDArray[np.float64]
    shape: tuple[int, int, int]
    shifts: npt.NDArray[np.float64] | None = None  # (frame, 2) rows and columns that a leaning slice lies aside
    uneven_mm: tuple[float, float] | None = None  # smallest and largest slice distance, when it varies

    @property
    def resampled(self) -> bool:
        """Whether the frames do not lie on the grid and have to be interpolated."""
        return self.shifts is not None or self.uneven_mm is not None

    @property
    def missing(self) -> tuple[int, ...]:
        """Slices of the grid without a frame, counted from 0; none when the frames are unevenly spaced."""
        if self.uneven_mm is not None:
            return ()
        return tuple(sorted(set(range(self.shape[0])) - {int(at) for at in self.slices}))


def stack_geometry(stack: Stack, policy: GeometryPolicy = STRICT) -> StackGeometry:
    """Return order, affine and shape of a stack of slices, or raise RefusedError with the reason.

    Refused: fewer than two slices, slices of different size, spacing or orientation, two slices at one position, and,
    unless the policy tolerates it, uneven spacing, a gap, and a stack that leans (gantry tilt).
    """
    planes = [frame.plane for frame in stack.frames]
    if len(planes) < 2:
        raise RefusedError(
            f"At least 2 slices make a volume; {stack} has {len(planes)}. Send the whole series.",
            Reason.TOO_FEW_SLICES,
        )
    _refuse_mixture(stack, planes)
    row, column, normal = _orthonormal(planes[0])
    positions = np.array([plane.position_mm for plane in planes])
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    _refuse_same_place(stack, np.diff(positions @ normal))
    found = _Slices(stack, positions, positions @ normal, (normal, column, row), planes[0])
    shifts = found.shifts(policy)
    slices, spacing_mm, uneven_mm = found.places(policy)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([normal, column, row], axis=1) * [spacing_mm, *found.pixel_mm]
    affine[:3, 3] = positions[0]
    shape = (round(slices[-1]) + 1, planes[0].rows, planes[0].columns)
    if shifts is not None:
        low, high = np.floor(shifts.min(axis=0)), np.ceil(shifts.max(axis=0))
        affine[:3, 3] += affine[:3, 1:3] @ low
        shape = (shape[0], shape[1] + int(high[0] - low[0]), shape[2] + int(high[1] - low[1]))
        shifts = shifts - low
    elif uneven_mm is None:
        _refuse_drift(stack, positions, slices, affine)
    return StackGeometry(tuple(int(index) for index in order), slices, affine, shape, shifts, uneven_mm)


def _orthonormal(
    plane: SlicePlane,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return row, column and normal direction without the rounding of cosines that are stored with few digits."""
    row = np.array(plane.row_cosine) / np.linalg.norm(plane.row_cosine)
    normal = np.cross(row, plane.column_cosine)
    normal /= np.linalg.norm(normal)
    return row, np.cross(normal, row), normal


def _refuse_mixture(stack: Stack, planes: list[SlicePlane]) -> None:
    first = planes[0]
    sizes = sorted({(plane.rows, plane.columns) for plane in planes})
    if len(sizes) > 1:
        raise RefusedError(
            f"All slices must have one matrix size; {stack} mixes {sizes}. Send one stack alone.", Reason.MIXED_STACKS
        )
    spacings = np.array([(p.spacing_between_rows_mm, p.spacing_between_columns_mm) for p in planes])
    if np.ptp(spacings, axis=0).max() > 1e-3 * spacings.min():
        raise RefusedError(
            f"All slices must have one Pixel Spacing; {stack} mixes {spacings.min(0)} to {spacings.max(0)} mm. "
            "Send one stack alone.",
            Reason.MIXED_STACKS,
        )
    cosines = np.array([plane.row_cosine + plane.column_cosine for plane in planes])
    reference = np.array(first.row_cosine + first.column_cosine)
    if np.abs(cosines - reference).max() > ORIENTATION_TOLERANCE:
        raise RefusedError(
            f"All slices must be parallel; in {stack} the direction cosines differ by up to "
            f"{np.abs(cosines - reference).max():.4f}. Send one stack alone, without localizers.",
            Reason.MIXED_STACKS,
        )
    frames = {str(header.get("FrameOfReferenceUID", "")) for header in stack.headers}
    if len(frames) > 1:
        raise RefusedError(
            f"All slices must share one Frame of Reference; {stack} has {len(frames)}. Send one stack alone.",
            Reason.MIXED_STACKS,
        )


@dataclass(frozen=True)
class _Slices:
    """Sorted slices of one stack, with what the checks of their places need."""

    stack: Stack
    positions: npt.NDArray[np.float64]  # (slice, 3) LPS mm
    heights: npt.NDArray[np.float64]  # along the normal, rising
    axes: tuple[npt.NDArray[np.float64], ...]  # directions in which slices, rows and columns rise
    plane: SlicePlane

    @property
    def pixel_mm(self) -> tuple[float, float]:
        return self.plane.spacing_between_rows_mm, self.plane.spacing_between_columns_mm

    def places(self, policy: GeometryPolicy) -> tuple[tuple[float, ...], float, tuple[float, float] | None]:
        """Return the place of each slice on the slice axis, the spacing in mm, and the range of distances if uneven."""
        steps = np.diff(self.heights)
        median, counts, tolerance, uneven = _count_steps(steps, float(np.median(steps)))
        if uneven.any() and not _count_steps(steps, float(steps.min()))[3].any():
            median, counts, tolerance, uneven = _count_steps(steps, float(steps.min()))  # most slices are missing
        gap = (counts > 1) & (steps > policy.max_gap_mm + tolerance)
        extent = float(self.heights[-1] - self.heights[0])
        if not uneven.any() and not gap.any():
            places = np.concatenate([[0], np.cumsum(counts)])
            return tuple(float(place) for place in places), extent / float(places[-1]), None
        if policy.resample_uneven and not (policy.max_gap_mm and gap.any()):
            spacing = extent / max(1, round(extent / median))
            places = (self.heights - self.heights[0]) / spacing
            return tuple(float(place) for place in places), spacing, (float(steps.min()), float(steps.max()))
        self._refuse_steps(steps, uneven, gap, median)
        raise AssertionError("one of them is refused")

    def _refuse_steps(
        self, steps: npt.NDArray[np.float64], uneven: npt.NDArray[np.bool_], gap: npt.NDArray[np.bool_], median: float
    ) -> None:
        wrong = np.flatnonzero(uneven | gap)
        gaps = ", ".join(f"{steps[i]:.2f} mm between slices {i + 1} and {i + 2}" for i in wrong[:4])
        raise RefusedError(
            f"Slices must be evenly spaced ({median:.2f} mm in {self.stack}); found {gaps}"
            f"{' and more' if wrong.size > 4 else ''}. A slice is missing or the spacing varies: send the whole "
            "series.",
            Reason.UNEVEN_SPACING if uneven.any() else Reason.MISSING_SLICE,
        )

    def shifts(self, policy: GeometryPolicy) -> npt.NDArray[np.float64] | None:
        """Return how many rows and columns each slice lies aside of the first, None when the stack stands upright."""
        _, column, row = self.axes
        aside_mm = (self.positions - self.positions[0]) @ np.stack([column, row], axis=1)
        steps = np.diff(self.heights)
        per_step = np.linalg.norm(np.diff(aside_mm, axis=0), axis=1)
        leaning = per_step > np.maximum(SHEAR_TOLERANCE * steps, SPACING_TOLERANCE_MM)
        drifting = np.linalg.norm(aside_mm, axis=1).max() > DRIFT_TOLERANCE * min(self.pixel_mm)
        if policy.correct_tilt and (leaning.any() or drifting):
            return np.asarray(aside_mm / self.pixel_mm)
        if not leaning.any():
            return None
        worst = int(per_step.argmax())
        raise RefusedError(
            f"Slices must be stacked along their normal; in {self.stack} neighbours are shifted sideways by up to "
            f"{per_step[worst]:.2f} mm per {steps[worst]:.2f} mm (a tilted gantry). Send a series without tilt.",
            Reason.TILT,
        )


def _count_steps(
    steps: npt.NDArray[np.float64], spacing_mm: float
) -> tuple[float, npt.NDArray[np.int64], float, npt.NDArray[np.bool_]]:
    """Return the spacing, how often it fits into each step, the tolerance in mm, and which steps it does not fit."""
    counts = np.maximum(1, np.rint(steps / spacing_mm).astype(int))
    tolerance = max(SPACING_TOLERANCE * spacing_mm, SPACING_TOLERANCE_MM)
    return spacing_mm, counts, tolerance, np.abs(steps - counts * spacing_mm) > tolerance


def _refuse_same_place(stack: Stack, steps: npt.NDArray[np.float64]) -> None:
    same = np.flatnonzero(steps < SPACING_TOLERANCE_MM / 2)
    if same.size:
        raise RefusedError(
            f"One volume has one slice at each position; {stack} has {same.size} more than that "
            f"(first at slice {same[0] + 1}), and no attribute tells them apart. "
            "Send one volume as its own series.",
            Reason.SAME_POSITION,
        )


def _refuse_drift(
    stack: Stack, positions: npt.NDArray[np.float64], slices: tuple[float, ...], affine: npt.NDArray[np.float64]
) -> None:
    """Small steps aside or apart that all go one way add up over a stack."""
    places = affine[:3, 3] + np.outer(slices, affine[:3, 0])
    largest = float(np.linalg.norm(positions - places, axis=1).max())
    edge_mm = float(np.linalg.norm(affine[:3, :3], axis=0).min())
    if largest > DRIFT_TOLERANCE * edge_mm:
        raise RefusedError(
            f"Slices must lie where a regular stack has them; in {stack} one is {largest:.2f} mm off, "
            f"{DRIFT_TOLERANCE * edge_mm:.2f} mm allowed. Send a series of even spacing, without tilt.",
            Reason.TILT,
        )
