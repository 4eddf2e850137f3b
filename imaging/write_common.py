"""What every written DICOM object takes from its source, and how it reaches the disk."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian
from pydicom.valuerep import format_number_as_ds

from imaging.outcome import OutputError
from imaging.provenance import Provenance
from imaging.study import Frame, integer
from imaging.suite import SUITE
from imaging.time_zone import date_object
from imaging.to_volume import SourceImage

PATIENT_AND_STUDY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "EthnicGroup",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
"""Attributes of the Patient, Patient Study and General Study modules (PS3.3 C.7.1, C.7.2)."""
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Those of them that must be there and may be empty."""
SERIES_NUMBERS = {"SEG": 1, "SR": 2, "MR": 3, "DOC": 9}
"""Last two digits of the Series Number of each kind of output."""
AGE = re.compile(r"\d{3}[DWMY]")
LARGEST_SOURCE_NUMBER = 20_000_000


def copy_patient_and_study(target: Dataset, source: Dataset) -> None:
    """Give an object the patient and study of its source, in the character set of the source."""
    if "SpecificCharacterSet" in source:
        target["SpecificCharacterSet"] = source["SpecificCharacterSet"]
    elif "SpecificCharacterSet" in target:
        del target.SpecificCharacterSet
    for keyword in PATIENT_AND_STUDY:
        copy_attribute(target, source, keyword)


def copy_attribute(target: Dataset, source: Dataset, keyword: str) -> None:
    """Copy an attribute that the source has; decimal strings get at most 16 characters, an age of no form is left out.

    Both are found in real headers and make an object invalid (PS3.5 6.2).
    """
    if keyword not in source:
        return
    element = source[keyword]
    if element.VR == "DS" and not element.is_empty:
        setattr(target, keyword, decimal_strings(element.value))
    elif element.VR != "AS" or AGE.fullmatch(str(element.value)):
        target[keyword] = element


def decimal_strings(value: Any) -> list[str]:
    """Return one or more numbers as decimal strings of at most 16 characters.

    >>> decimal_strings([0.666666686534882, -1.5])
    ['0.66666668653488', '-1.5']
    """
    numbers = [value] if isinstance(value, str | float | int) else list(value)
    return [format_number_as_ds(float(number)) for number in numbers]


def series_number(source: Dataset, kind: str) -> int:
    """Return the Series Number of an output: that of the source, then two digits for the kind.

    >>> series_number(Dataset(), "SEG")
    1
    """
    number = integer(source, "SeriesNumber") or 0
    return (number if 0 <= number <= LARGEST_SOURCE_NUMBER else 0) * 100 + SERIES_NUMBERS[kind]


def new_object(
    source: Dataset, sop_class: UID, kind: str, description: str, provenance: Provenance, uids: Sequence[str]
) -> Dataset:
    """Return an object with everything that does not depend on its content: patient, study, series, equipment, SOP.

    source  header of the first source instance
    kind    Modality, a key of SERIES_NUMBERS
    uids    SOP Instance UIDs of all source instances: they fix the UIDs of the object
    """
    made = Dataset()
    copy_patient_and_study(made, source)
    for keyword in TYPE_2:
        if keyword not in made:
            setattr(made, keyword, None)
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = provenance.uid(kind, uids)
    made.SeriesInstanceUID = provenance.uid(f"{kind} series", uids)
    made.Modality = kind
    made.SeriesNumber = series_number(source, kind)
    made.SeriesDescription = f"{description} - research use only"
    made.InstanceNumber = 1
    date_object(made, source)
    made.Manufacturer = SUITE
    made.ManufacturerModelName = provenance.app
    made.DeviceSerialNumber = provenance.weights_sha256[:16]
    made.SoftwareVersions = provenance.software_versions
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def item(**attributes: Any) -> Dataset:
    """Return an item of a sequence."""
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def reference(frame: Frame) -> Dataset:
    """Return a reference to a frame, as an item of a sequence."""
    made = refer_to(frame.instance.header)
    if frame.of_many:
        made.ReferencedFrameNumber = frame.number + 1
    return made


def source_image(frame: Frame) -> Dataset:
    """Return a reference to the frame that an image was made from, for its Source Image Sequence (C.7.6.1.1.4)."""
    made = reference(frame)
    made.PurposeOfReferenceCodeSequence = [_PROCESSED]
    return made


def refer_to(header: Dataset) -> Dataset:
    """Return a reference to a whole instance, as an item of a sequence."""
    return item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)


def instance_references(frames: Sequence[Frame]) -> list[Dataset]:
    """Return a reference to each instance that frames belong to, once."""
    return [refer_to(header) for header in {frame.instance.uid: frame.instance.header for frame in frames}.values()]


def in_plane(source: SourceImage) -> tuple[Sequence[float], Sequence[float]]:
    """Return Image Orientation (Patient) and Pixel Spacing of the planes: the source's own digits, unless resampled."""
    if not source.resampled:
        header = source.stack.header
        return header.ImageOrientationPatient, header.PixelSpacing
    volume = source.volume
    return [*volume.direction[:, 2], *volume.direction[:, 1]], volume.spacing[1:]


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a code as an item of a sequence.

    >>> code("113076", "DCM", "Segmentation").CodeMeaning
    'Segmentation'
    """
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


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
        cause = system_error(error)
        raise OutputError(
            f"The result {path.name} cannot be written ({cause.strerror}). Free space or choose another folder with -o."
        ) from cause


def system_error(error: OSError) -> OSError:
    """Return the system's error behind one that pydicom raised anew at each tag, with text but without its number."""
    while error.errno is None and isinstance(error.__cause__, OSError):
        error = error.__cause__
    return error


def uids_of(frames: Sequence[Frame]) -> list[str]:
    """Return what identifies each frame; it fixes the UIDs of what is made from them."""
    return [frame.identity for frame in frames]


_PROCESSED = code("121322", "DCM", "Source image for image processing operation")
