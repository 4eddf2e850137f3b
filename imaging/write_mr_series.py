"""A synthetic MR series as DICOM: one file for each slice of an array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.uid import MRImageStorage

from imaging.synthetic_header import SyntheticSeries, place_image, synthetic_header
from imaging.write_common import save_dicom

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MrSeries(SyntheticSeries):
    """What the headers of a synthetic MR series say beside its geometry."""

    sequence: Mapping[str, object] = field(default_factory=dict)  # attributes that tell how the image was made
    before: int = 0  # instances of the series that are written already, such as those of another b-value


def write_mr_series(folder: Path, pixels: npt.NDArray[np.uint16], affine: Array, facts: MrSeries) -> Path:
    """Write a (slice, row, column) array into a folder and return it; equal arguments give equal files.

    affine  (slice, row, column) indices to LPS mm
    """
    folder.mkdir(parents=True, exist_ok=True)
    between_mm = float(np.linalg.norm(affine[:3, 0]))
    for number, image in enumerate(pixels):
        instance = facts.before + number
        dataset = synthetic_header(facts, MRImageStorage, "MR", instance)
        if abs(facts.thickness_mm - between_mm) > 1e-6:
            dataset.SpacingBetweenSlices = f"{between_mm:.6g}"
        dataset.WindowCenter, dataset.WindowWidth = "450", "900"
        place_image(dataset, affine, number, image)
        for keyword, value in facts.sequence.items():
            setattr(dataset, keyword, value)
        save_dicom(dataset, folder / f"{instance + 1:04d}.dcm")
    return folder
