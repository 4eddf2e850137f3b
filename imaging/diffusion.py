"""b-values."""

from pydicom.dataset import Dataset
from imaging.study import number


def b_value(header: Dataset) -> float | None:
    return number(header, "DiffusionBValue")


def gradient_direction(header: Dataset) -> tuple[float, ...] | None:
    value = header.get("DiffusionGradientOrientation")
    return tuple(float(x) for x in value) if value else None
