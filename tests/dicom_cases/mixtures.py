"""Slices of another kind in the same series: another matrix, orientation or frame of reference, localizers, MIPs."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from pydicom import Dataset

from imaging.outcome import Reason
from imaging.uids import derived_uid
from tests.dicom_cases.case import Case, Exact
from tests.dicom_cases.phantom import PHANTOM, Grid, together, write_slices, write_volume
from tests.phantoms import ORIGIN_MM, SPACING_MM, oblique_affine


def translation(*steps: float) -> np.ndarray:
    """Return the matrix that moves (slice, row, column) indices."""
    matrix = np.eye(4)
    matrix[:3, 3] = steps
    return matrix


STRAY = (Reason.TOO_FEW_SLICES, Reason.SAME_POSITION, Reason.NO_GEOMETRY, Reason.PHOTOMETRIC)
"""Why what is no volume may be refused when it is not simply left out."""
ELSEWHERE = derived_uid("another frame of reference")
SAGITTAL = Grid(PHANTOM.shape, oblique_affine((0, 90, 0), SPACING_MM, (20.0, -8.0, 60.0)))
ONE_STACK = {
    "SimpleITK": "joins all slices of the series into one stack; it cannot when their sizes or kinds of pixel differ.",
    "dcm2niix": "writes the guests as images of their own.",
}
SMALL = Grid((6, 7, 11), PHANTOM.affine)
STATION = Grid(PHANTOM.shape, PHANTOM.affine @ translation(0, 6, 0))
LOCALIZER = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
MIP = ["DERIVED", "SECONDARY", "MIP"]


def turned_by(degrees: float) -> Grid:
    """Return the phantom turned a little further."""
    return Grid(PHANTOM.shape, oblique_affine((20 + degrees, -15, 10), SPACING_MM, ORIGIN_MM))


def pair(name: str, about: str, other: Grid, traits: tuple[str, str], **options: object) -> Case:
    """Return the case of two volumes in one series, the second on another grid or with other attributes."""
    others = ONE_STACK | {"dcm2niix": str(options.pop("dcm2niix", ""))}
    writers = together(write_volume, partial(write_volume, grid=other, volume=1, **options))
    return Case(name, about, writers, Exact(volumes=2, traits=traits, grids=(PHANTOM, other)), None, others)


def guest(name: str, about: str, *writers) -> Case:
    """Return the case of the whole phantom with images among its slices that are not part of it."""
    return Case(name, about, together(write_volume, *writers), Exact(may_refuse=STRAY), None, ONE_STACK)


def one(volume: int, height: float, grid: Grid = PHANTOM, **attributes: object):
    """Return what writes a single slice that is no part of the phantom."""
    return partial(write_slices, grid=grid, heights=(height,), volume=volume, **attributes)


def interleaved(folder: Path) -> None:
    """Write two orientations in turns, as names and Instance Numbers have them."""
    for volume, grid in enumerate((PHANTOM, SAGITTAL)):
        names = [f"{2 * number + volume:03d}.dcm" for number in range(6)]
        write_volume(folder, grid, volume=volume, names=names, change=partial(_number_in_turns, volume))


def _number_in_turns(volume: int, header: Dataset, number: int) -> None:
    header.InstanceNumber = 2 * number + volume + 1


def screen_capture(folder: Path) -> None:
    """Write a colour picture of the screen without any geometry."""
    nothing = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "FrameOfReferenceUID"))
    write_slices(
        folder,
        PHANTOM,
        (0,),
        volume=1,
        pixels=np.zeros((1, 9, 13 * 3), np.uint8),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        ImageType=["DERIVED", "SECONDARY"],
        Columns=13,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation="RGB",
        **nothing,
    )


CASES = (
    pair(
        "mixed-matrix",
        "Two volumes of different matrix in one series.",
        SMALL,
        (r"9\D+13", r"7\D+11"),
    ),
    pair(
        "mixed-spacing",
        "Two volumes of different Pixel Spacing in one series.",
        Grid(PHANTOM.shape, oblique_affine(spacing_mm=(4.0, 0.9, 1.1))),
        (r"0\.7\D+1\.5", r"0\.9\D+1\.1"),
        dcm2niix="takes the Pixel Spacing of the first volume for both.",
    ),
    pair("mixed-orientations", "Two volumes of different orientation in one series.", SAGITTAL, (r"\w", r"sagittal")),
    pair("mixed-orientations-10-degrees", "Two volumes, one turned by 10 degrees.", turned_by(10), (r"\w", r"\w")),
    pair("mixed-orientations-2-degrees", "Two volumes, one turned by 2 degrees.", turned_by(2), (r"\w", r"\w")),
    Case(
        "mixed-orientations-interleaved",
        "Two volumes of different orientation, file by file in turns.",
        interleaved,
        Exact(volumes=2, traits=(r"\w", r"sagittal"), grids=(PHANTOM, SAGITTAL)),
        others=ONE_STACK,
    ),
    pair(
        "mixed-frames-of-reference",
        "Two volumes at the same coordinates of two frames of reference.",
        PHANTOM,
        ("frames? of reference", "frames? of reference"),
        FrameOfReferenceUID=ELSEWHERE,
    ),
    pair(
        "mixed-frames-of-reference-adjoining",
        "Two frames of reference; by coordinates the second volume continues the first.",
        PHANTOM.slices(6, 12),
        ("frames? of reference", "frames? of reference"),
        FrameOfReferenceUID=ELSEWHERE,
        dcm2niix="does not look at the frame of reference: one volume of 12 slices.",
    ),
    pair(
        "stations",
        "Two stations of a spine: the same slices, further down in plane.",
        STATION,
        (r"\w", r"\w"),
        dcm2niix="joins both stations into one stack, and writes it again resampled to an even grid.",
    ),
    guest(
        "localizer",
        "Three localizers of three orientations among the slices.",
        one(1, 0, SAGITTAL, ImageType=LOCALIZER),
        one(2, 0, turned_by(70), ImageType=LOCALIZER),
        one(3, 2.5, ImageType=LOCALIZER),
    ),
    guest("localizer-unsaid", "A localizer of another orientation and the same Image Type.", one(1, 0, SAGITTAL)),
    guest(
        "localizer-matrix",
        "A localizer of the same plane but another matrix.",
        one(1, 2, SMALL),
    ),
    guest(
        "mip",
        "A maximum intensity projection between the slices.",
        one(1, 2.5, ImageType=MIP),
    ),
    guest(
        "mip-series",
        "Three projections at the position of one slice.",
        *(one(number, 2, ImageType=MIP) for number in (1, 2, 3)),
    ),
    guest("mean", "A mean image at the position of a slice.", one(1, 3, ImageType=["DERIVED", "PRIMARY", "MEAN"])),
    guest("screen-capture", "A colour picture of the screen, without geometry, in the series.", screen_capture),
)
