"""A synthetic MR series as DICOM: one file for each slice of an array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from imaging.uids import derived_uid
from imaging.write_common import save_dicom

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MrSeries:
    """What the headers of a synthetic series say beside its geometry."""

    study: str  # fixes the UIDs of study and frame of reference
    series: tuple[str, ...] = ()  # with the study, fixes those of series and instances
    patient: str  # such as "Head"
    number: int
    description: str
    body_part: str
    thickness_mm: float
    sequence: Mapping[str, object] = field(default_factory=dict)  # attributes that tell how the image was made
    before: int = 0  # instances of the series that are written already, such as those of another b-value


def write_mr_series(folder: Path, pixels: npt.NDArray[np.uint16], affine: Array, facts: MrSeries) -> Path:
    """Write a (slice, row, column) array into a folder and return it; equal arguments give equal files.

    affine  (slice, row, column) indices to LPS mm
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(pixels):
        dataset = _header(facts, number, affine)
        dataset.Rows, dataset.Columns = image.shape
        dataset.add_new("PixelData", "OW", np.ascontiguousarray(image).tobytes())
        save_dicom(dataset, folder / f"{facts.before + number + 1:04d}.dcm")
    return folder


def _header(facts: MrSeries, number: int, affine: Array) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = derived_uid(facts.study, *facts.series, "instance", str(facts.before + number))
    dataset.StudyInstanceUID = derived_uid(facts.study, "study")
    dataset.SeriesInstanceUID = derived_uid(facts.study, *facts.series, "series")
    dataset.FrameOfReferenceUID = derived_uid(facts.study, "frame of reference")
    dataset.PatientName, dataset.PatientID = f"Synthetic^{facts.patient}", f"SAMPLE-{facts.patient.upper()}"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260101", "120000", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.Modality, dataset.Manufacturer = "MR", "map-suite synthetic phantom"
    dataset.StudyDescription = f"synthetic {facts.patient.lower()} (phantom, no person)"
    dataset.SeriesNumber, dataset.SeriesDescription = facts.number, facts.description
    dataset.InstanceNumber, dataset.PositionReferenceIndicator = facts.before + number + 1, ""
    dataset.PatientPosition, dataset.BodyPartExamined = "HFS", facts.body_part
    _add_geometry(dataset, number, affine, facts.thickness_mm)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = "450", "900"
    for keyword, value in facts.sequence.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _add_geometry(dataset: Dataset, number: int, affine: Array, thickness_mm: float) -> None:
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing_mm
    dataset.SliceThickness = f"{thickness_mm:g}"
    if abs(thickness_mm - spacing_mm[0]) > 1e-6:
        dataset.SpacingBetweenSlices = f"{spacing_mm[0]:.6g}"
    dataset.PixelSpacing = [f"{size:.10g}" for size in spacing_mm[1:]]
    dataset.ImageOrientationPatient = [f"{value:.10g}" for value in (*directions[:, 2], *directions[:, 1])]
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in affine[:3, 3] + number * affine[:3, 0]]
