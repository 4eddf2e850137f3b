"""The embedded sample: a synthetic T1w head study as DICOM, drawn from the procedural phantom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from imaging.head_phantom import T1W_SIGNAL, Tissue, label_head
from imaging.uids import derived_uid
from imaging.write_common import save_dicom

CENTRE_MM = (6.0, 2.0, -22.0)
"""LPS position of the middle of the image in the phantom: a head seldom lies in the middle of the scanner."""
TURN_DEG = 8.0
"""Oblique acquisition: the slices are turned about the left-right axis."""


@dataclass(frozen=True, kw_only=True)
class SampleGeometry:
    """Grid of the sample, axial oblique."""

    shape: tuple[int, int, int] = (92, 120, 104)  # slices, rows, columns
    spacing_mm: tuple[float, float, float] = (2.2, 1.9, 1.8)


def write_head_study(
    folder: Path,
    *,
    shape: tuple[int, int, int] = SampleGeometry.shape,
    spacing_mm: tuple[float, float, float] = SampleGeometry.spacing_mm,
    seed: int = 0,
) -> Path:
    """Write the study below a folder and return the folder; equal arguments give equal files.

    shape       slices, rows, columns
    spacing_mm  distance of slices, rows, columns
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = sample_affine(shape, spacing_mm)
    pixels = sample_pixels(shape, affine, seed)
    study = f"sample {shape} {spacing_mm} {seed}"
    for number in range(shape[0]):
        dataset = _header(study, number, affine, spacing_mm)
        dataset.Rows, dataset.Columns = shape[1:]
        dataset.add_new("PixelData", "OW", pixels[number].tobytes())
        save_dicom(dataset, folder / f"{number + 1:04d}.dcm")
    return folder


def sample_affine(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> npt.NDArray[np.float64]:
    """Return the affine of (slice, row, column) indices to LPS mm."""
    angle = math.radians(TURN_DEG)
    column_direction = np.array([0.0, math.cos(angle), math.sin(angle)])
    row_direction = np.array([1.0, 0.0, 0.0])
    normal = np.cross(row_direction, column_direction)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([normal, column_direction, row_direction], axis=1) * spacing_mm
    affine[:3, 3] = np.array(CENTRE_MM) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def sample_labels(shape: tuple[int, int, int], affine: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Return the phantom's labels on a grid, (slice, row, column)."""
    labels = np.empty(shape, np.uint8)
    rows, columns = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    for number in range(shape[0]):
        index = np.stack([np.full(rows.shape, number), rows, columns], axis=-1)
        labels[number] = label_head(index @ affine[:3, :3].T + affine[:3, 3])
    return labels


def sample_pixels(shape: tuple[int, int, int], affine: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.uint16]:
    """Return the T1w signal with a receive bias and Rician noise, as stored values."""
    rng = np.random.default_rng(seed)
    signal = np.array([T1W_SIGNAL[tissue] for tissue in Tissue], np.float32)[sample_labels(shape, affine)]
    ramps = [np.linspace(-1, 1, size, dtype=np.float32) for size in shape]
    bias = 1 + 0.1 * ramps[0][:, None, None] - 0.08 * ramps[1][None, :, None] + 0.05 * ramps[2][None, None, :]
    noise = rng.normal(0, 15, (2, *shape)).astype(np.float32)
    return np.asarray(np.rint(np.hypot(signal * bias + noise[0], noise[1])), np.uint16)


def _header(
    study: str, number: int, affine: npt.NDArray[np.float64], spacing_mm: tuple[float, float, float]
) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = derived_uid(study, "instance", str(number))
    dataset.StudyInstanceUID = derived_uid(study, "study")
    dataset.SeriesInstanceUID = derived_uid(study, "series")
    dataset.FrameOfReferenceUID = derived_uid(study, "frame of reference")
    dataset.PatientName, dataset.PatientID = "Synthetic^Head", "SAMPLE-HEAD"
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20260101", "120000", "1"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "", ""
    dataset.Modality, dataset.Manufacturer = "MR", "map-suite synthetic phantom"
    dataset.SeriesNumber, dataset.SeriesDescription = 2, "synthetic head (phantom)"
    dataset.InstanceNumber, dataset.PositionReferenceIndicator = number + 1, ""
    dataset.PatientPosition, dataset.BodyPartExamined = "HFS", "HEAD"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    dataset.ScanningSequence, dataset.SequenceVariant = ["GR", "IR"], ["SP", "MP"]
    dataset.ScanOptions, dataset.MRAcquisitionType = "", "3D"
    dataset.RepetitionTime, dataset.EchoTime, dataset.InversionTime = "2300", "2.98", "900"
    dataset.FlipAngle, dataset.EchoTrainLength = "9", "1"
    dataset.SliceThickness = f"{spacing_mm[0]:g}"
    dataset.PixelSpacing = [f"{size:g}" for size in spacing_mm[1:]]
    directions = affine[:3, :3] / np.array(spacing_mm)
    dataset.ImageOrientationPatient = [f"{value:.10g}" for value in (*directions[:, 2], *directions[:, 1])]
    dataset.ImagePositionPatient = [f"{value:.6f}" for value in affine[:3, 3] + number * affine[:3, 0]]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = "450", "900"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
