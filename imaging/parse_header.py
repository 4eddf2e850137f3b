"""The header of a file as a pydicom data set: from a scan, values decoded when they are asked for, or by pydicom alone.

Both give the same header. What is handed on has sequences that can all be parsed, no deeper than a limit, and texts
that can be decoded.
"""

from __future__ import annotations

import codecs
import logging
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.charset import convert_encodings, default_encoding, python_encoding
from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement, empty_value_for_VR
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from imaging.forgive_values import forgive
from imaging.scan_file import CHARACTER_SET, SOP_CLASS, SOP_UID, Scan
from imaging.scan_header import (
    EXPLICIT,
    LONG_VRS,
    MAX_DEPTH,
    SHORT_VRS,
    UNDEFINED,
    DamagedError,
    Element,
    Encoding,
    FileSource,
    Source,
    text_of,
)
from imaging.study import Facts, facts_of

forgive()

DAMAGE = (
    EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, RecursionError,
    IndexError, struct.error, zlib.error, BytesLengthException, InvalidDicomError, LookupError,
)  # fmt: skip
"""What a file raises that is damaged in one way or another, or no DICOM file."""

FRAMES = 0x00280008
DEFERRED_BYTES = 16 << 10
"""Longer private values stay in the file until they are asked for: vendors put 100 kB into every slice."""
MAX_UNUSUAL_BYTES = 8 << 20
"""Longest header that is given to pydicom, which takes seconds for this much."""
MAX_UNUSUAL_ELEMENTS = 100_000
VR_TEXTS: dict[bytes, str | None] = {b"": None, **{vr: vr.decode() for vr in SHORT_VRS | LONG_VRS}}
NOTHING = b"", RawDataElement(BaseTag(0), None, 0, None, 0, True, True)
READABLE_BY_ALL = "ISO_IR 100"
"""Stands in for a character set that no text can be decoded with: it keeps every byte."""
TERMS = {name: term for term, name in reversed(python_encoding.items()) if term}
TEXT_CODECS = re.compile(r"(ascii|utf-8|cp\d+|iso8859|iso2022|koi8|gb|shift_jis|euc|big5|tis-620)")
"""Python knows others by name that decode no text, or not every text: idna, undefined, base64."""
Shared = dict[Encoding, dict[int, tuple[bytes, RawDataElement]]]
"""The last element of each tag, with its bytes: most repeat from slice to slice and are kept once."""


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what pydicom has to say out of warnings and logs: it quotes attribute values."""
    logger = logging.getLogger("pydicom")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = was_disabled


def header_of(path: Path, scan: Scan, shared: Shared) -> FileDataset:
    """Return the header as pydicom.dcmread does: values are decoded when they are asked for."""
    elements: dict[BaseTag, DataElement | RawDataElement] = _raw_elements(
        scan.source, scan.found, scan.encoding, shared
    )
    file_meta = FileMetaDataset(_raw_elements(scan.file, scan.meta, EXPLICIT, shared))
    file_meta.set_original_encoding(is_implicit_vr=False, is_little_endian=True, character_encoding=default_encoding)
    implicit, little_endian = scan.encoding.implicit, scan.encoding.little_endian
    header = FileDataset(str(path), elements, bytes(scan.file.data[:128]), file_meta, implicit, little_endian)
    header.set_original_encoding(implicit, little_endian, default_encoding)
    _set_character_set(header)
    if not all(text_of(scan.source, scan.found, tag) for tag in (SOP_CLASS, SOP_UID)):
        with quiet():
            complete_identity(header)
    return header


def _raw_elements(
    source: Source, found: dict[int, Element], encoding: Encoding, shared: Shared
) -> dict[BaseTag, DataElement | RawDataElement]:
    """Return elements that nobody has decoded yet; those with the bytes of the header before are the same objects."""
    data, known = source.data, shared.setdefault(encoding, {})
    may_defer = isinstance(source, FileSource) and FRAMES not in found  # frames are copied to headers without a file
    elements: dict[BaseTag, DataElement | RawDataElement] = {}
    for tag, (vr, start, length, end) in found.items():
        if may_defer and DEFERRED_BYTES < length < UNDEFINED and tag >> 16 & 1:
            raw = _raw(tag, vr, length, None, start, encoding)
        else:
            written = bytes(data[start - 8 : end])  # with the length, and with the VR where there is one
            last, raw = known.get(tag, NOTHING)
            if last != written:
                value = bytes(data[start : end - 8 if length == UNDEFINED else end])
                raw = _raw(tag, vr, length, value, start, encoding)
                known[tag] = written, raw
        elements[raw.tag] = raw
    return elements


def _raw(tag: int, vr: bytes, length: int, value: bytes | None, start: int, encoding: Encoding) -> RawDataElement:
    """Return an element as pydicom keeps it before it is decoded; without a value it is read when asked for."""
    text = "SQ" if length == UNDEFINED else VR_TEXTS[vr]  # UN of undefined length is a sequence (PS3.5 6.2.2)
    if not length:
        value = empty_value_for_VR(text, raw=True)  # type: ignore[assignment]
    return RawDataElement(BaseTag(tag), text, length, value, start, encoding.implicit, encoding.little_endian)


def complete_identity(header: FileDataset) -> None:
    """Take class and instance UID from the file meta information, where they stand too (PS3.10 7.1), if need be."""
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        uid = header.file_meta.get(f"MediaStorage{keyword}")
        if uid and not header.get(keyword) and not _is_directory(header):
            setattr(header, keyword, uid)


def _is_directory(header: FileDataset) -> bool:
    return bool(header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)


def _set_character_set(header: FileDataset) -> None:
    """Make texts decodable whatever the character set: one that does not exist is replaced."""
    element = header.get_item(CHARACTER_SET)
    if element is None:
        return
    value = element.value or b""
    if not isinstance(value, bytes):  # decoded already
        value = (value if isinstance(value, str) else "\\".join(value)).encode(default_encoding, "replace")
    names = _python_encodings(value)
    terms = value.decode(default_encoding).rstrip("\0 ").split("\\")
    if not names or any(term.strip() not in python_encoding for term in terms):  # pydicom would say so each time
        known = [TERMS.get(name, READABLE_BY_ALL) for name in names]
        header[CHARACTER_SET] = DataElement(CHARACTER_SET, "CS", known or READABLE_BY_ALL)
    header.set_original_encoding(header._read_implicit, header._read_little, list(names or ("latin_1",)))


@lru_cache(maxsize=64)
def _python_encodings(character_set: bytes) -> tuple[str, ...]:
    """Return Python's names of a Specific Character Set, none when one of them decodes no text."""
    text = character_set.decode(default_encoding).rstrip("\0 ")
    try:
        with quiet():
            names = convert_encodings([part.strip() for part in text.split("\\")])
        return tuple(names) if all(TEXT_CODECS.match(codecs.lookup(name).name) for name in names) else ()
    except (LookupError, ValueError):
        return ()


# -- by pydicom alone ------------------------------------------------------------------------------------------------


def parse_unusual(path: Path, file: FileSource) -> tuple[FileDataset, int | None]:
    """Return header and offset of the pixels as pydicom reads them, from as many bytes as it may take.

    Raises DamagedError for what pydicom cannot read, and for what it reads although it is cut short or too deep.
    """
    content = file.beginning(MAX_UNUSUAL_BYTES)
    if DeflatedExplicitVRLittleEndian.encode() in content:
        raise DamagedError("a deflated data set that cannot be scanned")  # pydicom would inflate without end
    buffer = BytesIO(content)
    try:
        with quiet():
            header = pydicom.dcmread(buffer, stop_before_pixels=True, force=True)
            offset = buffer.tell()
            _refuse_cut_short(header, is_cut=offset == len(content) < file.size)
            _set_character_set(header)
            _parse_deep(header)
            complete_identity(header)
            identified = header.get("SOPClassUID") and header.get("SOPInstanceUID")
    except DAMAGE as error:
        raise DamagedError(f"a header that cannot be parsed ({type(error).__name__})") from None
    if not identified and not _is_directory(header):
        raise DamagedError("no SOP Class UID or no SOP Instance UID")
    header.buffer, header.filename = None, str(path)
    return header, offset if offset < file.size else None


def quiet_facts(header: FileDataset) -> Facts:
    """Return what identifies an object that could not be scanned."""
    with quiet():
        return facts_of(header)


def _refuse_cut_short(header: FileDataset, *, is_cut: bool) -> None:
    """Refuse elements that claim more than there is, which pydicom takes as they are."""
    for element in (*header.file_meta.elements(), *header.elements()):
        if isinstance(element, RawDataElement) and element.length != UNDEFINED:
            is_cut |= len(element.value or b"") < element.length
    if is_cut:
        raise DamagedError("a header that is cut short, or too long to be parsed")


def _parse_deep(header: Dataset) -> None:
    """Parse all sequences, level by level: pydicom does so when they are asked for, without a limit."""
    level, count = [header], 0
    for _ in range(MAX_DEPTH):
        level = [item for dataset in level for item in _items(dataset)]
        count += sum(len(dataset) for dataset in level)
        if not level:
            return
        if count > MAX_UNUSUAL_ELEMENTS:
            break
    raise DamagedError("too many sequences within sequences")


def _items(dataset: Dataset) -> Iterator[Dataset]:
    """Yield the items of all sequences of a data set, in which every element has a VR that exists from now on."""
    for tag, element in list(dataset.items()):
        if isinstance(element, RawDataElement) and element.VR not in VR_TEXTS.values():
            dataset._dict[tag] = element._replace(VR="UN")  # decoded by the dictionary, as far as it knows the tag
        elif _may_be_sequence(tag, element.VR):
            value = dataset[tag].value
            yield from value if isinstance(value, Sequence) else ()


def _may_be_sequence(tag: BaseTag, vr: str | None) -> bool:
    if vr in ("UN", None):
        return tag.is_private or (dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ")
    return vr == "SQ"
