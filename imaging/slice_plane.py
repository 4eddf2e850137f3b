"""Where one slice lies, from the Image Plane attributes (PS3.3 C.7.6.2)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.datadict import dictionary_description
from pydicom.dataset import Dataset

from imaging.outcome import Reason, RefusedError
from imaging.read_values import UNREADABLE

Vector = tuple[float, float, float]
FARTHEST_MM = 1e5
"""No coordinate, cosine or spacing of a body is larger."""
COSINE_TOLERANCE = 1e-3
"""Largest error of a length or a right angle of the direction cosines: they are stored with few digits."""


@dataclass(frozen=True)
class SlicePlane:
    """Where one slice lies: cosines of its row direction (columns rise) and column direction (rows rise)."""

    rows: int
    columns: int
    row_cosine: Vector
    column_cosine: Vector
    position_mm: Vector  # LPS, centre of the first pixel
    spacing_between_rows_mm: float
    spacing_between_columns_mm: float


def slice_plane(header: Dataset) -> SlicePlane:
    """Return the plane of an image, or refuse it with the attribute that is missing or wrong."""
    orientation = _numbers(header, "ImageOrientationPatient", 6)
    x, y, z = _numbers(header, "ImagePositionPatient", 3)
    between_rows_mm, between_columns_mm = _numbers(header, "PixelSpacing", 2)
    row = (orientation[0], orientation[1], orientation[2])
    column = (orientation[3], orientation[4], orientation[5])
    if min(between_rows_mm, between_columns_mm) <= 0:
        raise RefusedError(_unusable("Pixel Spacing", (between_rows_mm, between_columns_mm)), Reason.BAD_GEOMETRY)
    wrong = (_dot(row, column), _dot(row, row) - 1, _dot(column, column) - 1)
    if max(map(abs, wrong)) > COSINE_TOLERANCE:
        raise RefusedError(_unusable("Image Orientation (Patient)", orientation), Reason.BAD_GEOMETRY)
    size = _size(header, "Rows"), _size(header, "Columns")
    return SlicePlane(*size, row, column, (x, y, z), between_rows_mm, between_columns_mm)


def _dot(one: Vector, other: Vector) -> float:
    return one[0] * other[0] + one[1] * other[1] + one[2] * other[2]


def _size(header: Dataset, keyword: str) -> int:
    try:
        return int(header[keyword].value)
    except UNREADABLE as error:
        raise RefusedError(_unusable("number of Rows and Columns", None), Reason.BAD_SIZE) from error


def _numbers(header: Dataset, keyword: str, count: int) -> tuple[float, ...]:
    try:
        value = header.get(keyword)
        values = tuple(map(float, value if isinstance(value, Iterable) else (value,))) if value is not None else ()
    except UNREADABLE as error:
        said = _unusable(dictionary_description(keyword), "a value that is no number")
        raise RefusedError(said, Reason.BAD_GEOMETRY) from error
    if not values:
        raise RefusedError(_unusable(dictionary_description(keyword), None), Reason.NO_GEOMETRY)
    if len(values) != count or not all(math.isfinite(number) and abs(number) <= FARTHEST_MM for number in values):
        raise RefusedError(_unusable(dictionary_description(keyword), values), Reason.BAD_GEOMETRY)
    return values


def _unusable(attribute: str, found: object) -> str:
    return (
        f"Every slice needs a valid {attribute}; found {found}. "
        "Export the series again from its source, with geometry, or exclude it."
    )
