"""What identifies a DICOM file and where its pixels begin, from a scan of its header.

The scan covers part 10 files (PS3.10 7.1) in the transfer syntaxes of the standard. UnusualError leaves a file to
pydicom.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom.datadict import dictionary_has_tag, dictionary_VR
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from imaging.scan_header import (
    BIG_ENDIAN,
    EXPLICIT,
    IMPLICIT,
    UNDEFINED,
    DamagedError,
    Element,
    Encoding,
    FileSource,
    InflatedSource,
    Source,
    UnusualError,
    scan_elements,
    states_vr,
    text_of,
)
from imaging.study import Facts, patient_digest

PREAMBLE_BYTES = 132
FILE_META = range(0x00020000, 0x00030000)
UP_TO_CLASS, UP_TO_PIXELS = range(0x00040000, 0x00080017), range(0x00040000, 0x7FE00008)
PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
META_CLASS, META_UID, SYNTAX = 0x00020002, 0x00020003, 0x00020010
CHARACTER_SET, SOP_CLASS, SOP_UID = 0x00080005, 0x00080016, 0x00080018
STUDY_UID, SERIES_UID = 0x0020000D, 0x0020000E
PATIENT_ID, ISSUER = 0x00100020, 0x00100021
UID_CHARACTERS = re.compile(rb"[0-9.]*")
STANDARD_ROOT = b"1.2.840.10008."
ENCODINGS: dict[str, Encoding] = {ImplicitVRLittleEndian: IMPLICIT, ExplicitVRBigEndian: BIG_ENDIAN}


class Scan:
    """Where everything lies in a file; UnusualError from any method leaves the file to pydicom."""

    def __init__(self, file: FileSource) -> None:
        if file.data[128:132] != b"DICM":
            raise UnusualError("no preamble")
        self.file = file
        self.meta: dict[int, Element] = {}
        self.found: dict[int, Element] = {}
        position = scan_elements(file, PREAMBLE_BYTES, FILE_META, EXPLICIT, self.meta)
        syntax = text_of(file, self.meta, SYNTAX)
        if not syntax.startswith(STANDARD_ROOT):
            raise UnusualError("a private transfer syntax, or none")
        self.syntax = _text_of_uid(syntax)
        self.encoding = ENCODINGS.get(self.syntax, EXPLICIT)
        self.source: Source = file
        self.position = position
        if self.is_deflated:
            self.source, self.position = InflatedSource(file, position), 0
        self.source.reach(self.position + 8)
        if states_vr(self.source.data, self.position) == self.encoding.implicit:
            raise UnusualError("another encoding than the transfer syntax states")

    @property
    def is_deflated(self) -> bool:
        """Whether the offsets of the data set are none of the file."""
        return self.syntax == DeflatedExplicitVRLittleEndian

    @property
    def is_directory(self) -> bool:
        """Whether the file is a DICOMDIR, which names its class in the file meta information only."""
        return text_of(self.file, self.meta, META_CLASS).decode("latin_1") == MediaStorageDirectoryStorage

    def advance(self, tags: range) -> None:
        """Scan on while the tags lie in a range."""
        self.position = scan_elements(self.source, self.position, tags, self.encoding, self.found)

    def complete(self) -> tuple[int | None, Facts]:
        """Scan the rest of the header; return where the pixels begin and what identifies the object."""
        self.advance(UP_TO_PIXELS)
        self._refuse_hidden_character_set()
        self._refuse_untold_sequences()
        return self._pixel_offset(), self._facts()

    def _pixel_offset(self) -> int | None:
        """Return where the element of the pixels begins, None without pixels, 0 when the data set is deflated."""
        if self.source.reach(self.position + 8) < self.position + 8:
            return None
        group, element, _ = self.encoding.implicit_head(self.source.data, self.position)
        if group << 16 | element not in PIXELS:
            raise UnusualError("something else than pixels at the end of the header")
        return 0 if self.is_deflated else self.position

    def _facts(self) -> Facts:
        """Return what identifies the object; DamagedError when class or instance have no UID."""
        sop_class, uid = self.uid_of(SOP_CLASS, META_CLASS), self.uid_of(SOP_UID, META_UID)
        if not (sop_class and uid) and not self.is_directory:
            raise DamagedError("no SOP Class UID or no SOP Instance UID")
        patient = (text_of(self.source, self.found, tag) for tag in (PATIENT_ID, ISSUER))
        return Facts(
            uid=uid,
            sop_class_uid=sop_class,
            series_uid=self.uid_of(SERIES_UID),
            study_uid=self.uid_of(STUDY_UID),
            transfer_syntax_uid=self.syntax,
            patient=patient_digest(*patient),
        )

    def uid_of(self, tag: int, meta_tag: int | None = None) -> str:
        """Return a UID of the data set, or else the one of the file meta information (PS3.10 7.1)."""
        element = self.found.get(tag)
        if element and element[0] not in (b"UI", b""):
            raise UnusualError("a UID that is none")
        value = text_of(self.source, self.found, tag)
        if not value and meta_tag and not self.is_directory:
            value = text_of(self.file, self.meta, meta_tag)
        return _text_of_uid(value)

    def _refuse_hidden_character_set(self) -> None:
        """Leave character sets within sequences to the parser: texts may become undecodable by them."""
        tag = self.encoding.bytes_of(CHARACTER_SET)
        if self.source.data.count(tag, 0, self.position) > (CHARACTER_SET in self.found):
            raise UnusualError("a character set within a sequence")

    def _refuse_untold_sequences(self) -> None:
        """Leave an element of undefined length to the parser when in implicit VR nothing says that it is a sequence."""
        if not self.encoding.implicit:
            return
        for tag, (_, start, length, _) in self.found.items():
            if length == UNDEFINED and self.source.data[start : start + 4] != self.encoding.item:
                raise UnusualError("an undefined length without an item")
            if length == UNDEFINED and dictionary_has_tag(tag) and dictionary_VR(tag) != "SQ":
                raise UnusualError("an undefined length of no sequence")


@lru_cache(maxsize=4096)
def _text_of_uid(value: bytes) -> str:
    if not UID_CHARACTERS.fullmatch(value):
        raise UnusualError("a UID that is none")
    return value.decode("ascii")


def start_of_data_set(descriptor: int, size: int) -> int:
    """Return where the data set begins, behind preamble and file meta information; 0 when that cannot be told."""
    file = FileSource(descriptor, size)
    if file.data[128:132] != b"DICM":
        return 0
    try:
        return scan_elements(file, PREAMBLE_BYTES, FILE_META, EXPLICIT, {})
    except (UnusualError, DamagedError):
        return 0
