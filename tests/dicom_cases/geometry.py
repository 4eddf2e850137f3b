"""Slices that are missing, repeated, or unevenly spaced, and headers that do not say where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydicom import Dataset

from imaging.geometry import GeometryPolicy
from imaging.outcome import Reason
from tests.dicom_cases.case import Case, Exact, Refused, Resampled
from tests.dicom_cases.phantom import CT, PHANTOM, Grid, together, write_slices, write_volume

SPREADS = "spreads the slices evenly from the first to the last, with a warning."
AS_IT_IS = "writes the slices as they are, with a warning, and again resampled to an even grid."
UNTOLD = {"SimpleITK": SPREADS, "dcm2niix": AS_IT_IS}
AGAIN = {
    "SimpleITK": "joins all slices into one stack and spreads them evenly.",
    "dcm2niix": "joins all slices into one stack, and writes it again resampled to an even grid.",
}
SINGLE = dict.fromkeys(("SimpleITK", "dcm2niix"), "makes an image of a single slice.")
GUESSES = dict.fromkeys(("SimpleITK", "dcm2niix"), "puts a default in the place of what is absent or unusable.")
CODE_PER_MM = 90.0
"""The position code changes by less than this over a millimetre."""
UNEVEN = (0.0, 1.0, 2.0, 3.25, 4.25, 5.25)
GROWING = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)
EVEN_ENOUGH = (0.0, 1.003, 1.998, 3.002, 3.997, 5.0)


def stretched(grid: Grid, slices: int, reach: float) -> Grid:
    """Return the grid from the first slice to the last where those are not evenly spaced."""
    affine = grid.affine.copy()
    affine[:3, 0] *= reach / (slices - 1)
    return Grid((slices, *grid.shape[1:]), affine)


def spoilt(keyword: str, value: object, only: int | None = None):
    """Return a change that gives an attribute another value, or takes it away, in all slices or in one."""

    def change(header: Dataset, number: int) -> None:
        if only not in (None, number):
            return
        if value is None:
            delattr(header, keyword)
        else:
            setattr(header, keyword, value)

    return change


def gapped(name: str, about: str, heights: Sequence[float], expected, policy=None, grid: Grid = PHANTOM, **options):
    """Return the case of one volume of these slices."""
    others = options.pop("others", UNTOLD)
    return Case(name, about, partial(write_slices, grid=grid, heights=heights, **options), expected, policy, others)


def without_geometry(name: str, about: str, keyword: str, value: object, reason: Reason, only=None) -> Case:
    """Return the case of a volume that lacks an attribute or has an unusable one."""
    return Case(name, about, partial(write_volume, change=spoilt(keyword, value, only)), Refused(reason), None, GUESSES)


WHOLE = range(PHANTOM.shape[0])
GAPS = (
    gapped("missing-inner", "Slice 3 of 6 is missing.", (0, 1, 3, 4, 5), Refused(Reason.MISSING_SLICE)),
    gapped(
        "missing-inner-tolerated",
        "Slice 3 of 6 is missing, and the policy lets it be interpolated.",
        (0, 1, 3, 4, 5),
        Resampled(flags=("missing",)),
        GeometryPolicy(max_gap_mm=8.0),
    ),
    gapped(
        "missing-first",
        "The first slice is missing, which nothing can tell: the others are where they are.",
        (1, 2, 3, 4, 5),
        Exact(grids=(PHANTOM.slices(1, 6),)),
    ),
    gapped(
        "missing-last",
        "The last slice is missing, which nothing can tell: the others are where they are.",
        (0, 1, 2, 3, 4),
        Exact(grids=(PHANTOM.slices(0, 5),)),
    ),
    gapped("missing-two", "Two neighbouring slices are missing.", (0, 1, 4, 5), Refused(Reason.MISSING_SLICE)),
    gapped(
        "missing-two-tolerated",
        "Two neighbouring slices are missing, and the policy lets them be interpolated.",
        (0, 1, 4, 5),
        Resampled(flags=("missing",)),
        GeometryPolicy(max_gap_mm=12.5),
    ),
    gapped(
        "missing-two-beyond-policy",
        "Two neighbouring slices are missing, and the policy tolerates one.",
        (0, 1, 4, 5),
        Refused(Reason.MISSING_SLICE),
        GeometryPolicy(max_gap_mm=8.5),
    ),
    gapped(
        "missing-apart-tolerated",
        "Two slices are missing at different places, and the policy lets them be interpolated.",
        (0, 2, 3, 4, 6, 7),
        Resampled(grids=(PHANTOM.slices(0, 8),), flags=("missing",)),
        GeometryPolicy(max_gap_mm=8.0),
    ),
    gapped(
        "missing-half-tolerated",
        "Every second distance is twice the others, and the policy lets missing slices be interpolated.",
        (0, 2, 3, 5),
        Resampled(flags=("missing",)),
        GeometryPolicy(max_gap_mm=8.0),
    ),
    gapped(
        "missing-of-four",
        "Three slices are left of four: no distance is in the majority.",
        (0, 1, 3),
        Refused(Reason.MISSING_SLICE, (Reason.UNEVEN_SPACING,)),
    ),
    gapped(
        "two-slabs",
        "Two slabs of three slices, far apart.",
        (0, 1, 2, 30, 31, 32),
        Refused(Reason.MISSING_SLICE, (Reason.MIXED_STACKS,)),
    ),
    gapped("one-slice", "A single slice.", (0,), Refused(Reason.TOO_FEW_SLICES), others=SINGLE),
)
REPEATS = (
    gapped(
        "repeated-slice",
        "One slice is there twice, as two instances of the same pixels.",
        (0, 1, 2, 2, 3, 4, 5),
        Exact(flags=("twice|identical|duplicate|repeat|more than once",)),
        others=AGAIN,
    ),
    gapped(
        "repeated-volume",
        "Every slice is there twice, as two instances of the same pixels.",
        (*WHOLE, *WHOLE),
        Exact(flags=("twice|identical|duplicate|repeat|more than once",)),
        others=AGAIN,
    ),
    Case(
        "repeated-slice-differs",
        "One slice is there twice with different pixels, and no attribute tells them apart.",
        together(partial(write_volume), partial(write_slices, grid=PHANTOM, heights=(2,), volume=1)),
        Refused(Reason.SAME_POSITION),
        others=AGAIN,
    ),
    Case(
        "repeated-volume-differs",
        "Every slice is there twice with different pixels, and no attribute tells them apart.",
        together(partial(write_volume), partial(write_volume, volume=1)),
        Refused(Reason.SAME_POSITION),
        others=AGAIN,
    ),
)
SPACING = (
    gapped(
        "uneven-within-tolerance",
        "Distances of slices differ by 0.02 mm, as rounding makes them.",
        EVEN_ENOUGH,
        Exact(off_mm=0.02, rounding=0.5 + 0.02 * CODE_PER_MM),
        others={"dcm2niix": "takes the distance of the first two slices for all."},
    ),
    gapped("uneven", "One distance is a quarter larger than the others.", UNEVEN, Refused(Reason.UNEVEN_SPACING)),
    gapped(
        "uneven-resampled",
        "One distance is a quarter larger than the others, and the policy lets slices be resampled.",
        UNEVEN,
        Resampled(grids=(stretched(PHANTOM, 6, UNEVEN[-1]),)),
        GeometryPolicy(resample_uneven=True),
    ),
    gapped(
        "growing",
        "Distances double half-way, as in old head CT.",
        GROWING,
        Refused(Reason.UNEVEN_SPACING, (Reason.MISSING_SLICE,)),
        base=CT,
    ),
    gapped(
        "growing-resampled",
        "Distances double half-way, and the policy lets slices be resampled.",
        GROWING,
        Resampled(grids=(stretched(PHANTOM, 6, GROWING[-1]),)),
        GeometryPolicy(resample_uneven=True),
        base=CT,
    ),
)
LACKING = (
    without_geometry("position-absent", "No slice has a position.", "ImagePositionPatient", None, Reason.NO_GEOMETRY),
    without_geometry(
        "position-absent-in-one", "One slice has no position.", "ImagePositionPatient", None, Reason.NO_GEOMETRY, 2
    ),
    without_geometry(
        "orientation-absent", "No slice has an orientation.", "ImageOrientationPatient", None, Reason.NO_GEOMETRY
    ),
    without_geometry("spacing-absent", "No slice has a Pixel Spacing.", "PixelSpacing", None, Reason.NO_GEOMETRY),
    without_geometry("spacing-zero", "Pixel Spacing is 0.", "PixelSpacing", ["0", "0"], Reason.BAD_GEOMETRY),
    without_geometry(
        "orientation-zero",
        "Direction cosines are all 0.",
        "ImageOrientationPatient",
        ["0"] * 6,
        Reason.BAD_GEOMETRY,
    ),
    without_geometry(
        "orientation-skewed",
        "Rows and columns are not at a right angle.",
        "ImageOrientationPatient",
        ["1", "0", "0", "0.6", "0.8", "0"],
        Reason.BAD_GEOMETRY,
    ),
)
CASES = (*GAPS, *REPEATS, *SPACING, *LACKING)
