"""DICOM instances, frames and series as found in a folder: headers only, pixels stay on disk."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from pydicom.dataset import Dataset

from imaging.read_values import UNREADABLE
from imaging.slice_plane import SlicePlane, slice_plane

DIGEST_KEY = os.urandom(16)
"""Of this process: a Patient ID cannot be found again by trying all of them."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What identifies an instance; UIDs are as in the file, empty when absent, and fit for comparison only."""

    uid: str  # SOP Instance UID
    sop_class_uid: str
    series_uid: str
    study_uid: str
    transfer_syntax_uid: str
    patient: bytes  # digest, see patient_digest


@dataclass(frozen=True)
class Instance:
    """One DICOM file: what identifies it, where its pixels begin, and its header, parsed when first asked for."""

    path: Path
    source: Dataset | Callable[[], Dataset]  # of the header
    pixel_offset: int | None  # of the Pixel Data element in the file, None when there is none; 0 when deflated
    known: Facts | None = None  # without them the header tells

    @cached_property
    def header(self) -> Dataset:
        """Everything before Pixel Data, file meta information included.

        Raises RefusedError when the file has changed or is gone since it was found.
        """
        return self.source if isinstance(self.source, Dataset) else self.source()

    @cached_property
    def facts(self) -> Facts:
        """What identifies the instance."""
        return self.known or facts_of(self.header)

    @property
    def uid(self) -> str:
        """SOP Instance UID."""
        return self.facts.uid


@dataclass(frozen=True)
class Frame:
    """One image plane: a single-frame instance, or one frame of a multi-frame instance."""

    instance: Instance
    number: int  # within its instance, from 0
    header: Dataset  # of a multi-frame instance: its functional groups (PS3.3 C.7.6.16) written as plain attributes

    @cached_property
    def plane(self) -> SlicePlane:
        """Where it lies; RefusedError when its header does not say."""
        return slice_plane(self.header)

    @property
    def of_many(self) -> bool:
        """Whether its instance is a multi-frame object."""
        return self.header is not self.instance.header

    @property
    def identity(self) -> str:
        """SOP Instance UID, with the number of the frame where the instance has several."""
        return f"{self.instance.uid}#{self.number + 1}" if self.of_many else self.instance.uid


@dataclass(frozen=True)
class Stack:
    """Frames of one series that can make one volume, and what tells them from the other stacks of the series."""

    series: Series
    frames: tuple[Frame, ...]
    traits: tuple[str, ...] = ()  # "b = 800 s/mm2", "echo time 4.6 ms": empty when the series is one stack

    @property
    def header(self) -> Dataset:
        """Header of the first frame, for the attributes all frames share."""
        return self.frames[0].header

    @cached_property
    def headers(self) -> tuple[Dataset, ...]:
        """Header of each frame."""
        return tuple(frame.header for frame in self.frames)

    def __str__(self) -> str:
        """Facts without a patient: number, modality, frames, traits."""
        if not self.frames:  # never looked at
            return str(self.series)
        number, count = self.series.number, len(self.frames)
        facts = [self.series.modality or "no modality", f"{count} slice{'s' * (count > 1)}", *self.traits]
        return f"series {number if number is not None else '(no number)'} ({', '.join(facts)})"


@dataclass(frozen=True)
class Series:
    """Instances that share a Series Instance UID, in the order of their file paths."""

    instances: tuple[Instance, ...]

    @property
    def header(self) -> Dataset:
        """Header of the first instance, for the attributes all instances share."""
        return self.instances[0].header

    @property
    def uid(self) -> str:
        """Series Instance UID."""
        return self.instances[0].facts.series_uid

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return self.instances[0].facts.study_uid

    @property
    def conflicting(self) -> int:
        """Instances whose SOP Instance UID another, different file of the series has as well: which is true?"""
        return _repeated(instance.uid for instance in self.instances)

    @property
    def number(self) -> int | None:
        """Series Number, None when absent or no number."""
        return integer(self.header, "SeriesNumber")

    @property
    def modality(self) -> str:
        """Modality, an empty string when absent."""
        return str(self.header.get("Modality") or "")

    @cached_property
    def headers(self) -> tuple[Dataset, ...]:
        """Header of each instance."""
        return tuple(instance.header for instance in self.instances)

    def __str__(self) -> str:
        """Facts without a patient: number, modality, instances."""
        return (
            f"series {self.number if self.number is not None else '(no number)'} ({self.modality or 'no modality'}, "
            f"{len(self.instances)} instances)"
        )


@dataclass(frozen=True)
class Study:
    """All image series of a folder, and what else lay there."""

    series: tuple[Series, ...]
    not_dicom: int  # files that are no DICOM instance
    not_image: int  # DICOM instances without pixels: reports, presentation states, DICOMDIR
    unreadable: int  # files that begin like DICOM and cannot be parsed, and what may not be opened
    denied: int = 0  # files and folders among the unreadable that may not be opened
    others: tuple[Path, ...] = ()  # files without an image, reports and segmentations among them

    @property
    def patients(self) -> int:
        """Number of patients, by Patient ID and its issuer."""
        return len({instance.facts.patient for series in self.series for instance in series.instances})

    @property
    def study_uids(self) -> tuple[str, ...]:
        """Study Instance UIDs, sorted."""
        return tuple(sorted({series.study_uid for series in self.series if series.instances}))

    @property
    def conflicting(self) -> int:
        """Instances whose SOP Instance UID another, different file of the folder has as well."""
        return _repeated(instance.uid for series in self.series for instance in series.instances)

    def counts(self) -> str:
        """Return one sentence on what the folder holds."""
        patients, denied, conflicting = self.patients, self.denied, self.conflicting
        return (
            f"{len(self.series)} image series{f' of {patients} patients' if patients > 1 else ''}, "
            f"{self.not_image} DICOM objects without an image, "
            f"{self.unreadable} damaged files{f' ({denied} of them may not be opened)' if denied else ''}, "
            f"{self.not_dicom} other files"
            f"{f'; {conflicting} images bear the identifier of another, different image' if conflicting else ''}"
        )


def facts_of(header: Dataset) -> Facts:
    """Return what identifies an instance from its parsed header."""
    meta: Dataset = getattr(header, "file_meta", Dataset())
    return Facts(
        uid=str(header.get("SOPInstanceUID", "")),
        sop_class_uid=str(header.get("SOPClassUID", "")),
        series_uid=str(header.get("SeriesInstanceUID", "")),
        study_uid=str(header.get("StudyInstanceUID", "")),
        transfer_syntax_uid=str(meta.get("TransferSyntaxUID", "")),
        patient=patient_digest(*(_stored(header, keyword) for keyword in ("PatientID", "IssuerOfPatientID"))),
    )


@lru_cache(maxsize=1024)
def patient_digest(patient_id: bytes, issuer: bytes) -> bytes:
    """Return what is equal for equal patients and tells nothing else, not even in another run."""
    return hashlib.blake2b(patient_id + b"\\" + issuer, digest_size=16, key=DIGEST_KEY).digest()


def _stored(header: Dataset, keyword: str) -> bytes:
    """Return a text as it lies in the file, without padding."""
    element = header.get_item(keyword)
    value = None if element is None else element.value
    return (value if isinstance(value, bytes) else str(value or "").encode(errors="replace")).rstrip(b"\0 ")


def _repeated(uids: Iterable[str]) -> int:
    """Return how many have a UID that another one has."""
    return sum(count for uid, count in Counter(uids).items() if uid and count > 1)


def integer(header: Dataset, keyword: str) -> int | None:
    """Return a whole number of a header, None when it is absent, empty or no number."""
    try:
        value = header.get(keyword)
        return None if value is None else int(value)
    except UNREADABLE:
        return None


def tuple_of_floats(value: object) -> tuple[float, ...] | None:
    """Return a multi-valued decimal attribute as floats, None when it is absent or empty."""
    if value is None or value == "":
        return None
    if isinstance(value, Sequence) or hasattr(value, "__iter__"):
        return tuple(float(item) for item in value)
    return (float(value),)  # type: ignore[arg-type]
