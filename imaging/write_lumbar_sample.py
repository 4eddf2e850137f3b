"""The embedded sample of the spine: a synthetic lumbar study as DICOM, drawn from the procedural phantom.

Beside the sagittal T2w series it holds what such a study holds and what must not be taken: a localizer, a sagittal
T1w and a STIR series, and an axial block. The series is oblique, off-centre, and one image is 4 mm thick with a gap
of 10 %, as in the clinic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from imaging.lumbar_phantom import STIR_SIGNAL, T1W_SIGNAL, T2W_SIGNAL, Tissue, label_lumbar, number_bodies
from imaging.sample_grid import grid_affine
from imaging.write_mr_series import MrSeries, write_mr_series

Array = npt.NDArray[np.float64]
Triple = tuple[float, float, float]

THICKNESS_MM, GAP = 4.0, 0.1
CENTRE_MM = (2.5, -34.0, -23.0)
"""LPS position of the middle of the sagittal series in the phantom: the view ends in the disc above T12."""
TURN_DEG = (1.5, 2.0, -3.0)
"""Oblique acquisition: turned about the left, posterior and head axes."""
SAGITTAL, AXIAL = ("-x", "-z", "+y"), ("+z", "+y", "+x")
"""Directions in which slices, rows and columns rise; x to the left, y to the back, z to the head."""
SE_2D = {"ScanOptions": "", "MRAcquisitionType": "2D", "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}
T2_TSE = {
    **SE_2D, "ScanningSequence": "SE", "SequenceVariant": ["SK", "SP"], "RepetitionTime": "3600", "EchoTime": "102",
    "EchoTrainLength": "17", "FlipAngle": "150",
}  # fmt: skip
T1_TSE = {**T2_TSE, "RepetitionTime": "560", "EchoTime": "11", "EchoTrainLength": "3"}
STIR = {
    **T2_TSE, "ScanningSequence": ["SE", "IR"], "RepetitionTime": "4200", "EchoTime": "58", "InversionTime": "165",
}  # fmt: skip
LOCALIZER = {
    **SE_2D, "ScanningSequence": "GR", "SequenceVariant": "SP", "RepetitionTime": "7.5", "EchoTime": "3.6",
    "EchoTrainLength": "1", "FlipAngle": "20", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SampleSeries:
    """One series of the study."""

    number: int
    description: str
    sequence: Mapping[str, object]
    signal: Mapping[Tissue, float]
    shape: tuple[int, int, int]  # slices, rows, columns
    spacing_mm: Triple  # distance of slices, rows, columns
    axes: tuple[str, str, str] = SAGITTAL
    centre_mm: Triple = CENTRE_MM
    thickness_mm: float = THICKNESS_MM


SAGITTAL_T2W = SampleSeries(
    number=3,
    description="synthetic lumbar t2 tse sag (phantom)",
    sequence=T2_TSE,
    signal=T2W_SIGNAL,
    shape=(15, 320, 320),
    spacing_mm=(THICKNESS_MM * (1 + GAP), 0.9375, 0.9375),
)
_COARSE: tuple[tuple[int, int, int], Triple] = ((15, 128, 128), (THICKNESS_MM * (1 + GAP), 2.34375, 2.34375))
OTHERS = (
    SampleSeries(
        number=1, description="synthetic localizer (phantom)", sequence=LOCALIZER, signal=T1W_SIGNAL,
        shape=(3, 96, 96), spacing_mm=(15.0, 4.0, 4.0), thickness_mm=8.0,
    ),
    SampleSeries(
        number=2, description="synthetic lumbar t1 tse sag (phantom)", sequence=T1_TSE, signal=T1W_SIGNAL,
        shape=_COARSE[0], spacing_mm=_COARSE[1],
    ),
    SampleSeries(
        number=4, description="synthetic lumbar t2 stir sag (phantom)", sequence=STIR, signal=STIR_SIGNAL,
        shape=_COARSE[0], spacing_mm=_COARSE[1],
    ),
    SampleSeries(
        number=5, description="synthetic lumbar t2 tse tra (phantom)", sequence=T2_TSE, signal=T2W_SIGNAL,
        shape=(16, 96, 96), spacing_mm=(4.4, 1.9, 1.9), axes=AXIAL, centre_mm=(0.0, 0.0, -60.0),
    ),
)  # fmt: skip


def write_lumbar_study(
    folder: Path, *, seed: int = 0, series: tuple[SampleSeries, ...] = (SAGITTAL_T2W, *OTHERS)
) -> Path:
    """Write the study below a folder, one folder for each series, and return it; equal arguments give equal files."""
    for one in series:
        affine = series_affine(one)
        facts = MrSeries(
            study=f"lumbar sample {seed}",
            series=(one.description, repr(one.shape), repr(one.centre_mm)),
            patient="Spine",
            number=one.number,
            description=one.description,
            body_part="LSPINE",
            thickness_mm=one.thickness_mm,
            sequence=one.sequence,
        )
        write_mr_series(folder / f"series{one.number}", series_pixels(one, seed), affine, facts)
    return folder


def series_affine(series: SampleSeries) -> Array:
    """Return the affine of (slice, row, column) indices to LPS mm."""
    return grid_affine(series.shape, series.spacing_mm, series.axes, turn_deg=TURN_DEG, centre_mm=series.centre_mm)


def expected_bodies(series: SampleSeries = SAGITTAL_T2W) -> npt.NDArray[np.uint8]:
    """Return which body lies at each voxel of a series, (slice, row, column): 1 is L5, 6 is T12."""
    affine = series_affine(series)
    return np.stack([number_bodies(_places(series.shape, affine, slice_at)) for slice_at in range(series.shape[0])])


def series_pixels(series: SampleSeries, seed: int) -> npt.NDArray[np.uint16]:
    """Return the signal of a series as stored values: slice profile, uneven marrow, surface coil, Rician noise."""
    rng = np.random.default_rng([seed, series.number])
    affine = series_affine(series)
    table = np.array([series.signal[tissue] for tissue in Tissue], np.float32)
    images = []
    for number in range(series.shape[0]):
        thick = series.thickness_mm / series.spacing_mm[0]
        parts = [_places(series.shape, affine, number + thick * share) for share in (-1 / 3, 0, 1 / 3)]
        clean = np.mean([table[label_lumbar(part)] for part in parts], axis=0)
        uneven = ndimage.gaussian_filter(rng.normal(0, 1, clean.shape), 2.5)
        clean = ndimage.gaussian_filter(clean * (1 + 0.07 * uneven / uneven.std()), 0.45) * _coil(parts[1])
        noise = rng.normal(0, 9, (2, *clean.shape))
        images.append(np.hypot(clean + noise[0], noise[1]))
    return np.asarray(np.clip(np.rint(np.stack(images)), 0, 4095), np.uint16)


def _coil(points: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Sensitivity of a coil behind the back: one at the bodies, a third of that at the belly."""
    return np.asarray(
        0.25
        + 0.75 * np.minimum(np.exp((points[..., 1] - 10) / 75), 2.3) * np.exp(-(((points[..., 2] + 20) / 260) ** 2))
    )


def _places(shape: tuple[int, int, int], affine: Array, slice_at: float) -> npt.NDArray[np.float32]:
    """Return the LPS positions of the pixels of a slice, (row, column, 3)."""
    rows, columns = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    index = np.stack([np.full(rows.shape, slice_at), rows, columns], axis=-1)
    return np.asarray(index @ affine[:3, :3].T + affine[:3, 3], np.float32)
