"""The embedded sample: a synthetic T1w head study as DICOM, drawn from the procedural phantom."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging.head_phantom import T1W_SIGNAL, Tissue, label_head
from imaging.write_mr_series import MrSeries, write_mr_series

CENTRE_MM = (6.0, 2.0, -22.0)
"""LPS position of the middle of the image in the phantom: a head seldom lies in the middle of the scanner."""
TURN_DEG = 8.0
"""Oblique acquisition: the slices are turned about the left-right axis."""

MPRAGE = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M"], "ScanningSequence": ["GR", "IR"], "SequenceVariant": ["SP", "MP"],
    "ScanOptions": "", "MRAcquisitionType": "3D", "RepetitionTime": "2300", "EchoTime": "2.98", "InversionTime": "900",
    "FlipAngle": "9", "EchoTrainLength": "1",
}  # fmt: skip


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
    affine = sample_affine(shape, spacing_mm)
    facts = MrSeries(
        study=f"sample {shape} {spacing_mm} {seed}",
        patient="Head",
        number=2,
        description="synthetic head (phantom)",
        body_part="HEAD",
        thickness_mm=spacing_mm[0],
        sequence=MPRAGE,
    )
    return write_mr_series(folder, sample_pixels(shape, affine, seed), affine, facts)


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
