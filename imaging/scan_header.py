"""Where each element of a DICOM header lies, found without parsing values.

A scan reads the beginning of a file, more of it only when the header goes on, and touches each element once. It
trusts no length: what would reach past the end of the file, past the largest header, or too deep, is damaged. It
knows only what PS3.5 asks for; whatever else a file may do is left to a parser that is slower and more forgiving.
"""

from __future__ import annotations

import os
import zlib
from struct import Struct
from typing import NamedTuple, Protocol

FIRST_READ_BYTES = 8 << 10
"""Covers most headers; later reads are eight times as long as all before."""
MAX_HEADER_BYTES = 64 << 20
MAX_ELEMENTS = 2_000_000
"""Of one header, its sequences included: some 20 000 frames of an enhanced image."""
MAX_DEPTH = 32
"""Sequences within sequences; a structured report may need ten."""
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Their length takes four bytes, after two that are reserved (PS3.5 7.1.2)."""


class DamagedError(ValueError):
    """The file cannot be what it says it is; the message names no value."""


class UnusualError(ValueError):
    """The header is beyond this scan; nothing is said of whether it is damaged."""


Element = tuple[bytes, int, int, int]
"""VR (empty in implicit VR), start of the value, its length as stated (also UNDEFINED), and its end: behind the
delimiter where the length is undefined. Offsets count from the start of the source."""


class Source(Protocol):
    """Bytes that are fetched as far as they are needed."""

    elements_left: int  # until there are more than any header has

    @property
    def data(self) -> bytes | bytearray:
        """What has been fetched."""

    def reach(self, end: int) -> int:
        """Fetch the bytes before ``end``, as far as there are any; return how many are there now."""


class FileSource:
    """The beginning of an open file of a known size."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.elements_left = MAX_ELEMENTS
        self.size = size
        self._descriptor = descriptor
        self.data = os.pread(descriptor, FIRST_READ_BYTES, 0)

    def reach(self, end: int) -> int:
        """Fetch the bytes before ``end``; DamagedError when no header is that long."""
        if end > len(self.data) and len(self.data) < self.size:
            _refuse_long(end)
            wanted = min(max(end, len(self.data) * 8), self.size, MAX_HEADER_BYTES)
            self.data += os.pread(self._descriptor, wanted - len(self.data), len(self.data))
        return len(self.data)

    def beginning(self, length: int) -> bytes:
        """Return so many bytes, fewer when the file is shorter."""
        self.reach(min(length, self.size))
        return self.data[:length]


class InflatedSource:
    """A deflated data set (PS3.5 A.5), inflated as far as it is needed: a small file may claim to be endless."""

    def __init__(self, file: FileSource, position: int) -> None:
        self.elements_left = MAX_ELEMENTS
        self._file, self._position = file, position
        self._inflator = zlib.decompressobj(-zlib.MAX_WBITS)
        self.data = bytearray()

    def reach(self, end: int) -> int:
        """Inflate the bytes before ``end``; DamagedError when no header is that long or the stream is none."""
        while len(self.data) < end and not self._inflator.eof:
            _refuse_long(end)
            deflated = self._inflator.unconsumed_tail or self._next_deflated()
            try:
                self.data += self._inflator.decompress(deflated, max(end - len(self.data), FIRST_READ_BYTES))
            except zlib.error:
                raise DamagedError("a deflated data set that cannot be inflated") from None
            if not deflated:
                break
        return len(self.data)

    def _next_deflated(self) -> bytes:
        start = self._position
        self._position = min(start + FIRST_READ_BYTES, self._file.reach(start + FIRST_READ_BYTES))
        return self._file.data[start : self._position]


class Encoding:
    """How elements are written: a transfer syntax without what it says of pixels."""

    def __init__(self, *, implicit: bool, little_endian: bool) -> None:
        order = "<" if little_endian else ">"
        self.implicit, self.little_endian = implicit, little_endian
        self.explicit_head = Struct(f"{order}HH2sH").unpack_from  # group, element, VR, length of a short VR
        self.implicit_head = Struct(f"{order}HHL").unpack_from  # group, element, length
        self.long_length = Struct(f"{order}L").unpack_from
        self._tag = Struct(f"{order}HH").pack
        self.item = self.bytes_of(ITEM)

    def bytes_of(self, tag: int) -> bytes:
        """Return a tag as it is written."""
        return self._tag(tag >> 16, tag & 0xFFFF)


IMPLICIT_BIG_ENDIAN = Encoding(implicit=True, little_endian=False)  # within UN only
IMPLICIT = Encoding(implicit=True, little_endian=True)
EXPLICIT = Encoding(implicit=False, little_endian=True)
BIG_ENDIAN = Encoding(implicit=False, little_endian=False)


def scan_elements(source: Source, position: int, tags: range, encoding: Encoding, found: dict[int, Element]) -> int:
    """Add the elements from a position on to ``found`` while their tags lie in a range; return where that ends.

    Raises DamagedError for a header that ends within an element, is too long or too deep, and UnusualError for
    tags that do not rise, a VR that does not exist, and fragments.
    """
    implicit, implicit_head, explicit_head = encoding.implicit, encoding.implicit_head, encoding.explicit_head
    last, vr = next(reversed(found), -1), b""
    available = source.reach(position + 12)
    data = source.data
    while position + 8 <= available:  # once per element: kept free of calls
        start = position + 8
        if implicit:
            group, element, length = implicit_head(data, position)
        else:
            group, element, vr, length = explicit_head(data, position)
            if vr not in SHORT_VRS:
                vr, start, length = _long_head(data, position, vr, encoding)
        tag = group << 16 | element
        if tag not in tags:
            return position
        if tag <= last or vr is NO_VR:
            raise UnusualError("tags that do not rise, or a VR that does not exist")
        end = start + length
        if length == UNDEFINED or (vr in NESTING_VRS and length >= 8):
            end = _end_of_nesting(source, start, length, vr, encoding)
        found[tag] = (vr, start, length, end)
        last, position = tag, end
        if position + 12 > available:
            available = source.reach(position + 12)
            data = source.data
    _refuse_cut(position, available)
    _count(source, len(found))
    return position


def _long_head(data: bytes | bytearray, position: int, vr: bytes, encoding: Encoding) -> tuple[bytes, int, int]:
    """Return VR, start of the value and length where the VR has none of two bytes: delimiters have no VR at all."""
    if vr not in LONG_VRS:
        return NO_VR, position + 8, encoding.long_length(data, position + 4)[0]
    _refuse_cut(position + 12, len(data))
    return vr, position + 12, encoding.long_length(data, position + 8)[0]


def _head(
    data: bytes | bytearray, position: int, encoding: Encoding
) -> tuple[int, bytes, int, int]:  # fmt: skip
    """Return tag, VR, start of the value and length of the element at a position."""
    if encoding.implicit:
        group, element, length = encoding.implicit_head(data, position)
        return group << 16 | element, b"", position + 8, length
    group, element, vr, length = encoding.explicit_head(data, position)
    start = position + 8
    if vr not in SHORT_VRS:
        vr, start, length = _long_head(data, position, vr, encoding)
    return group << 16 | element, vr, start, length


def _refuse_cut(end: int, available: int) -> None:
    if end > available:
        raise DamagedError("the file ends within an element of its header")


def states_vr(data: bytes | bytearray, position: int) -> bool:
    """Return whether the element at a position has a VR: two capital letters, which are no length that occurs."""
    return all(0x41 <= letter <= 0x5A for letter in data[position + 4 : position + 6])


# -- sequences -------------------------------------------------------------------------------------------------------

ENDLESS = 1 << 62
NO_VR = b"??"
NESTING_VRS = (b"SQ", b"UN", b"")  # empty: implicit VR does not tell


class _Level(NamedTuple):
    """An open sequence or an open item of one."""

    is_item: bool
    end: int  # ENDLESS when a delimiter ends it
    encoding: Encoding


def _end_of_nesting(source: Source, start: int, length: int, vr: bytes, encoding: Encoding) -> int:
    """Return where a value ends, having walked through it when it is a sequence: what is handed on can be parsed."""
    if length == UNDEFINED:
        return _end_of_sequence(source, start, ENDLESS, vr, encoding)
    end = start + length
    if vr == b"SQ" or _begins_with_item(source, start, encoding):
        _refuse_cut(end, source.reach(end))
        return _end_of_sequence(source, start, end, vr, encoding)
    return end


def _end_of_sequence(source: Source, position: int, end: int, vr: bytes, encoding: Encoding) -> int:
    """Walk through a sequence, level by level without recursion, and return where it ends."""
    if vr not in NESTING_VRS:
        raise UnusualError("fragments")
    levels = [_Level(False, end, encoding)]
    while levels:
        is_item, end, encoding = levels[-1]
        if position >= end or source.reach(position + 12) < position + 8:
            if position != end:
                raise UnusualError("an item that ends within an element")
            levels.pop()
        else:
            step = _in_item if is_item else _in_sequence
            position = step(source, position, encoding, levels)
            _count(source, 1)
        if len(levels) > 2 * MAX_DEPTH:
            raise DamagedError("sequences nested too deep")
    return position


def _count(source: Source, elements: int) -> None:
    source.elements_left -= elements
    if source.elements_left < 0:
        raise DamagedError("more elements than a header has")


def _refuse_long(end: int) -> None:
    if end > MAX_HEADER_BYTES:
        raise DamagedError(f"a header of more than {MAX_HEADER_BYTES >> 20} MiB")


def _in_sequence(source: Source, position: int, encoding: Encoding, levels: list[_Level]) -> int:
    """Open an item or close the sequence."""
    group, element, length = encoding.implicit_head(source.data, position)
    start, tag = position + 8, group << 16 | element
    if tag == SEQUENCE_END and levels[-1].end == ENDLESS:
        levels.pop()
        return start
    if tag != ITEM:
        raise UnusualError("something between the items of a sequence")
    source.reach(start + 6)
    if not encoding.implicit and length and not states_vr(source.data, start):
        encoding = IMPLICIT if encoding.little_endian else IMPLICIT_BIG_ENDIAN  # such as in UN (PS3.5 6.2.2)
    levels.append(_Level(True, ENDLESS if length == UNDEFINED else start + length, encoding))
    return start


def _in_item(source: Source, position: int, encoding: Encoding, levels: list[_Level]) -> int:
    """Pass one element, open a sequence, or close the item."""
    tag, vr, start, length = _head(source.data, position, encoding)
    if tag >> 16 == 0xFFFE:
        if tag != ITEM_END or levels[-1].end != ENDLESS:
            raise UnusualError("a delimiter where none belongs")
        levels.pop()
        return start
    if vr is NO_VR or (length == UNDEFINED and vr not in NESTING_VRS):
        raise UnusualError("a VR that does not exist, or fragments")
    if length == UNDEFINED or vr == b"SQ" or (vr in NESTING_VRS and _begins_with_item(source, start, encoding)):
        levels.append(_Level(False, ENDLESS if length == UNDEFINED else start + length, encoding))
        return start
    return start + length


def _begins_with_item(source: Source, start: int, encoding: Encoding) -> bool:
    source.reach(start + 8)
    return source.data[start : start + 4] == encoding.item


def text_of(source: Source, found: dict[int, Element], tag: int) -> bytes:
    """Return the value of a short text without its padding, empty when it is absent."""
    _, start, _, end = found.get(tag, (b"", 0, 0, 0))
    return bytes(source.data[start:end]).rstrip(b"\0 ")
