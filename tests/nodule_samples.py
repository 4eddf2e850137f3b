"""Synthetic chest CT series and nodules of known place and size; no anatomy, only geometry."""

from pathlib import Path

import numpy as np
from pydicom import Dataset
from pydicom.uid import CTImageStorage

from imaging.mark import Mark, Origin
from imaging.measure_nodule import measure_nodule
from imaging.region import Region, region_of
from imaging.report_nodules import Nodule
from tests.series_samples import affine_of, write_series

CT_SHAPE = (12, 40, 48)
CT_SPACING_MM = (2.5, 0.7, 0.9)  # slice, row, column: no two are alike
AIR_HU, NODULE_HU = -850, 40
BALLS_MM = {  # number of the ball: centre in voxels, radius in mm
    1: ((4.0, 12.0, 11.0), 5.0),
    2: ((7.0, 28.0, 36.0), 6.5),
    3: ((2.0, 30.0, 20.0), 3.2),
}
MR_ONLY = (
    "ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "EchoTrainLength", "RepetitionTime",
    "EchoTime", "InversionTime", "FlipAngle",
)  # fmt: skip


def ball(number: int, shape=CT_SHAPE, spacing_mm=CT_SPACING_MM) -> np.ndarray:
    """Mask of a ball, (slice, row, column)."""
    centre, radius_mm = BALLS_MM[number]
    index = np.moveaxis(np.indices(shape), 0, -1)
    return np.linalg.norm((index - centre) * np.array(spacing_mm), axis=-1) <= radius_mm


def region(number: int) -> Region:
    """The ball as a region."""
    return region_of(ball(number))


def centre_mm(number: int, plane: str = "axial") -> np.ndarray:
    """LPS centre of a ball."""
    affine = affine_of(plane, CT_SPACING_MM)
    return affine[:3, :3] @ BALLS_MM[number][0] + affine[:3, 3]


def ct_pixels(shape=CT_SHAPE) -> np.ndarray:
    """HU of air with the balls in it."""
    pixels = np.full(shape, AIR_HU, np.int16)
    for number in BALLS_MM:
        pixels[ball(number, shape)] = NODULE_HU
    return pixels


def write_ct(folder: Path, *, plane="axial", pixels=None, backwards=False, edit=None) -> Path:
    """Write the balls as a CT series."""

    def as_ct(header: Dataset, number: int) -> None:
        for keyword in MR_ONLY:
            delattr(header, keyword)
        header.SOPClassUID, header.Modality = CTImageStorage, "CT"
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.KVP, header.AcquisitionNumber = 120, 1
        header.RescaleIntercept, header.RescaleSlope, header.RescaleType = 0, 1, "HU"
        if edit:
            edit(header, number)

    pixels = ct_pixels() if pixels is None else pixels
    return write_series(
        folder,
        plane=plane,
        shape=pixels.shape,
        spacing_mm=CT_SPACING_MM,
        pixels=pixels,
        backwards=backwards,
        edit=as_ct,
    )


def nodule(source, number: int, origin=Origin.COMPUTER, **facts) -> Nodule:
    """A ball as a nodule that was measured on a source."""
    found = region(number)
    measured = measure_nodule(source.volume, found)
    mark = Mark(centre_mm=measured.centre_mm, origin=origin, **facts.pop("mark", {}))
    return Nodule(mark=mark, region=found, measured=measured, **facts)
