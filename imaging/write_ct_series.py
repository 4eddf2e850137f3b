"""A synthetic CT series as DICOM: one file for each slice of an array in Hounsfield units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from imaging.uids import derived_uid
from imaging.write_common import save_dicom

Array = npt.NDArray[np.float64]

INTERCEPT_HU = -1024
LARGEST_STORED = 4095
"""12 bits are stored."""


@dataclass(frozen=True, kw_only=True)
class CtSeries:
    """What the headers of a synthetic series say beside its geometry."""

    study: str  # fixes the UIDs of study and frame of reference
    series: str  # with the study, fixes those of series and instances
    patient: str  # such as "Chest"
    number: int
    description: str
    body_part: str
    thickness_mm: float
    kernel: str
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "AXIAL")


def write_ct_series(folder: Path, hu: npt.NDArray[np.floating], affine: Array, facts: CtSeries) -> Path:
    """Write a (slice, row, column) array into a folder and return it; equal arguments give equal files.

    hu      kept within what 12 bits hold, -1024 to 3071
    affine  (slice, row, column) indices to LPS mm
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(hu):
        dataset = _header(facts, number, affine)
        dataset.Rows, dataset.Columns = image.shape
        stored = np.clip(np.rint(image) - INTERCEPT_HU, 0, LARGEST_STORED).astype("<u2")
        dataset.add_new("PixelData", "OW", stored.tobytes())
        save_dicom(dataset, folder / f"{number + 1:04d}.dcm")
    return folder


def _header(facts: CtSeries, number: int, affine: Array) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = list(facts.image_type)
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = derived_uid(facts.study, facts.series, "instance", str(number))
    dataset.StudyInstanceUID = derived_uid(facts.study, "study")
    dataset.SeriesInstanceUID = derived_uid(facts.study, facts.series, "series")
    dataset.FrameOfReferenceUID = derived_uid(facts.study, "frame of reference")
    dataset.PatientName, dataset.PatientID = f"Synthetic^{facts.patient}", f"SAMPLE-{facts.patient.upper()}"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260101", "120000", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.Modality, dataset.Manufacturer = "CT", "map-suite synthetic phantom"
    dataset.StudyDescription = f"synthetic {facts.patient.lower()} (phantom, no person)"
    dataset.SeriesNumber, dataset.SeriesDescription = facts.number, facts.description
    dataset.AcquisitionNumber, dataset.InstanceNumber, dataset.PositionReferenceIndicator = 1, number + 1, ""
    dataset.PatientPosition, dataset.BodyPartExamined = "HFS", facts.body_part
    dataset.KVP, dataset.ConvolutionKernel, dataset.GantryDetectorTilt = "120", facts.kernel, "0"
    _add_geometry(dataset, number, affine, facts.thickness_mm)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.RescaleIntercept, dataset.RescaleSlope = str(INTERCEPT_HU), "1"
    dataset.WindowCenter, dataset.WindowWidth = "-600", "1500"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _add_geometry(dataset: Dataset, number: int, affine: Array, thickness_mm: float) -> None:
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing_mm
    dataset.SliceThickness = f"{thickness_mm:g}"
    dataset.PixelSpacing = [f"{size:.10g}" for size in spacing_mm[1:]]
    dataset.ImageOrientationPatient = [f"{value:.10g}" for value in (*directions[:, 2], *directions[:, 1])]
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in affine[:3, 3] + number * affine[:3, 0]]
