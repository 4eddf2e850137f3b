"""Position and orientation of slices: the gate every series passes before it becomes a volume.

Positions are LPS in mm (PS3.3 C.7.6.2.1.1). Slices are ordered by projection on the normal, never by file name
or Instance Number. Nothing is guessed: what does not fit is refused with its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from imaging.outcome import RefusedError
from imaging.study import Series, tuple_of_floats

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


@dataclass(frozen=True)
class SlicePlane:
    """Where one slice lies: cosines of its row direction (columns rise) and column direction (rows rise)."""

    rows: int
    columns: int
    row_cosine: tuple[float, float, float]
    column_cosine: tuple[float, float, float]
    position_mm: tuple[float, float, float]
    spacing_between_rows_mm: float
    spacing_between_columns_mm: float


@dataclass(frozen=True, kw_only=True)
class GeometryPolicy:
    """What an application tolerates of a series; everything tolerated is recorded and said."""

    max_gap_mm: float = 0.0
    """Largest distance between two neighbours where slices are missing; 0 refuses every gap."""


@dataclass(frozen=True)
class StackGeometry:
    """A regular stack: the order of the instances and the affine of (slice, row, column) indices to LPS mm."""

    order: tuple[int, ...]  # instances from the first slice to the last
    slices: tuple[int, ...]  # slice of the stack that each of them fills, in the same order
    affine: npt.NDArray[np.float64]
    shape: tuple[int, int, int]

    @property
    def missing(self) -> tuple[int, ...]:
        """Slices of the stack without an instance, counted from 0."""
        return tuple(sorted(set(range(self.shape[0])) - set(self.slices)))


def slice_plane(header: Dataset) -> SlicePlane:
    """Return the plane of a single-frame image, or refuse it with the attribute that is missing or wrong."""
    try:
        orientation = tuple_of_floats(header.get("ImageOrientationPatient"))
        position = tuple_of_floats(header.get("ImagePositionPatient"))
        spacing = tuple_of_floats(header.get("PixelSpacing"))
        rows, columns = int(header.Rows), int(header.Columns)
    except (TypeError, ValueError, AttributeError) as error:
        raise RefusedError(_unusable("geometry attribute", "a value that is no number")) from error
    if orientation is None or len(orientation) != 6 or not np.all(np.isfinite(orientation)):
        raise RefusedError(_unusable("Image Orientation (Patient)", orientation))
    if position is None or len(position) != 3 or not np.all(np.isfinite(position)):
        raise RefusedError(_unusable("Image Position (Patient)", position))
    if spacing is None or len(spacing) != 2 or not all(np.isfinite(spacing)) or min(spacing) <= 0:
        raise RefusedError(_unusable("Pixel Spacing", spacing))
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    if abs(row @ column) > 1e-3 or abs(row @ row - 1) > 1e-3 or abs(column @ column - 1) > 1e-3:
        raise RefusedError(_unusable("Image Orientation (Patient)", orientation))
    place = (position[0], position[1], position[2])
    return SlicePlane(rows, columns, tuple(row), tuple(column), place, spacing[0], spacing[1])


def stack_geometry(series: Series, policy: GeometryPolicy | None = None) -> StackGeometry:
    """Return order, affine and shape of a series of single slices, or raise RefusedError with the reason.

    Refused: fewer than two slices, slices of different size, spacing or orientation, two slices at one position,
    uneven spacing, a gap wider than the policy allows, and a stack that leans (gantry tilt).
    """
    planes = [slice_plane(header) for header in series.headers]
    if len(planes) < 2:
        raise RefusedError(f"At least 2 slices make a volume; {series} has {len(planes)}. Send the whole series.")
    _refuse_mixture(series, planes)
    first = planes[0]
    row, column, normal = _orthonormal(first)
    positions = np.array([plane.position_mm for plane in planes])
    heights = positions @ normal
    order = np.argsort(heights, kind="stable")
    slices, spacing_mm = _slice_numbers(series, heights[order], policy or GeometryPolicy())
    _refuse_shear(series, positions[order], normal, spacing_mm)
    affine = np.eye(4)
    affine[:3, 0] = normal * spacing_mm
    affine[:3, 1] = column * first.spacing_between_rows_mm
    affine[:3, 2] = row * first.spacing_between_columns_mm
    affine[:3, 3] = positions[order[0]]
    _refuse_drift(series, positions[order], slices, affine)
    return StackGeometry(
        order=tuple(int(index) for index in order),
        slices=slices,
        affine=affine,
        shape=(slices[-1] + 1, first.rows, first.columns),
    )


def _orthonormal(
    plane: SlicePlane,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return row, column and normal direction without the rounding of cosines that are stored with few digits."""
    row = np.array(plane.row_cosine) / np.linalg.norm(plane.row_cosine)
    normal = np.cross(row, plane.column_cosine)
    normal /= np.linalg.norm(normal)
    return row, np.cross(normal, row), normal


def _unusable(attribute: str, found: object) -> str:
    return (
        f"Every slice needs a valid {attribute}; found {found}. "
        "Export the series again from its source, with geometry, or exclude it."
    )


def _refuse_mixture(series: Series, planes: list[SlicePlane]) -> None:
    first = planes[0]
    sizes = sorted({(plane.rows, plane.columns) for plane in planes})
    if len(sizes) > 1:
        raise RefusedError(f"All slices must have one matrix size; {series} mixes {sizes}. Send one stack alone.")
    spacings = np.array([(p.spacing_between_rows_mm, p.spacing_between_columns_mm) for p in planes])
    if np.ptp(spacings, axis=0).max() > 1e-3 * spacings.min():
        raise RefusedError(
            f"All slices must have one Pixel Spacing; {series} mixes {spacings.min(0)} to {spacings.max(0)} mm. "
            "Send one stack alone."
        )
    cosines = np.array([plane.row_cosine + plane.column_cosine for plane in planes])
    reference = np.array(first.row_cosine + first.column_cosine)
    if np.abs(cosines - reference).max() > ORIENTATION_TOLERANCE:
        raise RefusedError(
            f"All slices must be parallel; in {series} the direction cosines differ by up to "
            f"{np.abs(cosines - reference).max():.4f}. Send one stack alone, without localizers."
        )
    frames = {str(header.get("FrameOfReferenceUID", "")) for header in series.headers}
    if len(frames) > 1:
        raise RefusedError(
            f"All slices must share one Frame of Reference; {series} has {len(frames)}. Send one stack alone."
        )


def _slice_numbers(
    series: Series, heights: npt.NDArray[np.float64], policy: GeometryPolicy
) -> tuple[tuple[int, ...], float]:
    """Return the slice that each sorted height belongs to, and the distance of slices in mm."""
    steps = np.diff(heights)
    _refuse_same_place(series, steps)
    median = float(np.median(steps))
    counts = np.rint(steps / median).astype(int)
    tolerance = max(SPACING_TOLERANCE * median, SPACING_TOLERANCE_MM)
    uneven = np.abs(steps - counts * median) > tolerance
    too_wide = (counts > 1) & (steps > policy.max_gap_mm + tolerance)
    wrong = np.flatnonzero(uneven | too_wide | (counts < 1))
    if wrong.size:
        gaps = ", ".join(f"{steps[i]:.2f} mm between slices {i + 1} and {i + 2}" for i in wrong[:4])
        raise RefusedError(
            f"Slices must be evenly spaced ({median:.2f} mm in {series}); found {gaps}"
            f"{' and more' if wrong.size > 4 else ''}. A slice is missing or the spacing varies: send the whole series."
        )
    slices = np.concatenate([[0], np.cumsum(counts)])
    return tuple(int(number) for number in slices), float((heights[-1] - heights[0]) / slices[-1])


def _refuse_same_place(series: Series, steps: npt.NDArray[np.float64]) -> None:
    same = np.flatnonzero(steps < SPACING_TOLERANCE_MM / 2)
    if same.size:
        raise RefusedError(
            f"One volume has one slice at each position; {series} has {same.size} more than that "
            f"(first at slice {same[0] + 1}). It holds several volumes (echoes, phases, b-values): "
            "send one of them as its own series."
        )


def _refuse_shear(
    series: Series, positions: npt.NDArray[np.float64], normal: npt.NDArray[np.float64], spacing_mm: float
) -> None:
    steps = np.diff(positions, axis=0)
    sideways = steps - np.outer(steps @ normal, normal)
    largest = float((np.linalg.norm(sideways, axis=1) / np.rint(steps @ normal / spacing_mm)).max())
    if largest > max(SHEAR_TOLERANCE * spacing_mm, SPACING_TOLERANCE_MM):
        raise RefusedError(
            f"Slices must be stacked along their normal; in {series} neighbours are shifted sideways by up to "
            f"{largest:.2f} mm per {spacing_mm:.2f} mm (a tilted gantry). Send a series without tilt."
        )


def _refuse_drift(
    series: Series, positions: npt.NDArray[np.float64], slices: tuple[int, ...], affine: npt.NDArray[np.float64]
) -> None:
    """Small steps aside or apart that all go one way add up over a stack."""
    places = affine[:3, 3] + np.outer(slices, affine[:3, 0])
    largest = float(np.linalg.norm(positions - places, axis=1).max())
    edge_mm = float(np.linalg.norm(affine[:3, :3], axis=0).min())
    if largest > DRIFT_TOLERANCE * edge_mm:
        raise RefusedError(
            f"Slices must lie where a regular stack has them; in {series} one is {largest:.2f} mm off, "
            f"{DRIFT_TOLERANCE * edge_mm:.2f} mm allowed. Send a series of even spacing, without tilt."
        )
