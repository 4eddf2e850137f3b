"""What every written DICOM object takes from its source, and how it reaches the disk."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from imaging.outcome import OutputError
from imaging.provenance import SUITE, Provenance

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "OtherPatientIDs",
    "PatientAge", "PatientSize", "PatientWeight", "EthnicGroup",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
"""Attributes of the Patient, Patient Study and General Study modules (PS3.3 C.7.1, C.7.2)."""
SERIES_NUMBERS = {"SEG": 1, "SR": 2, "MR": 3}
"""Last two digits of the Series Number of each kind of output."""
LARGEST_SOURCE_NUMBER = 20_000_000


def copy_patient_and_study(target: Dataset, source: Dataset) -> None:
    """Give an object the patient and study of its source, in the character set of the source."""
    if "SpecificCharacterSet" in source:
        target["SpecificCharacterSet"] = source["SpecificCharacterSet"]
    elif "SpecificCharacterSet" in target:
        del target.SpecificCharacterSet
    for keyword in PATIENT_AND_STUDY:
        if keyword in source:
            target[keyword] = source[keyword]


def series_number(source: Dataset, kind: str) -> int:
    """Return the Series Number of an output: that of the source, then two digits for the kind.

    >>> series_number(Dataset(), "SEG")
    1
    """
    number = int(source.get("SeriesNumber") or 0)
    return (number if 0 <= number <= LARGEST_SOURCE_NUMBER else 0) * 100 + SERIES_NUMBERS[kind]


def stamp_equipment(target: Dataset, provenance: Provenance) -> None:
    """State the software that made an object (General and Enhanced General Equipment modules)."""
    target.Manufacturer = SUITE
    target.ManufacturerModelName = provenance.app
    target.DeviceSerialNumber = provenance.weights_sha256[:16]
    target.SoftwareVersions = provenance.software_versions


def now() -> datetime:
    """Return the time of the run in UTC."""
    return datetime.now(UTC)


def save_dicom(dataset: Dataset, path: Path) -> None:
    """Write an object to disk; OutputError when that fails."""
    with warnings.catch_warnings(), writing(path):
        warnings.simplefilter("ignore")  # their texts quote attribute values
        dataset.save_as(path, enforce_file_format=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an error of the file system into an OutputError that names the result."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"The result {path.name} cannot be written ({error.strerror}). Free space or choose another folder with -o."
        ) from error


def uids_of(headers: Sequence[Dataset]) -> list[str]:
    """Return the SOP Instance UID of each header."""
    return [str(header.SOPInstanceUID) for header in headers]
