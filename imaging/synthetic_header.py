"""What the headers of every synthetic series say: a phantom, no person; one study in one frame of reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from imaging.uids import derived_uid


@dataclass(frozen=True, kw_only=True)
class SyntheticSeries:
    """What the headers of a synthetic series say beside its geometry."""

    study: str  # fixes the UIDs of study and frame of reference
    series: tuple[str, ...] = ()  # with the study, fixes those of series and instances
    patient: str  # such as "Head"
    number: int
    description: str
    body_part: str
    thickness_mm: float


def synthetic_header(facts: SyntheticSeries, sop_class: UID, modality: str, instance: int) -> Dataset:
    """Return the header of an image, counted from 0; equal arguments give equal headers."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = derived_uid(facts.study, *facts.series, "instance", str(instance))
    dataset.StudyInstanceUID = derived_uid(facts.study, "study")
    dataset.SeriesInstanceUID = derived_uid(facts.study, *facts.series, "series")
    dataset.FrameOfReferenceUID = derived_uid(facts.study, "frame of reference")
    dataset.PatientName, dataset.PatientID = f"Synthetic^{facts.patient}", f"SAMPLE-{facts.patient.upper()}"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260101", "120000", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.Modality, dataset.Manufacturer = modality, "map-suite synthetic phantom"
    dataset.StudyDescription = f"synthetic {facts.patient.lower()} (phantom, no person)"
    dataset.SeriesNumber, dataset.SeriesDescription = facts.number, facts.description
    dataset.InstanceNumber, dataset.PositionReferenceIndicator = instance + 1, ""
    dataset.PatientPosition, dataset.BodyPartExamined = "HFS", facts.body_part
    dataset.SliceThickness = f"{facts.thickness_mm:g}"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def place_image(dataset: Dataset, affine: npt.NDArray[np.float64], number: int, pixels: npt.NDArray[np.uint16]) -> None:
    """Give a header the pixels of a slice and its place.

    affine  (slice, row, column) indices to LPS mm
    """
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing_mm
    dataset.PixelSpacing = [f"{size:.10g}" for size in spacing_mm[1:]]
    dataset.ImageOrientationPatient = [f"{value:.10g}" for value in (*directions[:, 2], *directions[:, 1])]
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in affine[:3, 3] + number * affine[:3, 0]]
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.add_new("PixelData", "OW", np.ascontiguousarray(pixels, "<u2").tobytes())
