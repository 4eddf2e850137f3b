"""Headers and files of pelvic MR studies: T2w, diffusion with several b-values, ADC, and what must not be taken."""

from pathlib import Path

import numpy as np
from pydicom import dcmread
from scipy.spatial.transform import Rotation

from imaging.load_study import load_study
from imaging.study import Series, Study
from tests.phantoms import oblique_affine, series_of, slice_headers, write_series

T2 = {
    "ScanningSequence": "SE", "SequenceVariant": "SK", "RepetitionTime": "5000", "EchoTime": "95",
    "InversionTime": None, "FlipAngle": "150", "SeriesDescription": "t2_tse", "BodyPartExamined": "PELVIS",
}  # fmt: skip
DIFFUSION = {
    "ScanningSequence": "EP", "SequenceVariant": "SK", "RepetitionTime": "4000", "EchoTime": "70",
    "InversionTime": None, "FlipAngle": "90", "ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW"],
    "SeriesDescription": "ep2d_diff", "BodyPartExamined": "PELVIS",
}  # fmt: skip
DIRECTION = {**DIFFUSION, "ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION"], "DiffusionDirectionality": "DIRECTIONAL"}
CALCULATED = {**DIFFUSION, "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "CALC_BVALUE"]}
ADC = {**DIFFUSION, "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "SeriesDescription": "ep2d_diff_ADC"}
DCE = {
    "ScanningSequence": "GR", "SequenceVariant": "SP", "RepetitionTime": "4", "EchoTime": "1.8", "FlipAngle": "12",
    "InversionTime": None, "ContrastBolusAgent": "Gd", "SeriesDescription": "dynamic",
}  # fmt: skip

T2_SHAPE, T2_MM = (12, 40, 40), (3.3, 4.5, 4.5)  # slice, row, column: coarse pixels, few of them; 180 mm
DWI_SHAPE, DWI_MM = (12, 24, 20), (3.4, 8.0, 9.0)
TILT = (14, -6, 3)


def affine_about(shape, spacing_mm, degrees=TILT, centre_mm=(3.0, -8.0, 20.0)) -> np.ndarray:
    """Affine of a grid around a point."""
    affine = oblique_affine(degrees, spacing_mm, (0, 0, 0))
    affine[:3, 3] = np.array(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def plane_affine(plane: str, shape, spacing_mm) -> np.ndarray:
    """Affine of a sagittal or coronal grid."""
    turns = {"sagittal": (90, 0, 90), "coronal": (90, 0, 0)}
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", turns[plane], degrees=True).as_matrix()[:, ::-1] * spacing_mm
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def series(number, attributes, shape=T2_SHAPE, spacing_mm=T2_MM, *, affine=None, **more) -> Series:
    """A series without pixels."""
    affine = affine_about(shape, spacing_mm) if affine is None else affine
    name = f"series {number}"
    return series_of(slice_headers(shape, affine, name=name, **{**attributes, "SeriesNumber": number, **more}))


def t2w(number=2, **more) -> Series:
    """The axial-oblique T2w series with a small field of view."""
    return series(number, T2, **more)


def diffusion(number=4, b_values=(50, 400, 800), attributes=DIFFUSION, *, spacing_mm=DWI_MM, **more) -> Series:
    """One series of several b-values."""
    affine = affine_about(DWI_SHAPE, spacing_mm)
    headers = [
        header
        for b in b_values
        for header in slice_headers(
            DWI_SHAPE, affine, name=f"series {number} b {b}",
            **{**attributes, "SeriesNumber": number, "DiffusionBValue": b, **more},
        )
    ]  # fmt: skip
    for header in headers:
        header.SeriesInstanceUID = f"1.2.77.{number}"
    return series_of(headers)


def adc(number=5, **more) -> Series:
    """The ADC map on the grid of the diffusion series."""
    return series(number, ADC, DWI_SHAPE, DWI_MM, **more)


def study(*found: Series) -> Study:
    """A study of series."""
    return Study(tuple(found), not_dicom=0, not_image=0, unreadable=0)


def write_mr(folder: Path, number, attributes, pixels, affine, **more) -> None:
    """Write one series of uint16 pixels into a folder of its own."""
    facts = {**attributes, "SeriesNumber": number, **more}
    write_series(folder / str(number), pixels.astype(np.uint16), affine, name=f"{folder.name} {number}", **facts)


def write_diffusion(folder: Path, number, b_values, signals, affine, **more) -> None:
    """Write signals of several b-values as one series."""
    for b, pixels in zip(b_values, signals, strict=True):
        below = folder / str(number)
        facts = {**DIFFUSION, "SeriesNumber": number, "DiffusionBValue": float(b), **more}
        name = f"{folder.name} {number} b {b}"
        for path in write_series(below / f"b{b}", pixels.astype(np.uint16), affine, name=name, **facts):
            header = dcmread(path)
            header.SeriesInstanceUID = f"1.2.78.{number}"
            header.save_as(path)


def loaded(folder: Path) -> Study:
    """The study of a folder."""
    return load_study(folder)
