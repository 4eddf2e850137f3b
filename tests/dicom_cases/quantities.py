"""What makes quantities of stored values, and what does not: rescale, photometric interpretation, padding, windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from pydicom import Dataset

from imaging.outcome import Reason
from tests.dicom_cases.case import Case, Exact, Refused
from tests.dicom_cases.phantom import CT, PHANTOM, Grid, write_volume
from tests.dicom_cases.pixels import changed, per_slice, rescaled
from tests.phantoms import oblique_affine

INVERTS = {"SimpleITK": "inverts the stored values, for display."}
OTHERS = {
    "blank-first-slice-slope": {"SimpleITK": "takes the type of all values from the first slice: fractions are lost."},
    "slope-zero": dict.fromkeys(("SimpleITK", "dcm2niix"), "takes the stored values."),
    "modality-lut": dict.fromkeys(("SimpleITK", "dcm2niix"), "does not look at the table."),
    "overlay": {"dcm2niix": "writes the overlays as a second volume."},
    **{f"monochrome1-{kind}": INVERTS for kind in ("ct", "mr", "mixed")},
    "colour-palette": {"dcm2niix": "takes the numbers of colours as values."},
}
"""Why other tools differ, by the name of the case."""
BLANK_FIRST = Grid(PHANTOM.shape, PHANTOM.affine, blank=(0,))
PET_CLASS = "1.2.840.10008.5.1.4.1.1.128"
SLOPES = ("0.5", "1", "2.75", "1.3", "4.0625", "0.8")
INTERCEPTS = ("0", "100", "-250.5", "3000", "5.25", "-12")
CROSSING = Grid(PHANTOM.shape, oblique_affine(origin_mm=(-31.5, 12.25, -2.0)) * [-1, 1, 1, 1])
"""Codes of the first slice are all positive; slices fall, and the codes of the last are all negative."""


def every(**attributes: object) -> Callable[[Dataset, int], None]:
    """Return a change that sets these attributes in every slice, after its pixels."""

    def change(header: Dataset, _number: int) -> None:
        for keyword, value in attributes.items():
            setattr(header, keyword, value)

    return change


def alternating(keyword: str, *values: object) -> Callable[[Dataset, int], None]:
    """Return a change that gives the slices these values in turns."""

    def change(header: Dataset, number: int) -> None:
        setattr(header, keyword, values[number % len(values)])

    return change


def in_colour(name: str, about: str, photometric: str, **options: object) -> Case:
    """Return the case of slices in colour: three samples each."""
    pixels = np.random.default_rng(1).integers(0, 255, (*PHANTOM.shape[:2], 3 * PHANTOM.shape[2]), np.uint8)
    options |= {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "Columns": PHANTOM.shape[2]}
    write = partial(write_volume, pixels=pixels, PhotometricInterpretation=photometric, **options)
    return Case(name, about, write, Refused(Reason.PHOTOMETRIC))


def with_palette(header: Dataset, _number: int) -> None:
    """Add the three tables that PALETTE COLOR needs."""
    header.PhotometricInterpretation = "PALETTE COLOR"
    for colour in ("Red", "Green", "Blue"):
        setattr(header, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 16])
        setattr(header, f"{colour}PaletteColorLookupTableData", bytes(512))


def with_modality_lut(header: Dataset, _number: int) -> None:
    """Let a table, not a slope, make quantities of the stored values."""
    table = Dataset()
    table.LUTDescriptor, table.ModalityLUTType = [256, 5636, 16], "US"
    table.add_new("LUTData", "OW", bytes(512))
    header.ModalityLUTSequence = [table]


def with_overlay(header: Dataset, _number: int) -> None:
    """Add an overlay plane of its own."""
    rows, columns = PHANTOM.shape[1:]
    header.add_new(0x60000010, "US", rows)
    header.add_new(0x60000011, "US", columns)
    header.add_new(0x60000040, "CS", "G")
    header.add_new(0x60000050, "SS", [1, 1])
    header.add_new(0x60000100, "US", 1)
    header.add_new(0x60000102, "US", 0)
    header.add_new(0x60003000, "OW", b"\xaa" * 16)


RESCALES = (
    changed(
        "slope-per-slice",
        "MR whose slices have their own slope and intercept, as Philips writes them.",
        per_slice(SLOPES, INTERCEPTS),
        Exact(rounding=2.1),
        Manufacturer="Philips Medical Systems",
    ),
    changed(
        "slope-per-slice-pet",
        "PET whose slices have their own slope.",
        per_slice(SLOPES, ("0",) * 6),
        Exact(rounding=2.1),
        SOPClassUID=PET_CLASS,
        Modality="PT",
    ),
    rescaled("slope-fractional", "A slope of 0.1.", "0.1", "5000", np.int16),
    rescaled("slope-negative", "A slope of -1: rescaling turns the order of values.", "-1", "12000", np.int16),
    rescaled(
        "blank-first-slice",
        "The first slice is all 0, the others have fractions.",
        "0.5",
        "0",
        np.int16,
        grid=BLANK_FIRST,
    ),
    changed(
        "blank-first-slice-slope",
        "The first slice is all 0 with a slope of 1, the others have fractions.",
        per_slice(("1", *("0.3",) * 5), ("0",) * 6, grid=BLANK_FIRST),
        Exact(grids=(BLANK_FIRST,), rounding=0.15),
    ),
    rescaled(
        "ct-first-slice-positive",
        "CT whose first slice is above 0 HU throughout, the last below.",
        "1",
        "-1024",
        np.int16,
        base=CT,
        grid=CROSSING,
    ),
    changed(
        "rescale-empty", "Rescale Slope and Intercept are there and empty.", every(RescaleSlope="", RescaleIntercept="")
    ),
    changed(
        "slope-zero", "Rescale Slope is 0.", every(RescaleSlope="0", RescaleIntercept="0"), Refused(Reason.BAD_RESCALE)
    ),
    changed(
        "modality-lut",
        "A Modality LUT Sequence makes quantities of the stored values.",
        with_modality_lut,
        Refused(Reason.BAD_RESCALE),
    ),
    changed(
        "window",
        "A narrow window and a sigmoid function, which concern display alone.",
        every(WindowCenter="100", WindowWidth="10", VOILUTFunction="SIGMOID"),
    ),
    changed(
        "padding-value",
        "Pixel Padding Value is a value that occurs: it is kept.",
        every(PixelPaddingValue=int(PHANTOM.pixels()[2, 3, 4])),
    ),
    changed(
        "padding-range",
        "Pixel Padding Range covers many values: they are kept.",
        every(PixelPaddingValue=0, PixelPaddingRangeLimit=6500),
    ),
    changed("overlay", "An overlay plane lies beside the pixels.", with_overlay),
)
PHOTOMETRIC = (
    changed("monochrome1-ct", "CT in MONOCHROME1: its Hounsfield units are what they are.",
            every(PhotometricInterpretation="MONOCHROME1"), base=CT),
    changed("monochrome1-mr", "MR in MONOCHROME1: values are kept, and a flag says so.",
            every(PhotometricInterpretation="MONOCHROME1"), Exact(flags=("MONOCHROME1",))),
    changed("monochrome1-mixed", "MONOCHROME1 and MONOCHROME2 in turns.",
            alternating("PhotometricInterpretation", "MONOCHROME2", "MONOCHROME1"), Exact(flags=("MONOCHROME1",))),
    in_colour("colour-rgb", "Slices in RGB.", "RGB"),
    in_colour("colour-ybr", "Slices in YBR_FULL.", "YBR_FULL"),
    Case("colour-palette", "Stored values are numbers of colours.",
         partial(write_volume, pixels=np.zeros(PHANTOM.shape, np.uint8), change=with_palette),
         Refused(Reason.PHOTOMETRIC)),
)  # fmt: skip
CASES = tuple(replace(case, others=OTHERS.get(case.name, {})) for case in (*RESCALES, *PHOTOMETRIC))
