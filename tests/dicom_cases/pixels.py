"""Stored values of every width and sign, in one type or several, whole numbers or not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from pydicom import Dataset

from imaging.outcome import Reason
from tests.dicom_cases.case import Case, Exact, Refused
from tests.dicom_cases.phantom import PHANTOM, stored, write_volume

OTHERS = {
    "signed-8": {"dcm2niix": "takes 8 bits as unsigned."},
    "unsigned-32": {"dcm2niix": "takes 32 bits as signed."},
    "unsigned-32-cancelling": {"dcm2niix": "takes 32 bits as signed."},
    "signed-12-of-16": {
        "SimpleITK": "fails: GDCM finds the pixel type larger than the output type.",
        "dcm2niix": "does not extend the sign of 12 bits.",
    },
    "signed-12-garbage": {
        "SimpleITK": "fails: GDCM finds the pixel type larger than the output type.",
        "dcm2niix": "does not extend the sign of 12 bits.",
    },
    "unsigned-12-high-bit-15": dict.fromkeys(
        ("SimpleITK", "dcm2niix"), "does not shift values down from the High Bit."
    ),
    "float": {"SimpleITK": "reads no Float Pixel Data."},
    "double-float": {"SimpleITK": "reads no Double Float Pixel Data."},
    "float-not-a-number": {"dcm2niix": "keeps the NaN."},
}
"""Why other tools differ, by the name of the case."""


def rescaled(name: str, about: str, slope: str, intercept: str, dtype: type, **options: object) -> Case:
    """Return the case of one slope and intercept for stored values of one type."""
    grid = options.pop("grid", PHANTOM)
    pixels = stored(grid.codes(), slope, intercept, dtype)
    options |= {"RescaleSlope": slope, "RescaleIntercept": intercept}
    write = partial(write_volume, grid=grid, pixels=pixels, **options)
    return Case(name, about, write, Exact(grids=(grid,), rounding=abs(float(slope)) / 2))


def changed(name: str, about: str, change: Callable[[Dataset, int], None], expected=None, **options: object) -> Case:
    """Return the case of one volume whose complete headers are changed slice by slice."""
    return Case(name, about, partial(write_volume, change=change, **options), expected or Exact())


def per_slice(slopes: Sequence[str], intercepts: Sequence[str], dtypes: Sequence[type] = (np.int16,), grid=PHANTOM):
    """Return a change that gives each slice its own slope, intercept and type of stored values."""

    def change(header: Dataset, number: int) -> None:
        dtype = np.dtype(dtypes[number % len(dtypes)])
        header.RescaleSlope, header.RescaleIntercept = slopes[number], intercepts[number]
        header.BitsAllocated = header.BitsStored = 8 * dtype.itemsize
        header.HighBit, header.PixelRepresentation = header.BitsStored - 1, int(dtype.kind == "i")
        pixels = stored(grid.codes()[number], slopes[number], intercepts[number], dtype).tobytes()
        header["PixelData"].value = pixels + b"\0" * (len(pixels) % 2)

    return change


def within_16_bits(stored_bits: int, dtype: type, *, shift: int = 0, garbage: bool = False):
    """Return a change that moves stored values to some bits of 16 and fills the others, as old overlays did."""

    def change(header: Dataset, number: int) -> None:
        header.BitsStored, header.HighBit = stored_bits, stored_bits - 1 + shift
        values = np.frombuffer(header.PixelData, dtype).astype(np.int64)
        mask = (1 << stored_bits) - 1
        others = np.random.default_rng(number).integers(0, 1 << 16, values.size) if garbage else 0
        octets = ((values & mask) << shift) | (others & ~(mask << shift) & 0xFFFF)
        header.PixelData = octets.astype(np.uint16).tobytes()

    return change


def floating(keyword: str, dtype: type, spoil: float | None = None):
    """Return a change that stores the position codes themselves, in single or double precision."""

    def change(header: Dataset, number: int) -> None:
        for integers_only in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            delattr(header, integers_only)
        values = PHANTOM.codes()[number].astype(dtype)
        if spoil is not None:
            values[0, 0] = spoil
        header.BitsAllocated = 8 * values.itemsize
        setattr(header, keyword, values.tobytes())

    return change


CASES = tuple(
    replace(case, others=OTHERS.get(case.name, {}))
    for case in (
        rescaled("unsigned-8", "Stored values of 8 bits.", "10", "5500", np.uint8),
        rescaled("signed-8", "Stored values of 8 bits with a sign.", "10", "6700", np.int8),
        rescaled("unsigned-16", "Stored values of 16 bits without a sign, above 32767.", "1", "-40000", np.uint16),
        rescaled("signed-16", "Stored values of 16 bits with a sign, most of them negative.", "1", "7500", np.int16),
        rescaled("unsigned-32", "Stored values of 32 bits without a sign, above 2^31.", "0.000002", "0", np.uint32),
        rescaled(
            "signed-32", "Stored values of 32 bits with a sign, most of them negative.", "0.00001", "7500", np.int32
        ),
        rescaled(
            "unsigned-32-cancelling",
            "Stored values of 32 bits whose differences single precision loses before the intercept is added.",
            "1",
            "-4000000000",
            np.uint32,
        ),
        rescaled("unsigned-12-of-16", "12 of 16 bits.", "1", "4500", np.uint16, BitsStored=12, HighBit=11),
        *(
            rescaled(name, about, "1", intercept, dtype, change=change)
            for name, about, intercept, dtype, change in (
                (
                    "signed-12-of-16",
                    "12 of 16 bits with a sign: the bits above are 0, not the sign.",
                    "6700",
                    np.int16,
                    within_16_bits(12, np.int16),
                ),
                (
                    "unsigned-12-garbage",
                    "12 of 16 bits, with old overlays in the bits above.",
                    "4500",
                    np.uint16,
                    within_16_bits(12, np.uint16, garbage=True),
                ),
                (
                    "signed-12-garbage",
                    "12 of 16 bits with a sign, and old overlays in the bits above.",
                    "6700",
                    np.int16,
                    within_16_bits(12, np.int16, garbage=True),
                ),
                (
                    "unsigned-12-high-bit-15",
                    "The upper 12 of 16 bits, with old overlays below.",
                    "4500",
                    np.uint16,
                    within_16_bits(12, np.uint16, shift=4, garbage=True),
                ),
            )
        ),
        changed(
            "mixed-sign",
            "Slices with and without a sign in turns.",
            per_slice(("1",) * 6, ("0", "7500") * 3, (np.uint16, np.int16)),
        ),
        changed(
            "mixed-width",
            "Slices of 8 and 16 bits in turns.",
            per_slice(("12", "1") * 3, ("5400", "0") * 3, (np.uint8, np.int16)),
            Exact(rounding=6),
        ),
        changed(
            "float",
            "Float Pixel Data.",
            floating("FloatPixelData", np.float32),
            Exact(rounding=0),
        ),
        changed(
            "double-float",
            "Double Float Pixel Data.",
            floating("DoubleFloatPixelData", np.float64),
            Exact(rounding=0),
        ),
        changed(
            "float-not-a-number",
            "Float Pixel Data with a NaN.",
            floating("FloatPixelData", np.float32, np.nan),
            Refused(Reason.NOT_FINITE),
        ),
    )
)
