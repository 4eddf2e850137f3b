"""Pixels of one instance as float32 in the unit its rescale attributes define."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from imaging.load_study import DAMAGE
from imaging.outcome import RefusedError
from imaging.study import Instance, integer

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
PIXEL_DATA = b"\xe0\x7f\x10\x00"
EXPLICIT_VRS = (b"OB", b"OW", b"UN")
"""Files may state another transfer syntax than they use. As a length, which is even, none of these can be read."""
MAX_PIXELS = 2**28
"""Larger images than 16384 x 16384 are refused before anything is allocated."""


def decode_pixels(instance: Instance) -> npt.NDArray[np.float32]:
    """Return (row, column) float32 values after the Modality LUT (PS3.3 C.11.1): slope * stored + intercept.

    Raises RefusedError when the pixels are missing, cut short, in colour, or in a syntax that cannot be decoded.
    """
    header = instance.header
    rows, columns = int(_number(instance, "Rows")), int(_number(instance, "Columns"))
    if instance.pixel_offset is None:
        raise RefusedError(_because(instance, "it has no Pixel Data"))
    if rows * columns > MAX_PIXELS or rows * columns == 0:
        raise RefusedError(_because(instance, f"it claims {rows} x {columns} pixels"))
    if _number(instance, "SamplesPerPixel", 1) != 1 or header.get("PhotometricInterpretation") != "MONOCHROME2":
        raise RefusedError(
            _because(instance, f"its pixels are {header.get('PhotometricInterpretation')}, not MONOCHROME2")
        )
    if _number(instance, "NumberOfFrames", 1) != 1:
        raise RefusedError(_because(instance, f"it holds {header.NumberOfFrames} frames in one object"))
    syntax = header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
    stored = _native(instance, rows, columns) if syntax in NATIVE else _decoded(instance)
    if stored.shape != (rows, columns):
        raise RefusedError(_because(instance, f"it decodes to {stored.shape}, not {(rows, columns)}"))
    return _rescaled(stored, instance)


def _native(instance: Instance, rows: int, columns: int) -> npt.NDArray[np.generic]:
    """Read uncompressed little-endian pixels straight from the file."""
    bits = int(_number(instance, "BitsAllocated"))
    if bits not in (8, 16, 32):
        return _decoded(instance)
    dtype = np.dtype(f"<{'i' if _number(instance, 'PixelRepresentation', 0) else 'u'}{bits // 8}")
    needed = rows * columns * dtype.itemsize
    with instance.path.open("rb") as file:
        file.seek(instance.pixel_offset or 0)
        element = file.read(8)
        if element[4:6] in EXPLICIT_VRS:
            element += file.read(4)
        pixels = file.read(needed)
    if element[:4] != PIXEL_DATA:
        return _decoded(instance)  # Float or Double Float Pixel Data
    found = min(len(pixels), int.from_bytes(element[-4:], "little"))
    if found < needed:
        raise RefusedError(_because(instance, f"its pixels are cut short: {found} of {needed} bytes"))
    return _in_stored_bits(np.frombuffer(pixels, dtype).reshape(rows, columns), instance)


def _in_stored_bits(stored: npt.NDArray[np.generic], instance: Instance) -> npt.NDArray[np.generic]:
    """Clear what lies above the high bit (old overlays), and extend the sign."""
    bits = int(_number(instance, "BitsAllocated"))
    unused = bits - int(_number(instance, "BitsStored", bits))
    if unused <= 0:
        return stored
    return np.asarray(np.right_shift(np.left_shift(stored, unused), unused))


def _decoded(instance: Instance) -> npt.NDArray[np.generic]:
    """Decode compressed, big-endian or deflated pixels with pydicom and its plug-ins."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(pydicom.dcmread(instance.path, force=True).pixel_array)
    except (*DAMAGE, RuntimeError, MemoryError) as error:
        syntax = instance.header.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
        raise RefusedError(_because(instance, f"its pixels cannot be decoded ({syntax.name})")) from error


def _rescaled(stored: npt.NDArray[np.generic], instance: Instance) -> npt.NDArray[np.float32]:
    slope, intercept = _number(instance, "RescaleSlope", 1), _number(instance, "RescaleIntercept", 0)
    if slope == 0:
        raise RefusedError(_because(instance, "its Rescale Slope is 0"))
    values = stored.astype(np.float32)
    if (slope, intercept) != (1.0, 0.0):
        values *= np.float32(slope)
        values += np.float32(intercept)
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise RefusedError(_because(instance, "it holds values that are not finite"))
    return values


def _number(instance: Instance, keyword: str, default: float | None = None) -> float:
    """Return a number of the header; without a default it has to be there."""
    try:
        value = instance.header.get(keyword)
        return float(default if value is None else value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise RefusedError(_because(instance, f"its {keyword} is missing or no number")) from error


def _because(instance: Instance, reason: str) -> str:
    number, series = (integer(instance.header, keyword) for keyword in ("InstanceNumber", "SeriesNumber"))
    return (
        f"Every slice must be readable; instance {number if number is not None else '(no number)'} of series "
        f"{series if series is not None else '(no number)'} is not: {reason}. "
        "Send the series again, uncompressed if need be."
    )
