"""One DICOM file as an instance: identified by a scan of its header, which is parsed when somebody asks for it."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pydicom.dataset import Dataset

from imaging.outcome import Reason, RefusedError
from imaging.parse_header import DAMAGE, Shared, header_of, parse_unusual, quiet_facts
from imaging.scan_file import META_CLASS, PREAMBLE_BYTES, SERIES_UID, SOP_CLASS, UP_TO_CLASS, Scan
from imaging.scan_header import DamagedError, FileSource, UnusualError
from imaging.sop_classes import STORAGE, holds_image
from imaging.study import Facts, Instance

ROWS, COLUMNS = 0x00280010, 0x00280011


class NotDicomError(ValueError):
    """The file does not begin like DICOM."""


class DeniedError(OSError):
    """The file may not be opened, or it is no regular file."""


def read_header(path: Path) -> Instance:
    """Return a DICOM object; its header ends where its pixels begin.

    Raises DeniedError, NotDicomError, or another of DAMAGE; their messages hold no attribute.
    """
    with opened(path) as (descriptor, size):
        file = FileSource(descriptor, size)
        if not begins_like_dicom(file.data):
            raise NotDicomError("the file does not begin like DICOM")
        try:
            scan = Scan(file)
            offset, facts = scan.complete()
        except UnusualError:
            header, offset = parse_unusual(path, file)
            facts = quiet_facts(header)
    return Instance(path, partial(_parse, path, {}), offset, facts)


def find_image(path: Path, shared: Shared) -> Instance | None:
    """Return a DICOM image, None for an object of another kind; raises as read_header.

    shared  elements that the headers of one study have in common, kept once
    """
    with opened(path) as (descriptor, size):
        file = FileSource(descriptor, size)
        if not begins_like_dicom(file.data):
            raise NotDicomError("the file does not begin like DICOM")
        try:
            found = _image_by_scan(file)
        except UnusualError:
            found = _image_by_parser(path, file)
    return found and Instance(path, partial(_parse, path, shared), *found)


def _image_by_scan(file: FileSource) -> tuple[int | None, Facts] | None:
    scan = Scan(file)
    scan.advance(UP_TO_CLASS)
    if scan.is_directory or not holds_image(scan.uid_of(SOP_CLASS, META_CLASS)):
        return None  # a document of any size is not looked at any further
    offset, facts = scan.complete()
    return (offset, facts) if _is_whole_image(facts, scan.found) else None


def _image_by_parser(path: Path, file: FileSource) -> tuple[int | None, Facts] | None:
    header, offset = parse_unusual(path, file)
    facts = quiet_facts(header)
    is_image = holds_image(facts.sop_class_uid) and _is_whole_image(facts, frozenset(header.keys()))
    return (offset, facts) if is_image else None


def _is_whole_image(facts: Facts, found: Container[int]) -> bool:
    """Return whether there is what every image has; DamagedError when the class, which is one of images, demands it."""
    if all(tag in found for tag in (ROWS, COLUMNS, SERIES_UID)):
        return True
    if facts.sop_class_uid.startswith(STORAGE):
        raise DamagedError("an image that lacks Rows, Columns or its series")
    return False


def looks_like_dicom(path: Path) -> bool:
    """Return whether a file begins as a DICOM file: 'DICM' after the preamble, or a first element of group 2 or 8."""
    try:
        with opened(path) as (descriptor, _):
            return begins_like_dicom(os.pread(descriptor, PREAMBLE_BYTES, 0))
    except OSError:
        return False


def begins_like_dicom(start: bytes | bytearray) -> bool:
    """Return whether these are the first bytes of a DICOM file, with or without preamble (PS3.10 7.1)."""
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8:
        return False
    group, element = struct.unpack_from("<HH", start)
    return group in (0x0002, 0x0008) and element <= 0x0020


@contextmanager
def opened(path: Path) -> Iterator[tuple[int, int]]:
    """Open a regular file and give its descriptor and size; a link is not followed, a pipe not waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise DeniedError(error.errno, "the file cannot be opened") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise DeniedError(0, "not a regular file")
        yield descriptor, status.st_size
    finally:
        os.close(descriptor)


def _parse(path: Path, shared: Shared) -> Dataset:
    """Return the header of a file that has been read before; RefusedError when it has changed since."""
    try:
        with opened(path) as (descriptor, size):
            file = FileSource(descriptor, size)
            try:
                scan = Scan(file)
                scan.complete()
                return header_of(path, scan, shared)
            except UnusualError:
                return parse_unusual(path, file)[0]
    except DAMAGE:
        raise RefusedError(
            "Each file must stay as it is while it is worked on; one has changed or is gone since the study was "
            "read. Run again when the study has arrived.",
            Reason.UNDECODABLE,
        ) from None
