"""Pixels of one frame as float32 in the unit its rescale attributes define."""

from __future__ import annotations

import os
import warnings
import zlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from imaging.decode_stream import NAME, add_decoders, is_available
from imaging.load_study import DAMAGE
from imaging.outcome import Reason, RefusedError
from imaging.read_values import UNREADABLE
from imaging.study import Frame, integer

NATIVE = (ImplicitVRLittleEndian, ExplicitVRLittleEndian)
PIXEL_DATA = b"\xe0\x7f\x10\x00"
EXPLICIT_VRS = (b"OB", b"OW", b"UN")
"""Files may state another transfer syntax than they use. As a length, which is even, none of these can be read."""
UNDEFINED_LENGTH = b"\xff\xff\xff\xff"
MAX_PIXELS = 2**28
"""Larger images than 16384 x 16384 are refused before anything is allocated."""
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
"""Both hold the same modality values; the first asks a display to invert them (PS3.3 C.7.6.3.1.2)."""

add_decoders()


def decode_frame(frame: Frame) -> npt.NDArray[np.float32]:
    """Return (row, column) float32 values after the Modality LUT (PS3.3 C.11.1): slope * stored + intercept.

    Raises RefusedError when the pixels are missing, cut short, in colour, or in a syntax that cannot be decoded.
    """
    rows, columns = int(_number(frame, "Rows")), int(_number(frame, "Columns"))
    _refuse_unusable(frame, rows, columns)
    syntax = _syntax(frame)
    stored = _native(frame, rows, columns) if syntax in NATIVE else _decoded(frame, rows * columns)
    if stored.shape != (rows, columns):
        raise _refusal(frame, f"it decodes to {stored.shape}, not {(rows, columns)}", Reason.BAD_SIZE)
    return _rescaled(stored, frame)


def _refuse_unusable(frame: Frame, rows: int, columns: int) -> None:
    """Refuse what a header alone tells: nothing has been allocated yet."""
    if frame.instance.pixel_offset is None:
        raise _refusal(frame, "it has no Pixel Data", Reason.NO_PIXELS)
    if rows * columns > MAX_PIXELS or min(rows, columns) <= 0:
        raise _refusal(frame, f"it claims {rows} x {columns} pixels", Reason.BAD_SIZE)
    photometric = frame.header.get("PhotometricInterpretation")
    if _number(frame, "SamplesPerPixel", 1) != 1 or photometric not in MONOCHROME:
        raise _refusal(frame, f"its pixels are {photometric}, not MONOCHROME2", Reason.PHOTOMETRIC)
    if frame.header.get("ModalityLUTSequence"):
        raise _refusal(frame, "its values follow a Modality LUT, not a slope and intercept", Reason.BAD_RESCALE)


def _syntax(frame: Frame) -> UID:
    said = frame.instance.header.file_meta.get("TransferSyntaxUID")
    return UID(str(said or ImplicitVRLittleEndian), validation_mode=IGNORE)


def _native(frame: Frame, rows: int, columns: int) -> npt.NDArray[np.generic]:
    """Read uncompressed little-endian pixels straight from the file."""
    bits = int(_number(frame, "BitsAllocated"))
    if bits not in (8, 16, 32):
        return _decoded(frame, rows * columns)
    dtype = np.dtype(f"<{'i' if _number(frame, 'PixelRepresentation', 0) else 'u'}{bits // 8}")
    needed = rows * columns * dtype.itemsize
    with frame.instance.path.open("rb") as file:
        file.seek(frame.instance.pixel_offset or 0)
        element = file.read(8)
        if element[4:6] in EXPLICIT_VRS:
            element += file.read(4)
        if element[:4] != PIXEL_DATA:
            return _decoded(frame, rows * columns)  # Float or Double Float Pixel Data
        if element[-4:] == UNDEFINED_LENGTH:
            raise _refusal(frame, f"its pixels are encapsulated, against its {_syntax(frame).name}", Reason.UNDECODABLE)
        start = frame.number * needed
        there = os.fstat(file.fileno()).st_size - file.tell()
        found = max(0, min(there, int.from_bytes(element[-4:], "little")) - start)
        if found < needed:
            reason = f"its pixels are cut short: {found} of {needed} bytes"
            raise _refusal(frame, reason, Reason.PIXELS_CUT_SHORT)
        file.seek(start, os.SEEK_CUR)
        pixels = file.read(needed)
    return _in_stored_bits(np.frombuffer(pixels, dtype).reshape(rows, columns), frame)


def _in_stored_bits(stored: npt.NDArray[np.generic], frame: Frame) -> npt.NDArray[np.generic]:
    """Clear what lies beside the stored bits (old overlays), and extend the sign."""
    allocated = int(_number(frame, "BitsAllocated"))
    used = int(_number(frame, "BitsStored", allocated))
    high = int(_number(frame, "HighBit", used - 1))
    if not 0 < used <= high + 1 <= allocated:
        raise _refusal(frame, f"it claims {used} bits below bit {high + 1} of {allocated}", Reason.BAD_SIZE)
    if used == allocated:
        return stored
    return np.asarray(np.right_shift(np.left_shift(stored, allocated - 1 - high), allocated - used))


def _decoded(frame: Frame, pixels: int) -> npt.NDArray[np.generic]:
    """Decode compressed, big-endian or deflated pixels with pydicom and its plug-ins."""
    path = frame.instance.path
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status = path.stat()
            dataset = _read(path, status.st_mtime_ns, status.st_size)
            if pixels > status.st_size * MOST_COMPRESSED:
                raise _refusal(frame, f"{status.st_size} bytes cannot hold its pixels", Reason.PIXELS_CUT_SHORT)
            index = frame.number if frame.of_many else None
            plugin = NAME if is_available(_syntax(frame)) else ""  # others are not asked: they end the process
            return np.asarray(pixel_array(dataset, index=index, raw=True, decoding_plugin=plugin))
    except (*DAMAGE, RuntimeError, MemoryError, zlib.error) as error:
        reason = f"its pixels cannot be decoded ({_syntax(frame).name})"
        raise _refusal(frame, reason, Reason.UNDECODABLE) from error


MOST_COMPRESSED = 5000
"""Pixels for each byte of a file: no codec packs an image closer, except one that is blank."""


@lru_cache(maxsize=1)
def _read(path: Path, _changed: int, _size: int) -> Dataset:
    """Return a data set with its pixels as stored; kept for the other frames of the same file."""
    content = path.read_bytes()  # lengths may claim more than there is, and a file would try to read that much
    if DeflatedExplicitVRLittleEndian.encode() in content[:MAX_META_BYTES]:
        _refuse_bomb(content)
    return pydicom.dcmread(BytesIO(content), force=True)


MAX_META_BYTES = 4096
MAX_INFLATION, MAX_INFLATED_BYTES = 64, 1 << 28
"""A deflated data set that grows by more than that is no image."""


def _refuse_bomb(content: bytes) -> None:
    """Inflate without keeping anything, as far as an image could be."""
    length_at = content.find(b"\x02\x00\x00\x00UL\x04\x00") + 8
    start = length_at + 4 + int.from_bytes(content[length_at : length_at + 4], "little")
    inflater, waiting, size = zlib.decompressobj(-zlib.MAX_WBITS), content[start:], 0
    while waiting and not inflater.eof:
        size += len(inflater.decompress(waiting, 1 << 20))
        waiting = inflater.unconsumed_tail
        if size > max(MAX_INFLATION * len(content), MAX_INFLATED_BYTES):
            raise ValueError(f"{len(content)} bytes inflate to more than {size}")


def _rescaled(stored: npt.NDArray[np.generic], frame: Frame) -> npt.NDArray[np.float32]:
    slope, intercept = _number(frame, "RescaleSlope", 1), _number(frame, "RescaleIntercept", 0)
    if slope == 0 or not np.isfinite([slope, intercept]).all():
        raise _refusal(frame, f"its Rescale Slope and Intercept are {slope:g} and {intercept:g}", Reason.BAD_RESCALE)
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused below
        if (slope, intercept) == (1.0, 0.0):
            values = stored.astype(np.float32)
        elif stored.dtype.itemsize <= 2:  # single precision holds every stored value
            values = stored.astype(np.float32)
            values *= np.float32(slope)
            values += np.float32(intercept)
        else:
            values = np.asarray(stored.astype(np.float64) * slope + intercept, np.float32)
    if not np.isfinite(values.sum(dtype=np.float64)):
        raise _refusal(frame, "it holds values that are not finite", Reason.NOT_FINITE)
    return values


def _number(frame: Frame, keyword: str, default: float | None = None) -> float:
    """Return a number of the header; without a default it has to be there."""
    try:
        value = frame.header.get(keyword)
        return float(default if value is None else value)  # type: ignore[arg-type]
    except UNREADABLE as error:
        reason = Reason.BAD_RESCALE if keyword.startswith("Rescale") else Reason.BAD_SIZE
        raise _refusal(frame, f"its {keyword} is missing or no number", reason) from error


def _refusal(frame: Frame, why: str, reason: Reason) -> RefusedError:
    number, series = (integer(frame.header, keyword) for keyword in ("InstanceNumber", "SeriesNumber"))
    place = f"frame {frame.number + 1} of " if frame.of_many else ""
    return RefusedError(
        f"Every slice must be readable; {place}instance {number if number is not None else '(no number)'} of series "
        f"{series if series is not None else '(no number)'} is not: {why}. "
        "Send the series again, uncompressed if need be.",
        reason,
    )
