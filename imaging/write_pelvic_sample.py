"""The embedded sample of the cervical tumour: a synthetic pelvic MR study as DICOM, drawn from the procedural phantom.

The small axial-oblique T2w, the diffusion-weighted images with four b-values in one series, and the ADC map lie on
three grids, oblique to each other, in one frame of reference. Beside them it holds what must not be taken: a
localizer, a sagittal and a large axial T2w, and a dynamic series with contrast agent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import product
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from scipy import ndimage

from imaging.pelvic_phantom import Pelvis, Tissue, draw_pelvis, label_pelvis
from imaging.pelvic_signals import (
    TissueTable,
    Values,
    contrast_mmol,
    draw_tissues,
    dwi_signal,
    t1w_signal,
    t2w_signal,
)
from imaging.sample_grid import grid_affine
from imaging.write_common import code
from imaging.write_mr_series import MrSeries, write_mr_series

Array = npt.NDArray[np.float64]
Images = npt.NDArray[np.float32]
Triple = tuple[float, float, float]
Shape = tuple[int, int, int]

SAMPLE_ML = 18.0
"""Volume of the tumour."""
CERVIX_MM = (4.0, -11.0, -38.0)
"""LPS position of the middle of the cervix in the scanner."""
B_VALUES = (50.0, 400.0, 800.0, 1000.0)
DYNAMIC_S = (-20.0, 15.0, 35.0, 75.0, 150.0)
"""Times of the dynamic series after the arrival of the contrast agent."""
AXIAL, SAGITTAL = ("+z", "+y", "+x"), ("-x", "-z", "+y")
"""Directions in which slices, rows and columns rise; x to the left, y to the back, z to the head."""
FULL_SCALE = 2400.0
"""Stored value of the signal of water without any decay, in spin echoes."""
DWI_SCALE, T1W_SCALE = 3000.0, 8000.0
TEXTURE, GRAIN_MM = 0.05, 1.6
"""How uneven a tissue is, as a part of its signal, and how fine that is."""
STUDY: Mapping[str, object] = {"PatientSex": "F"}
SE_2D = {"ScanOptions": "", "MRAcquisitionType": "2D", "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND"]}
T2_TSE = {
    **SE_2D, "ScanningSequence": "SE", "SequenceVariant": ["SK", "SP"], "RepetitionTime": "4200", "EchoTime": "100",
    "EchoTrainLength": "17", "FlipAngle": "150", "WindowCenter": "800", "WindowWidth": "1600",
}  # fmt: skip
LOCALIZER = {
    **SE_2D, "ScanningSequence": "GR", "SequenceVariant": "SP", "RepetitionTime": "7.5", "EchoTime": "3.6",
    "EchoTrainLength": "1", "FlipAngle": "20", "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
}  # fmt: skip
TRACE = {
    **SE_2D, "ScanningSequence": ["EP", "SE"], "SequenceVariant": ["SK", "SP"], "ScanOptions": "FS",
    "RepetitionTime": "5200", "EchoTime": "68", "EchoTrainLength": "60", "FlipAngle": "90",
    "ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW", "ND"], "DiffusionDirectionality": "ISOTROPIC",
    "WindowCenter": "300", "WindowWidth": "600",
}  # fmt: skip
DYNAMIC = {
    **SE_2D, "ScanningSequence": "GR", "SequenceVariant": "SP", "MRAcquisitionType": "3D", "RepetitionTime": "4.2",
    "EchoTime": "1.8", "EchoTrainLength": "1", "FlipAngle": "12", "NumberOfTemporalPositions": str(len(DYNAMIC_S)),
    "ContrastBolusAgent": "synthetic contrast agent",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One volume of a series: what it shows, and which attributes say so."""

    signal: Callable[[TissueTable], Values]  # of each tissue, in stored values
    sequence: Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class PelvicSeries:
    """One series of the study."""

    number: int
    description: str
    pictures: tuple[Picture, ...]
    shape: Shape  # slices, rows, columns
    spacing_mm: Triple  # distance of slices, rows, columns
    turn_deg: Triple = (0.0, 0.0, 0.0)  # oblique acquisition: about the left, posterior and head axes
    axes: tuple[str, str, str] = AXIAL
    centre_mm: Triple = CERVIX_MM
    thickness_mm: float
    samples: Shape = (2, 1, 1)  # places in a voxel over which the signal is averaged
    noise: float = 9.0
    fitted: Mapping[str, object] = field(default_factory=dict)  # attributes of an ADC map, which is fitted


def _scaled(signal: Callable[[TissueTable], Values], scale: float, tissues: TissueTable) -> Values:
    return signal(tissues) * np.float32(scale)


def _t2w() -> tuple[Picture, ...]:
    return (Picture(signal=partial(_scaled, t2w_signal, FULL_SCALE), sequence=T2_TSE),)


def _traces() -> Iterator[Picture]:
    for b_value in B_VALUES:
        signal = partial(_scaled, partial(dwi_signal, b_value=b_value), DWI_SCALE)
        yield Picture(signal=signal, sequence={**TRACE, "DiffusionBValue": b_value})


def _dynamic(tissues: TissueTable, seconds: float) -> Values:
    return t1w_signal(tissues, agent_mmol=contrast_mmol(seconds)) * np.float32(T1W_SCALE)


def _phases() -> Iterator[Picture]:
    for number, seconds in enumerate(DYNAMIC_S, start=1):
        times = {"TemporalPositionIdentifier": str(number), "AcquisitionTime": f"12{10 + number:02d}00"}
        yield Picture(signal=partial(_dynamic, seconds=seconds), sequence={**DYNAMIC, **times})


def _adc_attributes() -> dict[str, object]:
    """Return what says that stored values are 1e-6 mm2/s (PS3.3 C.7.6.16.2.11)."""
    mapping = Dataset()
    mapping.RealWorldValueFirstValueMapped, mapping.RealWorldValueLastValueMapped = 0, 4095
    mapping.RealWorldValueIntercept, mapping.RealWorldValueSlope = 0.0, 1.0
    mapping.LUTExplanation, mapping.LUTLabel = "Apparent diffusion coefficient", "ADC"
    mapping.MeasurementUnitsCodeSequence = [code("um2/s", "UCUM", "um2/s")]
    return {
        **TRACE, "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "ND"], "WindowCenter": "1250",
        "WindowWidth": "2500", "DerivationDescription": "ADC fitted to synthetic images of four b-values",
        "RealWorldValueMappingSequence": [mapping],
    }  # fmt: skip


AXIAL_T2W = PelvicSeries(
    number=4, description="pelvis t2 tse tra obl small field (synthetic phantom)", pictures=_t2w(),
    shape=(24, 320, 320), spacing_mm=(3.3, 0.5, 0.5), thickness_mm=3.0, turn_deg=(-16.0, 2.0, 3.0),
    centre_mm=(6.0, -12.0, -36.0),
)  # fmt: skip
DWI = PelvicSeries(
    number=5, description="pelvis ep2d diff 4b tra trace (phantom)", pictures=tuple(_traces()),
    shape=(20, 112, 120), spacing_mm=(4.4, 1.8, 1.8), thickness_mm=4.0, turn_deg=(-9.0, -1.5, -2.0),
    centre_mm=(2.0, -8.0, -40.0), noise=14.0,
)  # fmt: skip
ADC = PelvicSeries(
    number=6, description="pelvis ADC map tra (phantom)", pictures=tuple(_traces()), shape=(21, 120, 128),
    spacing_mm=(4.0, 1.6, 1.6), thickness_mm=4.0, turn_deg=(-11.0, 0.5, 1.0), centre_mm=(1.0, -10.0, -37.0),
    noise=14.0, fitted=_adc_attributes(),
)  # fmt: skip
OTHERS = (
    PelvicSeries(
        number=1, description="localizer (synthetic phantom)", shape=(3, 96, 96), spacing_mm=(20.0, 4.0, 4.0),
        pictures=(Picture(signal=partial(_scaled, t1w_signal, T1W_SCALE), sequence=LOCALIZER),), thickness_mm=8.0,
        samples=(1, 1, 1),
    ),
    PelvicSeries(
        number=2, description="pelvis t2 tse sag (synthetic phantom)", pictures=_t2w(), axes=SAGITTAL,
        shape=(18, 200, 200), spacing_mm=(4.4, 1.1, 1.1), thickness_mm=4.0, turn_deg=(0.5, -1.0, 2.0),
        samples=(1, 1, 1),
    ),
    PelvicSeries(
        number=3, description="pelvis t2 tse tra large field (synthetic phantom)", pictures=_t2w(),
        shape=(20, 160, 200), spacing_mm=(6.0, 1.9, 1.9), thickness_mm=5.0, samples=(1, 1, 1),
    ),
    PelvicSeries(
        number=7, description="pelvis t1 dynamic tra (synthetic phantom)", pictures=tuple(_phases()),
        shape=(8, 80, 96), spacing_mm=(5.0, 2.5, 2.5), thickness_mm=5.0, turn_deg=(-6.0, 0.0, 0.0), samples=(1, 1, 1),
    ),
)  # fmt: skip


def write_pelvic_study(
    folder: Path, *, seed: int = 0, series: tuple[PelvicSeries, ...] = (AXIAL_T2W, DWI, ADC, *OTHERS)
) -> Path:
    """Write the study below a folder, one folder for each series, and return it; equal arguments give equal files."""
    for one in series:
        images = series_pixels(one, seed)
        said = [one.fitted] if one.fitted else [picture.sequence for picture in one.pictures]
        for number, (sequence, pixels) in enumerate(zip(said, images, strict=True)):
            facts = MrSeries(
                study=f"pelvic sample {seed}",
                series=(one.description, repr(one.shape), repr(one.centre_mm)),
                patient="Pelvis",
                number=one.number,
                description=one.description,
                body_part="PELVIS",
                thickness_mm=one.thickness_mm,
                sequence={**STUDY, **sequence},
                before=number * one.shape[0],
            )
            write_mr_series(folder / f"series{one.number}", pixels, series_affine(one), facts)
    return folder


def series_affine(series: PelvicSeries) -> Array:
    """Return the affine of (slice, row, column) indices to LPS mm."""
    return grid_affine(
        series.shape, series.spacing_mm, series.axes, turn_deg=series.turn_deg, centre_mm=series.centre_mm
    )


def expected_tumour(series: PelvicSeries = AXIAL_T2W, *, seed: int = 0) -> npt.NDArray[np.bool_]:
    """Return which voxels of a series have their middle in the tumour, (slice, row, column)."""
    pelvis, affine = sample_pelvis(seed), series_affine(series)
    slices = [label_pelvis(pelvis, _places(series.shape, affine, (at, 0, 0))) for at in range(series.shape[0])]
    return np.asarray(np.stack(slices) == Tissue.TUMOUR)


@cache
def sample_pelvis(seed: int = 0) -> Pelvis:
    """Return the pelvis of the sample; its origin lies at CERVIX_MM."""
    return draw_pelvis(seed, tumour_ml=SAMPLE_ML)


def series_pixels(series: PelvicSeries, seed: int) -> npt.NDArray[np.uint16]:
    """Return the stored values of each volume of a series, (volume, slice, row, column); an ADC map is one volume."""
    rng = np.random.default_rng([seed, series.number])
    tissues = draw_tissues(seed)
    table = np.stack([picture.signal(tissues) for picture in series.pictures])
    slices = [_slice_images(series, table, number, seed, rng) for number in range(series.shape[0])]
    images = np.stack(slices, axis=1)
    if series.fitted:
        images = _fitted(images)[np.newaxis]
    return np.asarray(np.clip(np.rint(images), 0, 4095), np.uint16)


def _slice_images(series: PelvicSeries, table: Values, number: int, seed: int, rng: np.random.Generator) -> Images:
    """Return a slice of each volume, (volume, row, column): partial volume, uneven tissue, coil, Rician noise."""
    pelvis, affine = sample_pelvis(seed), series_affine(series)
    clean: Images = np.zeros((len(table), *series.shape[1:]), np.float32)
    offsets = list(product(*(_spread(count) for count in series.samples)))
    thick = series.thickness_mm / series.spacing_mm[0]
    for across, row, column in offsets:
        labels = label_pelvis(pelvis, _places(series.shape, affine, (number + thick * across, row, column)))
        clean += table[:, labels] / np.float32(len(offsets))
    uneven = ndimage.gaussian_filter(rng.standard_normal(clean.shape[1:]), GRAIN_MM / series.spacing_mm[1])
    coil = _coil(_places(series.shape, affine, (number, 0, 0)))
    clean = ndimage.gaussian_filter(clean * (1 + TEXTURE * uneven / uneven.std()), (0, 0.4, 0.4)) * coil
    noise = rng.normal(0, series.noise, (2, *clean.shape))
    return np.asarray(np.hypot(clean + noise[0], noise[1]), np.float32)


def _fitted(images: Images) -> Images:
    """Return the ADC in 1e-6 mm2/s by a straight line through the logarithms, 0 where there is hardly any signal."""
    b_values = np.array(B_VALUES, np.float32) - np.float32(np.mean(B_VALUES))
    slope = np.tensordot(b_values, np.log(np.maximum(images, 1)), axes=1) / np.float32(b_values @ b_values)
    return np.asarray(np.where(images[0] > 60, np.clip(-1e6 * slope, 0, 4000), 0), np.float32)


def _spread(count: int) -> Array:
    """Return places in a voxel, -0.5 to 0.5, evenly."""
    return (np.arange(count) + 0.5) / count - 0.5


def _coil(points: Images) -> Images:
    """Sensitivity of coils around the hips: lowest in the middle."""
    x, y = points[..., 0], points[..., 1]
    return np.asarray(0.8 + 0.35 * ((x / 190) ** 2 + ((y - 6) / 115) ** 2), np.float32)


def _places(shape: Shape, affine: Array, at: Triple) -> Images:
    """Return positions in the phantom of the pixels of a slice, (row, column, 3), moved by parts of a pixel."""
    first = affine @ [at[0], at[1], at[2], 1.0]
    rows, columns = (np.arange(shape[axis])[:, np.newaxis] * affine[:3, axis] for axis in (1, 2))
    origin = first[:3] - np.array(CERVIX_MM)
    return np.asarray((origin + rows)[:, np.newaxis] + columns, np.float32)
