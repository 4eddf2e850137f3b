"""The embedded sample of the lung: a synthetic chest CT as DICOM, drawn from the procedural phantom.

Beside the thin series with a lung kernel it holds what such a study holds and what must not be taken: a scout, and
thick slices with a soft kernel. The chest lies off the middle of the image; the first image is nearest to the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging.chest_phantom import NODULES, Nodule, Triple, ct_noise, paint_chest
from imaging.sample_grid import grid_affine
from imaging.write_ct_series import CtSeries, write_ct_series

Array = npt.NDArray[np.float64]

CENTRE_MM = (4.0, 3.0, -6.0)
"""LPS position of the middle of the series in the phantom."""
AXIAL, CORONAL = ("-z", "+y", "+x"), ("+y", "-z", "+x")
"""Directions in which slices, rows and columns rise; x to the left, y to the back, z to the head."""


@dataclass(frozen=True, kw_only=True)
class ChestSeries:
    """One series of the study."""

    number: int
    description: str
    shape: tuple[int, int, int]  # slices, rows, columns
    spacing_mm: Triple  # distance of slices, rows, columns
    kernel: str
    noise_hu: float
    edge_mm: float
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    axes: tuple[str, str, str] = AXIAL


LUNG_CT = ChestSeries(
    number=3, description="synthetic chest 1.5 mm lung (phantom)", shape=(180, 320, 320), spacing_mm=(1.5, 1.0, 1.0),
    kernel="LUNG", noise_hu=35.0, edge_mm=1.2,
)  # fmt: skip
OTHERS = (
    ChestSeries(
        number=1, description="synthetic scout (phantom)", shape=(1, 270, 320), spacing_mm=(5.0, 1.0, 1.0),
        kernel="", noise_hu=15.0, edge_mm=2.0, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), axes=CORONAL,
    ),
    ChestSeries(
        number=2, description="synthetic chest 5 mm soft (phantom)", shape=(54, 160, 160), spacing_mm=(5.0, 2.0, 2.0),
        kernel="STANDARD", noise_hu=12.0, edge_mm=3.0,
    ),
)  # fmt: skip


def write_chest_study(
    folder: Path,
    *,
    seed: int = 0,
    series: Sequence[ChestSeries] = (LUNG_CT, *OTHERS),
    nodules: Sequence[Nodule] = NODULES,
) -> Path:
    """Write the study below a folder, one folder for each series, and return it; equal arguments give equal files.

    seed     of the noise
    series   fewer and smaller ones make a quick study
    nodules  that the lungs hold
    """
    for one in series:
        facts = CtSeries(
            study=f"chest sample {seed}",
            series=(f"{one} {nodules}",),
            patient="Chest",
            number=one.number,
            description=one.description,
            body_part="CHEST",
            thickness_mm=one.spacing_mm[0],
            kernel=one.kernel,
            image_type=one.image_type,
        )
        write_ct_series(folder / f"series{one.number}", series_hu(one, seed, nodules), series_affine(one), facts)
    return folder


def series_affine(series: ChestSeries = LUNG_CT) -> Array:
    """Return the affine of (slice, row, column) indices to LPS mm, slices as they are written: from the head down."""
    return grid_affine(series.shape, series.spacing_mm, series.axes, centre_mm=CENTRE_MM)


def series_hu(
    series: ChestSeries = LUNG_CT, seed: int = 0, nodules: Sequence[Nodule] = NODULES
) -> npt.NDArray[np.float32]:
    """Return the densities of a series with noise, (slice, row, column)."""
    hu = paint_chest(series.shape, series_affine(series), nodules=nodules, edge_mm=series.edge_mm)
    hu += ct_noise(series.shape, series.noise_hu, np.random.default_rng([seed, series.number]))
    return hu
