"""What is suspicious of a nodule: the edge of the image, sizes and densities that no nodule has."""

from __future__ import annotations

from imaging.measure_nodule import NoduleMeasurement
from imaging.plausibility import Check, Flag

BORDER = Check(code="nodule-at-border", brief="cut by the field of view?", basis="it may go on outside the image")
ELSEWHERE = Check(code="nodule-outside-lungs", brief="lies in neither lung", basis="a nodule of the lung lies in one")
ONE_SLICE = Check(
    code="nodule-one-slice",
    brief="on one slice only",
    basis="its extent across the slices is unknown",
    low=2,
    unit="slices",
)
DARK = Check(
    code="nodule-dark",
    brief="dark as lung",
    basis="mean of a nodule; those of ground glass are at -750 HU and above",
    low=-800.0,
    unit="HU",
)
DENSE = Check(
    code="nodule-dense",
    brief="calcified, or metal",
    basis="mean of a nodule; soft tissue stays below, with contrast medium too",
    high=200.0,
    unit="HU",
)
LONG = Check(
    code="nodule-long",
    brief="a mass",
    basis="what is larger is called a mass (Fleischner Society: Hansell et al., Radiology 2008;246:697-722)",
    high=30.0,
    unit="mm",
)
FITTING = Check(
    code="nodule-shape",
    brief="volume and diameter do not fit",
    basis="diameter of the ball of the same volume by the longest diameter: 1 for a ball, 0.5 for an ellipsoid three "
    "times as long as wide in its slice; above 1 for what stands up across the slices, as a vessel does",
    low=0.4,
    high=1.35,
    unit="ratio",
)
CHECKS = (BORDER, ELSEWHERE, DARK, ONE_SLICE, LONG, DENSE, FITTING)


def check_nodule(measured: NoduleMeasurement) -> tuple[Flag, ...]:
    """Return what is suspicious of a nodule, as phrases that follow its name and a colon."""
    slices, hu, longest, fit = (
        measured.slices, measured.mean_hu, measured.longest_mm, measured.effective_mm / measured.longest_mm,
    )  # fmt: skip
    found = (
        measured.at_border and BORDER.flag("touches the edge of the image: it may be larger than measured"),
        measured.outside_lungs
        and ELSEWHERE.flag(
            "lies in neither lung: no nodule of the lung, or the lung was not told from what is around it"
        ),
        DARK.broken_by(hu) and DARK.flag(f"mean below {DARK.low:.0f} HU: as dark as lung, there may be nothing", hu),
        ONE_SLICE.broken_by(slices) and ONE_SLICE.flag("seen on one slice only: its volume is hardly known", slices),
        LONG.broken_by(longest)
        and LONG.flag(f"longer than {LONG.high:.0f} mm: a mass, which the classifier was not trained on", longest),
        DENSE.broken_by(hu) and DENSE.flag(f"mean above {DENSE.high:.0f} HU: calcified, or metal", hu),
        slices > 1
        and FITTING.broken_by(fit)
        and FITTING.flag(
            "volume and diameter do not fit each other: the outline may hold a vessel or parts of another structure",
            fit,
        ),
    )
    return tuple(flag for flag in found if isinstance(flag, Flag))
