"""Find the DICOM series in a folder by content, reading headers only.

File names, extensions and DICOMDIR play no part: a file is DICOM when it parses as DICOM (PS3.10 section 7.1,
with or without the preamble) and names a SOP class. What is no image by its SOP class is counted and left alone.

An instance that lies in the folder twice counts once. Where two files share a SOP Instance UID and differ, neither is
taken for the true one: both stay, and the study and the series say how many there are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imaging.outcome import NothingEligibleError, Reason, UsageError
from imaging.parse_header import DAMAGE, Shared
from imaging.read_header import DeniedError, NotDicomError, find_image, looks_like_dicom, opened, read_header
from imaging.scan_file import start_of_data_set
from imaging.study import Instance, Series, Study

__all__ = ["DAMAGE", "load_study", "looks_like_dicom", "read_header", "regular_files"]

CHUNK_BYTES = 1 << 20


@dataclass
class Findings:
    """What has been found so far."""

    by_series: dict[str, list[Instance]] = field(default_factory=dict)
    first_by_uid: dict[str, Instance] = field(default_factory=dict)
    contents_by_uid: dict[str, set[bytes]] = field(default_factory=dict)  # only of UIDs that came twice
    not_dicom: int = 0
    others: list[Path] = field(default_factory=list)  # instances that hold no image
    unreadable: int = 0
    denied: int = 0

    def deny(self) -> None:
        """Count a file or a folder that may not be opened."""
        self.denied += 1
        self.unreadable += 1

    def add(self, instance: Instance) -> None:
        """Add an image, unless it is the copy of one that is there already."""
        first = self.first_by_uid.setdefault(instance.uid, instance)
        if first is not instance and not self._is_new_content(first, instance):
            return
        self.by_series.setdefault(instance.facts.series_uid, []).append(instance)

    def _is_new_content(self, first: Instance, instance: Instance) -> bool:
        contents = self.contents_by_uid.setdefault(instance.uid, set())
        if not contents:
            contents.add(content_digest(first))
        content = content_digest(instance)
        if content in contents:
            return False
        contents.add(content)
        return True

    def study(self) -> Study:
        """Return the series in the order of their UIDs, with the counts."""
        series = tuple(Series(tuple(found)) for _, found in sorted(self.by_series.items()))
        return Study(series, self.not_dicom, len(self.others), self.unreadable, self.denied, others=tuple(self.others))


def load_study(folder: Path) -> Study:
    """Return every image series below a folder (or of one file); headers are parsed when they are asked for.

    Raises UsageError when the folder is missing and NothingEligibleError when it holds no DICOM image at all.
    """
    if not folder.exists():
        raise UsageError(f"The input folder does not exist: {folder}. Give an existing folder with -i.")
    findings, shared = Findings(), Shared()
    for path in regular_files(folder, findings.deny):
        _look_at(path, findings, shared)
    study = findings.study()
    if not study.series:
        raise NothingEligibleError(
            f"No DICOM image was found in the input folder; it holds {study.counts()}. "
            "Give the folder of a DICOM study with -i.",
            Reason.NO_DICOM,
        )
    return study


def _look_at(path: Path, findings: Findings, shared: Shared) -> None:
    try:
        image = find_image(path, shared)
        if image is None:
            findings.others.append(path)
        else:
            findings.add(image)
    except NotDicomError:
        findings.not_dicom += 1
    except DeniedError:
        findings.deny()
    except DAMAGE:
        findings.unreadable += 1


def regular_files(folder: Path, deny: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield the regular files below a folder in the order of their paths, those of a folder before its folders.

    Links, pipes, sockets and devices are passed over: what a link within the folder leads to is found without it, and
    what lies outside was not given. ``deny`` is called for each folder that may not be listed.
    """
    if folder.is_file():
        yield folder.resolve() if folder.is_symlink() else folder
        return
    waiting = [os.fspath(folder)]
    while waiting:
        parent = waiting.pop()
        try:
            with os.scandir(parent) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            files = [entry.path for entry in entries if entry.is_file(follow_symlinks=False)]
            waiting += [entry.path for entry in reversed(entries) if entry.is_dir(follow_symlinks=False)]
        except OSError:
            deny()
            continue
        yield from map(Path, files)


def content_digest(instance: Instance) -> bytes:
    """Return a digest of transfer syntax and data set: the file meta information names who sent it, and may vary."""
    digest = hashlib.blake2b(instance.facts.transfer_syntax_uid.encode())
    with opened(instance.path) as (descriptor, size):
        position = start_of_data_set(descriptor, size)
        while chunk := os.pread(descriptor, CHUNK_BYTES, position):
            digest.update(chunk)
            position += len(chunk)
    return digest.digest()
