"""Values of header attributes as words and numbers, whatever a scanner, an archive or a de-identifier left there.

Nothing here raises: a value that cannot be read as what the standard says it is counts as absent.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException

UNREADABLE = (
    ValueError, TypeError, LookupError, AttributeError, ArithmeticError, NotImplementedError, BytesLengthException,
    OSError, EOFError, struct.error,
)  # fmt: skip
"""What pydicom raises when the bytes of a value do not fit its VR: it converts and parses at the first access."""
NUMBERS_AS_TEXT = re.compile(rb"[\d\s.+\-eE\\]+\0?")


@dataclass(frozen=True)
class PrivateElement:
    """A private attribute (PS3.5 7.8.1): its block is reserved by its creator, wherever that is in the group."""

    group: int
    creator: str
    element: int  # within its block, 0x00 to 0xFF
    vendor: str  # a word of Manufacturer, in capitals
    packed: str = ""  # struct code of its values, where the VR was lost and they are bytes; empty for text


def raw_value(header: Dataset, key: str | int) -> object | None:
    """Return a value by keyword or tag as pydicom gives it, None when it is absent or unreadable."""
    value: object | None
    try:
        value = header.get(key) if isinstance(key, str) else getattr(header.get(key), "value", None)
    except UNREADABLE:
        return None
    else:
        return value


def words(header: Dataset, key: str | int) -> tuple[str, ...]:
    """Return the values of a text attribute in capitals, without padding and without empty ones.

    >>> header = Dataset()
    >>> header.ImageType = ["DERIVED", "PRIMARY", "", "ADC"]
    >>> words(header, "ImageType")
    ('DERIVED', 'PRIMARY', 'ADC')
    """
    return _words(raw_value(header, key))


def numbers(header: Dataset, key: str | int) -> tuple[float, ...]:
    """Return the finite values of a numeric attribute; values that are no numbers are left out."""
    return _numbers(raw_value(header, key))


def number(header: Dataset, *keys: str | int) -> float | None:
    """Return the first finite value of the first of several attributes that has one."""
    return next((found for key in keys for found in numbers(header, key)), None)


def private_value(header: Dataset, wanted: PrivateElement) -> object | None:
    """Return the value of a private attribute.

    Where the creator is missing (some archives drop it) block 0x10 is read, if no other creator reserves it
    and the manufacturer, when stated, is the right one.
    """
    block = _block(header, wanted)
    return None if block is None else raw_value(header, wanted.group << 16 | block << 8 | wanted.element)


def private_numbers(header: Dataset, wanted: PrivateElement) -> tuple[float, ...]:
    """Return the values of a numeric private attribute, also where its VR was lost (UN or OB, bytes)."""
    value = private_value(header, wanted)
    if not isinstance(value, bytes) or not wanted.packed or NUMBERS_AS_TEXT.fullmatch(value):
        return _numbers(value)
    count, rest = divmod(len(value), struct.calcsize(wanted.packed))
    if rest:
        return ()
    return _numbers(struct.unpack(f"<{count}{wanted.packed}", value))  # UN is little endian: PS3.5 6.2.2


def private_words(header: Dataset, wanted: PrivateElement) -> tuple[str, ...]:
    """Return the values of a private text attribute in capitals."""
    return _words(private_value(header, wanted))


def items(header: Dataset, keyword: str) -> tuple[Dataset, ...]:
    """Return the items of a sequence attribute."""
    value = raw_value(header, keyword)
    return tuple(item for item in _each(value) if isinstance(item, Dataset))


def _block(header: Dataset, wanted: PrivateElement) -> int | None:
    tags = header.keys()
    reserved = [int(tag) for tag in tags if int(tag) >> 16 == wanted.group and 0x10 <= int(tag) & 0xFFFF <= 0xFF]
    for tag in reserved:
        if words(header, tag) == (wanted.creator.upper(),):
            return tag & 0xFF
    maker = " ".join(words(header, "Manufacturer"))
    free = not words(header, wanted.group << 16 | 0x10)
    return 0x10 if free and (not maker or wanted.vendor in maker) else None


def _each(value: object) -> Iterable[object]:
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return value
    return () if value is None else (value,)


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "ignore").rstrip("\0 ")
    return value if isinstance(value, str) else ""


def _words(value: object) -> tuple[str, ...]:
    parts = [part for item in _each(value) for part in _text(item).split("\\")]
    return tuple(part.strip().upper() for part in parts if part.strip())


def _numbers(value: object) -> tuple[float, ...]:
    parts: list[object] = []
    for item in _each(value):
        parts += _text(item).split("\\") if isinstance(item, str | bytes) else [item]
    return tuple(found for part in parts if (found := _finite(part)) is not None)


def _finite(value: object) -> float | None:
    try:
        found = float(value)  # type: ignore[arg-type]
    except UNREADABLE:
        return None
    return found if math.isfinite(found) else None
