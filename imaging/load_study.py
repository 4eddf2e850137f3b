"""Find the DICOM series in a folder by content, reading headers only.

File names, extensions and DICOMDIR play no part: a file is DICOM when it parses as DICOM (PS3.10 section 7.1,
with or without the preamble) and names a SOP class.
"""

from __future__ import annotations

import os
import stat
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import DeflatedExplicitVRLittleEndian, MediaStorageDirectoryStorage

from imaging.outcome import NothingEligibleError, UsageError
from imaging.study import Instance, Series, Study

PREAMBLE_BYTES = 132
DAMAGE = (
    EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, NotImplementedError, RecursionError,
    IndexError, struct.error, BytesLengthException, InvalidDicomError, LookupError,
)  # fmt: skip
"""What pydicom raises on files that are damaged in one way or another."""


def load_study(folder: Path) -> Study:
    """Return every image series below a folder (or of one file), headers only.

    Raises UsageError when the folder is missing and NothingEligibleError when it holds no DICOM at all.
    """
    if not folder.exists():
        raise UsageError(f"The input folder does not exist: {folder}. Give an existing folder with -i.")
    by_series: dict[str, dict[str, Instance]] = {}
    not_dicom = not_image = unreadable = 0
    for path in regular_files(folder):
        if not looks_like_dicom(path):
            not_dicom += 1
            continue
        try:
            instance = read_header(path)
            is_image = _is_image(instance)
        except DAMAGE:
            unreadable += 1
            continue
        if not is_image:
            not_image += 1
            continue
        series = by_series.setdefault(str(instance.header.get("SeriesInstanceUID", "")), {})
        series.setdefault(instance.uid, instance)  # the same instance twice counts once
    study = Study(
        tuple(Series(tuple(found.values())) for _, found in sorted(by_series.items())),
        not_dicom, not_image, unreadable,
    )  # fmt: skip
    if not study.series:
        raise NothingEligibleError(
            f"No DICOM image was found in the input folder; it holds {study.counts()}. "
            "Give the folder of a DICOM study with -i."
        )
    return study


def regular_files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder in sorted order; links that lead out of it are passed over."""
    if folder.is_file():
        yield folder
        return
    root = folder.resolve()
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                continue
            try:
                if stat.S_ISREG(path.stat().st_mode):
                    yield path
            except OSError:
                continue


def looks_like_dicom(path: Path) -> bool:
    """Return whether a file begins as a DICOM file: 'DICM' after the preamble, or a first element of group 2 or 8."""
    try:
        with path.open("rb") as file:
            start = file.read(PREAMBLE_BYTES)
    except OSError:
        return False
    if start[128:132] == b"DICM":
        return True
    if len(start) < 8:
        return False
    group, element = struct.unpack("<HH", start[:4])
    return group in (0x0002, 0x0008) and element <= 0x0020


def read_header(path: Path) -> Instance:
    """Return the header of a DICOM file up to, and not including, its pixels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote attribute values
        with path.open("rb") as file:
            header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
            offset = file.tell()
        if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            offset = 0  # the whole data set is one compressed stream: only decoding tells whether it has pixels
        _complete_identity(header)
        instance = Instance(path, header, offset if offset < path.stat().st_size else None)
        if not _is_directory(header) and not (header.get("SOPClassUID") and instance.uid):
            raise InvalidDicomError("no SOP Class UID or no SOP Instance UID")
    return instance


def _complete_identity(header: FileDataset) -> None:
    """Take class and instance UID from the file meta information, where they stand too (PS3.10 7.1), if need be."""
    for keyword in ("SOPClassUID", "SOPInstanceUID"):
        uid = header.file_meta.get(f"MediaStorage{keyword}")
        if uid and not header.get(keyword) and not _is_directory(header):
            setattr(header, keyword, uid)


def _is_image(instance: Instance) -> bool:
    return all(keyword in instance.header for keyword in ("Rows", "Columns", "SeriesInstanceUID"))


def _is_directory(header: FileDataset) -> bool:
    """Return whether a file is a DICOMDIR, which names its class in the file meta information only."""
    return bool(header.file_meta.get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage)
