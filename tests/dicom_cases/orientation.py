"""One whole volume in every orientation, and in files whose names, numbers and other words mislead."""

from __future__ import annotations

from functools import partial

import numpy as np
from pydicom import Dataset
from scipy.spatial.transform import Rotation

from tests.dicom_cases.case import Case, Exact
from tests.dicom_cases.phantom import CT, PHANTOM, Grid, write_volume
from tests.phantoms import TURNS, coded_pixels, oblique_affine, turned

SHUFFLED = (3, 0, 5, 1, 4, 2)
RANDOM_NAMES = ("q7", "IM.000012.dcm", "0", "zz.ima", "1.2.840.99", "A B")
FEW_DIGITS_OFF_MM = 0.02
"""Positions are written to 0.01 mm, cosines to four digits over 18 mm of columns."""


def turned_grid(order: tuple[int, ...], signs: tuple[int, ...]) -> Grid:
    """Return the phantom with its voxels numbered in another order."""
    array, affine = turned(coded_pixels(PHANTOM.shape, PHANTOM.affine), PHANTOM.affine, order, signs)
    return Grid(array.shape, affine)


def oblique_grid(seed: int) -> Grid:
    """Return the phantom turned to some direction of the whole sphere, at another place."""
    degrees = Rotation.random(random_state=seed).as_euler("xyz", degrees=True)
    origin_mm = np.random.default_rng(seed).uniform(-40, 40, 3)
    return Grid(PHANTOM.shape, oblique_affine(degrees, origin_mm=origin_mm))


def spaced(*spacing_mm: float, degrees=(20, -15, 10)) -> Grid:
    """Return the phantom with another spacing of slices, rows and columns."""
    return Grid(PHANTOM.shape, oblique_affine(degrees, spacing_mm))


def few_digits(header: Dataset, _number: int) -> None:
    """Write positions to 0.01 mm and cosines to four digits."""
    header.ImagePositionPatient = [f"{float(value):.2f}" for value in header.ImagePositionPatient]
    header.ImageOrientationPatient = [f"{float(value):.4f}" for value in header.ImageOrientationPatient]


def jittered_cosines(header: Dataset, number: int) -> None:
    """Let the last digits of the cosines differ from slice to slice."""
    jitter = np.random.default_rng(number).uniform(-2e-6, 2e-6, 6)
    header.ImageOrientationPatient = [
        f"{float(value) + off:.8f}" for value, off in zip(header.ImageOrientationPatient, jitter, strict=True)
    ]


def jittered_positions(header: Dataset, number: int) -> None:
    """Let positions be off a little in any direction."""
    jitter_mm = np.random.default_rng(number).uniform(-0.004, 0.004, 3)
    header.ImagePositionPatient = [
        f"{float(value) + off:.6f}" for value, off in zip(header.ImagePositionPatient, jitter_mm, strict=True)
    ]


def numbered(numbers) -> object:
    """Write these Instance Numbers, slice by slice."""

    def change(header: Dataset, number: int) -> None:
        header.InstanceNumber = numbers[number]

    return change


def misleading_location(header: Dataset, number: int) -> None:
    """Let Slice Location fall and repeat where positions rise."""
    header.SliceLocation = str(-100.0 - number // 2)


def whole(name: str, about: str, grid: Grid = PHANTOM, expected: Exact | None = None, **options: object) -> Case:
    """Return the case of one volume that comes out exactly, whatever its headers say besides."""
    write = partial(write_volume, grid=grid, **options)
    return Case(name, about, write, expected or Exact(grids=(grid,)))


CASES = (
    whole("plain", "One oblique volume of ORIGINAL slices, nothing unusual."),
    whole("plain-ct", "One CT volume, stored values offset by a Rescale Intercept of -1024.", base=CT),
    *(
        whole(
            f"turn-{''.join('kji'[axis] for axis in order)}-{''.join('pn'[sign < 0] for sign in signs)}",
            "The same voxels, slices, rows and columns running along other axes of the volume, up or down.",
            turned_grid(order, signs),
        )
        for order, signs in TURNS
    ),
    *(
        whole(f"oblique-{seed:02d}", "Slices in a random direction of the sphere.", oblique_grid(seed))
        for seed in range(20)
    ),
    whole("axial", "Slices exactly along the patient's axes.", spaced(4.0, 0.7, 1.5, degrees=(0, 0, 0))),
    whole("pixels-wide", "Columns are three times as far apart as rows.", spaced(2.0, 0.6, 1.8)),
    whole("pixels-high", "Rows are three times as far apart as columns.", spaced(2.0, 1.8, 0.6)),
    whole("slices-thick", "Slices are 25 times as far apart as columns.", spaced(10.0, 0.8, 0.4)),
    whole("slices-thin", "Slices are closer together than pixels.", spaced(0.3, 0.9, 0.9)),
    whole("names-random", "File names without order, some without extension.", names=RANDOM_NAMES),
    whole(
        "names-backwards",
        "File names fall where positions rise, and Instance Numbers rise.",
        names=[f"{9 - number}.dcm" for number in range(6)],
    ),
    whole("numbers-shuffled", "Instance Numbers in another order than positions.", change=numbered(SHUFFLED)),
    whole("numbers-equal", "Every slice has Instance Number 1.", InstanceNumber=1),
    whole("numbers-repeated", "Two slices each share an Instance Number.", change=numbered((1, 1, 2, 2, 3, 3))),
    whole("numbers-absent", "No slice has an Instance Number.", InstanceNumber=None),
    whole("numbers-empty", "Instance Number is there and empty.", InstanceNumber=""),
    whole("location-misleading", "Slice Location falls and repeats where positions rise.", change=misleading_location),
    whole(
        "spacing-between-slices-negative",
        "Spacing Between Slices is negative, as nuclear medicine has it.",
        SpacingBetweenSlices="-4",
    ),
    whole("spacing-between-slices-wrong", "Spacing Between Slices is not the distance.", SpacingBetweenSlices="1.25"),
    whole("thickness-overlapping", "Slices are twice as thick as they are apart.", SliceThickness="8"),
    whole(
        "thickness-with-gaps",
        "Slices are half as thick as they are apart: gaps, and no slice missing.",
        SliceThickness="2",
    ),
    whole("thickness-absent", "No slice says how thick it is.", SliceThickness=None),
    whole("thickness-zero", "Every slice says it is 0 mm thick.", SliceThickness="0"),
    whole(
        "derived-reformat",
        "A whole reformatted volume: DERIVED, SECONDARY.",
        ImageType=["DERIVED", "SECONDARY", "REFORMATTED"],
    ),
    whole(
        "tilt-attribute-alone",
        "Gantry/Detector Tilt says 15 degrees, positions say that nothing leans.",
        base=CT,
        GantryDetectorTilt="15",
    ),
    whole(
        "few-digits",
        "Positions are written to 0.01 mm and cosines to four digits.",
        expected=Exact(off_mm=FEW_DIGITS_OFF_MM),
        change=few_digits,
    ),
    whole("cosines-jitter", "The last digits of the cosines differ from slice to slice.", change=jittered_cosines),
    whole(
        "positions-jitter",
        "Positions are off by up to 0.004 mm in any direction.",
        change=jittered_positions,
        expected=Exact(off_mm=0.005),
    ),
    whole("frame-of-reference-absent", "No slice names a frame of reference.", FrameOfReferenceUID=None),
    whole("two-slices", "The smallest volume: two slices.", Grid((2, 9, 13), PHANTOM.affine)),
)
