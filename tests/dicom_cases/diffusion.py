"""Diffusion: b-values and gradient directions in one series, where each vendor writes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from struct import Struct

from tests.dicom_cases.case import Case, Exact
from tests.dicom_cases.phantom import write_volume
from tests.dicom_cases.volumes import ONE_STACK, Change, both, by, private, setting, several

DIRECTIONS = ([1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [-0.6, 0.48, 0.64])
B_VALUES = (0, 50, 800)
OF_B = [rf"\b{value}\b" for value in B_VALUES]


def siemens_b(value: int) -> Change:
    """Return Siemens' b-value."""
    return private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", str(value))


def unknown(group: int, creator: str, element: int, octets: Callable[[int], bytes]) -> list[Change]:
    """Return a private b-value of each volume as an archive writes it that does not know its VR."""
    return [private(group, creator, element, "UN", octets(value)) for value in B_VALUES]


def in_second_block(group: int, change: Change) -> Change:
    """Return a change after which a private block is the second of its group: another creator came first."""
    return both(private(group, "ANOTHER CREATOR", 0x0C, "LO", "7"), change)


def ge_b(value: int, offset: int) -> Change:
    """Return GE's b-value, the first of four numbers, with the offset that newer software adds."""
    return private(0x0043, "GEMS_PARM_01", 0x39, "IS", [str(value + offset), "8", "0", "0"])


def philips_b(value: int) -> Change:
    """Return Philips' b-value."""
    return private(0x2001, "Philips Imaging DD 001", 0x03, "FL", float(value))


def uih_b(value: int) -> Change:
    """Return United Imaging's b-value."""
    return private(0x0065, "Image Private Header", 0x09, "FD", float(value))


def slice_by_slice(folder: Path) -> None:
    """Write all b-values of a slice before the next slice, as names and Instance Numbers have them."""
    for volume, value in enumerate(B_VALUES):
        number_of = lambda number, volume=volume: 3 * number + volume + 1  # noqa: E731
        names = [f"{number_of(number):03d}.dcm" for number in range(6)]
        write_volume(
            folder, volume=volume, names=names, DiffusionBValue=float(value), change=setting(InstanceNumber=number_of)
        )


CASES = (
    several(
        "b-values",
        "Diffusion b-values by the standard's attribute (0018,9087).",
        by("DiffusionBValue", 0.0, 50.0, 800.0),
        OF_B,
    ),
    several(
        "b-values-jitter",
        "b-values of 0, 799.6 and 1500: a fraction is no reason to part slices.",
        [setting(DiffusionBValue=lambda number, b=b: b + 0.1 * (number % 2)) for b in (0.0, 799.6, 1500.0)],
        (r"\b0", r"\b(799|800)", r"\b1500"),
    ),
    Case(
        "b-values-slice-by-slice",
        "All b-values of a slice come before the next slice.",
        slice_by_slice,
        Exact(volumes=3, traits=tuple(OF_B)),
        others=ONE_STACK,
    ),
    several(
        "b-values-none-at-0",
        "Only slices with diffusion weighting have a b-value.",
        [{}, {"DiffusionBValue": 800.0}],
        ("", r"\b800\b"),
    ),
    several(
        "b-values-siemens",
        "Siemens' private b-value (0019,100C).",
        map(siemens_b, B_VALUES),
        OF_B,
        Manufacturer="SIEMENS",
    ),
    several(
        "b-values-siemens-unknown",
        "Siemens' private b-value with VR UN.",
        unknown(0x0019, "SIEMENS MR HEADER", 0x0C, lambda value: f"{value:<4}".encode()),
        OF_B,
        Manufacturer="SIEMENS",
    ),
    several(
        "b-values-siemens-sequence-name",
        "Old Siemens software: the b-value is in the Sequence Name alone.",
        by("SequenceName", "*ep_b0", "*ep_b50t", "*ep_b800t"),
        OF_B,
        Manufacturer="SIEMENS",
    ),
    several(
        "b-values-ge",
        "GE's private b-value (0043,1039).",
        [ge_b(value, 0) for value in B_VALUES],
        OF_B,
        Manufacturer="GE MEDICAL SYSTEMS",
    ),
    several(
        "b-values-ge-offset",
        "GE's private b-value with 1000000000 added.",
        [ge_b(value, 10**9) for value in B_VALUES],
        OF_B,
        Manufacturer="GE MEDICAL SYSTEMS",
    ),
    several(
        "b-values-philips",
        "Philips' private b-value (2001,1003).",
        map(philips_b, B_VALUES),
        OF_B,
        Manufacturer="Philips Medical Systems",
    ),
    several(
        "b-values-uih", "United Imaging's private b-value (0065,1009).", map(uih_b, B_VALUES), OF_B, Manufacturer="UIH"
    ),
    several(
        "b-values-ge-unknown",
        "GE's private b-value with VR UN.",
        unknown(0x0043, "GEMS_PARM_01", 0x39, lambda value: f"{value + 10**9}\\8\\0\\0".ljust(18).encode()),
        OF_B,
        Manufacturer="GE MEDICAL SYSTEMS",
    ),
    several(
        "b-values-philips-unknown",
        "Philips' private b-value with VR UN.",
        unknown(0x2001, "Philips Imaging DD 001", 0x03, Struct("<f").pack),
        OF_B,
        Manufacturer="Philips Medical Systems",
    ),
    several(
        "b-values-uih-unknown",
        "United Imaging's private b-value with VR UN.",
        unknown(0x0065, "Image Private Header", 0x09, Struct("<d").pack),
        OF_B,
        Manufacturer="UIH",
    ),
    several(
        "b-values-siemens-second-block",
        "Siemens' private b-value in the second block of its group.",
        [in_second_block(0x0019, siemens_b(value)) for value in B_VALUES],
        OF_B,
        Manufacturer="SIEMENS",
    ),
    several(
        "b-values-ge-second-block",
        "GE's private b-value in the second block of its group.",
        [in_second_block(0x0043, ge_b(value, 10**9)) for value in B_VALUES],
        OF_B,
        Manufacturer="GE MEDICAL SYSTEMS",
    ),
    several(
        "b-values-and-directions",
        "b 0, and b 800 in three gradient directions.",
        [
            {"DiffusionBValue": 0.0},
            *({"DiffusionBValue": 800.0, "DiffusionGradientOrientation": direction} for direction in DIRECTIONS),
        ],
        (r"\b0\b", *[r"\b800\b.*direction"] * 3),
    ),
    several(
        "b-values-and-directions-siemens",
        "The same in Siemens' private elements.",
        [
            siemens_b(0),
            *(
                both(siemens_b(800), private(0x0019, "SIEMENS MR HEADER", 0x0E, "FD", direction))
                for direction in DIRECTIONS
            ),
        ],
        (r"\b0\b", *[r"\b800\b.*direction"] * 3),
        Manufacturer="SIEMENS",
    ),
    several(
        "b-values-directions-and-averages",
        "b 0, and two acquisitions of b 800 in two gradient directions.",
        [
            {"DiffusionBValue": 0.0},
            *(
                {"DiffusionBValue": 800.0, "DiffusionGradientOrientation": direction, "AcquisitionNumber": number}
                for direction in DIRECTIONS[:2]
                for number in (1, 2)
            ),
        ],
        (r"\b0\b", *[r"\b800\b.*direction"] * 4),
    ),
    several(
        "b-values-and-averages",
        "Two acquisitions of each b-value.",
        [{"DiffusionBValue": b, "AcquisitionNumber": number} for b in (0.0, 800.0) for number in (1, 2)],
        (r"\b0\b", r"\b0\b", r"\b800\b", r"\b800\b"),
        others=ONE_STACK | {"dcm2niix": "takes b 800 without directions for trace images: writes all, and b 0 again."},
    ),
    several(
        "trace-and-adc",
        "Trace image and apparent diffusion coefficient, told by Image Type.",
        by("ImageType", ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"], ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]),
        ("TRACEW", "ADC"),
    ),
)
