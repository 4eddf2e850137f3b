"""Several volumes in one series, told apart by one attribute or another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pydicom import Dataset

from imaging.outcome import Reason
from tests.dicom_cases.case import Case, Exact
from tests.dicom_cases.phantom import CT, PHANTOM, together, write_slices, write_volume

ONE_STACK = {"SimpleITK": "joins all slices of the series into one stack, in order of position."}
Change = Callable[[Dataset, int], None]


def several(
    name: str,
    about: str,
    volumes: Sequence[Mapping[str, object] | Change],
    traits: Sequence[str] = (),
    **options: object,
) -> Case:
    """Return the case of whole volumes in one series; each is given by its attributes, or by a change of headers."""
    others = options.pop("others", ONE_STACK)
    parts = [{"change": volume} if callable(volume) else volume for volume in volumes]
    writers = [partial(write_volume, volume=number, **(options | part)) for number, part in enumerate(parts)]
    return Case(name, about, together(*writers), Exact(volumes=len(parts), traits=tuple(traits)), None, others)


def by(keyword: str, *values: object) -> list[dict[str, object]]:
    """Return the attributes of volumes that differ in one."""
    return [{keyword: value} for value in values]


def private(group: int, creator: str, element: int, vr: str, value: object) -> Change:
    """Return a change that adds a private element with its creator (PS3.5 7.8)."""

    def change(header: Dataset, _number: int) -> None:
        header.private_block(group, creator, create=True).add_new(element, vr, value)

    return change


def both(*changes: Change) -> Change:
    """Return a change that makes several."""

    def change(header: Dataset, number: int) -> None:
        for each in changes:
            each(header, number)

    return change


def setting(**attributes: object) -> Change:
    """Return a change that sets attributes; a callable gets the number of the slice."""

    def change(header: Dataset, number: int) -> None:
        for keyword, value in attributes.items():
            setattr(header, keyword, value(number) if callable(value) else value)

    return change


CONTRASTS = (
    several(
        "echoes",
        "Two echoes by Echo Time and Echo Numbers.",
        [{"EchoTime": "4.6", "EchoNumbers": 1}, {"EchoTime": "9.2", "EchoNumbers": 2}],
        ("echo", "echo"),
    ),
    several(
        "echoes-by-time",
        "Three echoes by Echo Time alone.",
        by("EchoTime", "2.3", "4.6", "6.9"),
        (r"2\.3", r"4\.6", r"6\.9"),
    ),
    several(
        "echoes-by-time-jitter",
        "Two echoes by Echo Time, which differs a little from slice to slice.",
        [setting(EchoTime=lambda number, echo=echo: f"{echo + 0.01 * number:.2f}") for echo in (4.6, 9.2)],
        ("echo", "echo"),
    ),
    several("echoes-by-number", "Two echoes by Echo Numbers alone.", by("EchoNumbers", 1, 2), ("echo.*1", "echo.*2")),
    several(
        "inversion-times", "Three inversion times.", by("InversionTime", "100", "900", "2500"), ("100", "900", "2500")
    ),
    several("flip-angles", "Three flip angles.", by("FlipAngle", "2", "10", "15"), (r"\b2\b", r"\b10\b", r"\b15\b")),
    several("repetition-times", "Two repetition times.", by("RepetitionTime", "500", "3000"), ("500", "3000")),
    several(
        "magnitude-phase",
        "Magnitude and phase by Image Type.",
        by("ImageType", ["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "P", "ND"]),
        (r"\bM\b", r"\bP\b"),
    ),
    several(
        "real-imaginary",
        "Real and imaginary part by Image Type.",
        by("ImageType", ["ORIGINAL", "PRIMARY", "R", "ND"], ["ORIGINAL", "PRIMARY", "I", "ND"]),
        (r"\bR\b", r"\bI\b"),
    ),
    several(
        "components-ge",
        "Magnitude, phase, real and imaginary part by GE's private (0043,102F).",
        [private(0x0043, "GEMS_PARM_01", 0x2F, "SS", component) for component in range(4)],
        ("magnitude", "phase", "real", "imaginary"),
        Manufacturer="GE MEDICAL SYSTEMS",
    ),
    several(
        "dixon",
        "Water, fat, in phase and opposed phase by Image Type.",
        by("ImageType", *(["DERIVED", "PRIMARY", "DIXON", word] for word in ("W", "F", "IP", "OP"))),
        (r"\bW\b", r"\bF\b", r"\bIP\b", r"\bOP\b"),
    ),
    several(
        "echoes-and-components",
        "Magnitude and phase of two echoes.",
        [{"EchoTime": time, "ImageType": ["ORIGINAL", "PRIMARY", word]} for time in ("4.6", "9.2") for word in "MP"],
        (r"\bM\b.*4\.6|4\.6.*\bM\b", r"\bP\b.*4\.6|4\.6.*\bP\b", r"9\.2", r"9\.2"),
    ),
    several(
        "kernels",
        "CT by a soft and by a sharp kernel.",
        by("ConvolutionKernel", "B30f", "B70f"),
        ("B30f", "B70f"),
        base=CT,
    ),
    several("tube-voltages", "CT at two tube voltages.", by("KVP", "80", "140"), (r"\b80\b", r"\b140\b"), base=CT),
)
TIMES = (
    several(
        "cardiac-phases",
        "Three phases of the heart by Trigger Time.",
        by("TriggerTime", "0", "300", "600"),
        (r"\b0\b", "300", "600"),
    ),
    several(
        "cardiac-phases-jitter",
        "Phases of the heart whose Trigger Times differ a little from slice to slice.",
        [setting(TriggerTime=lambda number, phase=phase: str(phase * (300 + 4 * number))) for phase in range(3)],
    ),
    several(
        "time-points",
        "Three time points by Temporal Position Identifier.",
        by("TemporalPositionIdentifier", 1, 2, 3),
        (r"\b1\b", r"\b2\b", r"\b3\b"),
    ),
    several(
        "time-points-by-acquisition-time",
        "Three time points by Acquisition Time alone.",
        by("AcquisitionTime", "101500.00", "101512.50", "101525.00"),
    ),
    several(
        "time-points-by-time-of-slices",
        "Three time points; every slice has an Acquisition Time of its own.",
        [setting(AcquisitionTime=lambda number, at=at: f"1015{10 * at + number:02d}.5") for at in range(3)],
    ),
    several(
        "time-points-over-the-hour",
        "The same, and the hour turns meanwhile.",
        [
            setting(
                AcquisitionTime=lambda number, at=at: f"{105958 + 4041 * ((at * 6 + number) > 1) + at * 6 + number}"
            )
            for at in range(3)
        ],
    ),
    several(
        "time-points-by-acquisition-number",
        "Three time points by Acquisition Number alone.",
        by("AcquisitionNumber", 1, 2, 3),
        (r"\b1\b", r"\b2\b", r"\b3\b"),
    ),
    several(
        "time-points-by-content-time",
        "Three time points by Content Time alone.",
        by("ContentTime", "101500", "101530", "101600"),
    ),
    several(
        "contrast-by-acquisition-number",
        "Before and after contrast agent, told by Acquisition Number.",
        [{"AcquisitionNumber": 1}, {"AcquisitionNumber": 2, "ContrastBolusAgent": "Gd"}],
    ),
    several(
        "contrast-by-agent",
        "Before and after contrast agent, told by Contrast/Bolus Agent alone.",
        [{}, {"ContrastBolusAgent": "Gd"}],
        ("", "contrast|agent"),
    ),
    several(
        "pet-frames",
        "PET frames by Frame Reference Time.",
        [{"FrameReferenceTime": str(at), "AcquisitionTime": f"1015{at // 1000:02d}"} for at in (5000, 15000, 30000)],
        SOPClassUID="1.2.840.10008.5.1.4.1.1.128",
        Modality="PT",
        RescaleSlope="1",
        RescaleIntercept="0",
    ),
)


def two_echoes(name: str, about: str, heights: Sequence[float]) -> Case:
    """Return the case of two echoes by Echo Time, the second at other places than the first."""
    grid = PHANTOM.slices(heights[0], heights[0] + len(heights))
    writers = together(
        partial(write_volume, EchoTime="4.6"),
        partial(write_slices, grid=PHANTOM, heights=heights, volume=1, EchoTime="9.2"),
    )
    others = ONE_STACK
    return Case(name, about, writers, Exact(volumes=2, traits=("4.6", "9.2"), grids=(PHANTOM, grid)), None, others)


UNFINISHED = (
    two_echoes(
        "echoes-between-slices",
        "The second echo lies half-way between the slices of the first: no position is there twice.",
        [number + 0.5 for number in range(6)],
    ),
    two_echoes("echoes-adjoining", "The second echo continues where the first ends.", range(6, 12)),
    Case("last-time-point-cut", "Of the last time point only the first three slices were recorded.",
         together(*(partial(write_volume, volume=at, TemporalPositionIdentifier=at + 1) for at in range(2)),
                  partial(write_slices, grid=PHANTOM, heights=(0, 1, 2), volume=2, TemporalPositionIdentifier=3)),
         Exact(volumes=3, grids=(PHANTOM, PHANTOM, PHANTOM.slices(0, 3))),
         others=ONE_STACK | {"dcm2niix": "divides the 15 slices into three volumes of five, which mix time points."}),
    Case("slice-of-one-echo-missing", "One of two echoes lacks an inner slice: the other one is whole.",
         together(partial(write_volume, EchoTime="4.6"),
                  partial(write_slices, grid=PHANTOM, heights=(0, 1, 3, 4, 5), volume=1, EchoTime="9.2")),
         Exact(refused=(Reason.MISSING_SLICE,)),
         others=ONE_STACK | {"dcm2niix": "writes the other echo too, as it is and resampled to an even grid."}),
)  # fmt: skip
CASES = (*CONTRASTS, *TIMES, *UNFINISHED)
