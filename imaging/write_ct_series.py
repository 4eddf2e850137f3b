"""A synthetic CT series as DICOM: one file for each slice of an array in Hounsfield units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.uid import CTImageStorage

from imaging.synthetic_header import SyntheticSeries, place_image, synthetic_header
from imaging.write_common import save_dicom

Array = npt.NDArray[np.float64]

INTERCEPT_HU = -1024
LARGEST_STORED = 4095
"""12 bits are stored."""


@dataclass(frozen=True, kw_only=True)
class CtSeries(SyntheticSeries):
    """What the headers of a synthetic CT series say beside its geometry."""

    kernel: str
    image_type: Sequence[str] = ("ORIGINAL", "PRIMARY", "AXIAL")


def write_ct_series(folder: Path, hu: npt.NDArray[np.floating], affine: Array, facts: CtSeries) -> Path:
    """Write a (slice, row, column) array into a folder and return it; equal arguments give equal files.

    hu      kept within what 12 bits hold, -1024 to 3071
    affine  (slice, row, column) indices to LPS mm
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(hu):
        dataset = synthetic_header(facts, CTImageStorage, "CT", number)
        dataset.ImageType, dataset.AcquisitionNumber = list(facts.image_type), 1
        dataset.KVP, dataset.ConvolutionKernel, dataset.GantryDetectorTilt = "120", facts.kernel, "0"
        dataset.RescaleIntercept, dataset.RescaleSlope = str(INTERCEPT_HU), "1"
        dataset.WindowCenter, dataset.WindowWidth = "-600", "1500"
        stored = np.clip(np.rint(image) - INTERCEPT_HU, 0, LARGEST_STORED).astype(np.uint16)
        place_image(dataset, affine, number, stored)
        save_dicom(dataset, folder / f"{number + 1:04d}.dcm")
    return folder
