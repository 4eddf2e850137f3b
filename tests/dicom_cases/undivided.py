"""One volume whose attributes differ from slice to slice for other reasons: it must not be divided."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pydicom import Dataset

from tests.dicom_cases.case import Case, Exact
from tests.dicom_cases.phantom import CT, write_volume
from tests.dicom_cases.volumes import private

DIVIDES = {"dcm2niix": "divides a series where this attribute differs; its option -m y joins what it divided."}


def one(name: str, about: str, keyword: str, value_of: Callable[[int], object], **options: object) -> Case:
    """Return the case of one volume in which an attribute depends on the number of the slice."""

    def change(header: Dataset, number: int) -> None:
        setattr(header, keyword, value_of(number))

    return Case(name, about, partial(write_volume, change=change, **options), Exact(), None, DIVIDES)


def another_creator(header: Dataset, number: int) -> None:
    """Add an element of another creator with the number that Siemens' b-value has."""
    private(0x0019, "ANOTHER CREATOR", 0x0C, "IS", str(100 * number))(header, number)


CASES = (
    Case("private-element-of-another-creator", "(0019,100C) is Siemens' b-value only below Siemens' private creator.",
         partial(write_volume, change=another_creator, Manufacturer="SIEMENS"), Exact(), None, DIVIDES),
    one("echo-time-jitter", "Echo Time differs in the third digit from slice to slice.",
        "EchoTime", lambda number: f"{2.98 + 0.001 * (number % 3):.3f}"),
    one("echo-time-by-slice", "Echo Time rises a little with every slice.",
        "EchoTime", lambda number: f"{2.98 + 0.02 * number:.2f}"),
    one("repetition-time-by-slice", "Repetition Time follows the heart, slice by slice.",
        "RepetitionTime", lambda number: str(900 + 13 * number)),
    one("inversion-time-by-slice", "Inversion Time depends on the slice.",
        "InversionTime", lambda number: str(900 + 25 * number)),
    one("flip-angle-by-slice", "Flip angles rise over a slab (a ramp pulse).",
        "FlipAngle", lambda number: str(15 + number)),
    one("acquisition-time-by-slice", "Every slice has an Acquisition Time of its own.",
        "AcquisitionTime", lambda number: f"1015{2 * number:02d}.25"),
    one("acquisition-time-interleaved", "Odd slices were acquired after even ones.",
        "AcquisitionTime", lambda number: f"1015{number // 2 + 30 * (number % 2):02d}"),
    one("acquisition-number-by-group", "Acquisition Number differs by group of slices: concatenated runs.",
        "AcquisitionNumber", lambda number: 1 + number // 3),
    one("acquisition-number-interleaved", "Acquisition Number differs between odd and even slices.",
        "AcquisitionNumber", lambda number: 1 + number % 2),
    one("acquisition-number-by-slice", "Acquisition Number counts slices, as step-and-shoot CT has it.",
        "AcquisitionNumber", lambda number: 1 + number, base=CT),
    one("trigger-time-by-slice", "Every slice has a Trigger Time of its own.",
        "TriggerTime", lambda number: str(35 * number)),
    one("temporal-position-by-slice", "Temporal Position Identifier counts slices.",
        "TemporalPositionIdentifier", lambda number: 1 + number),
    one("content-time-by-slice", "Every slice has a Content Time of its own.",
        "ContentTime", lambda number: f"1016{number:02d}"),
    one("tube-current-by-slice", "Tube current follows the body.",
        "XRayTubeCurrent", lambda number: 100 + 20 * number, base=CT),
    one("window-by-slice", "Every slice has a window of its own.",
        "WindowCenter", lambda number: str(500 + number)),
    one("description-by-slice", "Series Description differs from slice to slice.",
        "SeriesDescription", lambda number: f"t1 slice {number}"),
    one("contrast-agent-by-group", "Contrast/Bolus Agent is missing in some slices.",
        "ContrastBolusAgent", lambda number: "Gd" if number > 1 else ""),
    one("kernel-spelling-by-group", "Convolution Kernel is written in two ways.",
        "ConvolutionKernel", lambda number: "B30f" if number > 2 else ["B30f", "3"], base=CT),
)  # fmt: skip
