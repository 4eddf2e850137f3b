"""DICOM instances, frames and series as found in a folder: headers only, pixels stay on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Instance:
    """One DICOM file: its header, and where its pixels begin."""

    path: Path
    header: Dataset  # everything before Pixel Data, file meta information included
    pixel_offset: int | None  # of the Pixel Data element in the file, None when there is none

    @property
    def uid(self) -> str:
        """SOP Instance UID."""
        return str(self.header.get("SOPInstanceUID", ""))


@dataclass(frozen=True)
class Frame:
    """One image plane: a single-frame instance, or one frame of a multi-frame instance."""

    instance: Instance
    number: int  # within its instance, from 0
    header: Dataset  # of a multi-frame instance: its functional groups (PS3.3 C.7.6.16) written as plain attributes


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
        number = self.series.number
        facts = [self.series.modality or "no modality", f"{len(self.frames)} slices", *self.traits]
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
        return str(self.header.get("SeriesInstanceUID", ""))

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
    unreadable: int  # files that begin like DICOM and cannot be parsed

    def counts(self) -> str:
        """Return one sentence on what the folder holds."""
        return (
            f"{len(self.series)} image series, {self.not_image} DICOM objects without an image, "
            f"{self.unreadable} damaged files, {self.not_dicom} other files"
        )


def integer(header: Dataset, keyword: str) -> int | None:
    """Return a whole number of a header, None when it is absent, empty or no number."""
    try:
        value = header.get(keyword)
        return None if value is None else int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def tuple_of_floats(value: object) -> tuple[float, ...] | None:
    """Return a multi-valued decimal attribute as floats, None when it is absent or empty."""
    if value is None or value == "":
        return None
    if isinstance(value, Sequence) or hasattr(value, "__iter__"):
        return tuple(float(item) for item in value)
    return (float(value),)  # type: ignore[arg-type]
