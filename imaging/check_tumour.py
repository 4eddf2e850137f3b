"""What is suspicious of a cervical tumour: the edge of an image, sizes and diffusion that no such tumour has."""

from __future__ import annotations

from imaging.measure_tumour import TumourMeasurement
from imaging.plausibility import Check, Flag

BORDER = Check(code="tumour-at-border", brief="cut by the field of view?", basis="it may go on outside the image")
UNSEEN = Check(
    code="tumour-beyond-sequence",
    brief="cut by the field of view of DWI or ADC",
    basis="what is not shown is not measured",
)
ONE_SLICE = Check(
    code="tumour-one-slice",
    brief="on one slice only",
    basis="its extent across the slices is unknown",
    low=2,
    unit="slices",
)
VOLUME = Check(
    code="tumour-volume",
    brief="unusual volume",
    basis="balls of 7 and of 100 mm: up to 7 mm wide is microinvasive (FIGO 2009, stage IA), seen under the microscope "
    "alone; 100 mm fill the pelvis",
    low=0.18,
    high=524.0,
    unit="mL",
)
DIFFUSION = Check(
    code="tumour-adc",
    brief="ADC no such tumour has",
    basis="mean less 2 standard deviations of 117 tumours, 658 and 120, to mean plus 1 of 49 healthy cervices, 1169 "
    "and 134 (Atstupenaite et al., J Vibroengineering 2013;15:675-683)",
    low=418.0,
    high=1303.0,
    unit="1e-6 mm2/s",
)
CHECKS = (BORDER, UNSEEN, ONE_SLICE, VOLUME, DIFFUSION)


def check_tumour(measured: TumourMeasurement) -> tuple[Flag, ...]:
    """Return what is suspicious of a tumour, as phrases that follow its name and a colon."""
    found = []
    if measured.at_border:
        found.append(BORDER.flag("touches the edge of the T2w image: it may be larger than measured"))
    for name, share in measured.unseen.items():
        part = f"{100 * share:.0f} % of it lie outside" if share >= 0.005 else "its rim lies outside"
        found.append(UNSEEN.flag(f"reaches the edge of what the {name} series shows, {part}", share))
    if ONE_SLICE.broken_by(measured.slices):
        found.append(ONE_SLICE.flag("seen on one slice only: its volume is hardly known", measured.slices))
    if VOLUME.broken_by(measured.volume_ml):
        text = f"unusual volume of {measured.volume_ml:.2f} mL, expected {VOLUME.low:g} to {VOLUME.high:g} mL"
        found.append(VOLUME.flag(text, measured.volume_ml))
    return (*found, *_diffusion(measured.mean_adc))


def _diffusion(mean_adc: float | None) -> list[Flag]:
    if mean_adc is None or not DIFFUSION.broken_by(mean_adc):
        return []
    expected = f"expected {DIFFUSION.low:.0f} to {DIFFUSION.high:.0f} {DIFFUSION.unit}"
    doubt = (
        "no tumour, or another unit of the map"
        if mean_adc > DIFFUSION.high
        else "another unit of the map, or no signal"
    )
    return [DIFFUSION.flag(f"mean ADC of {mean_adc:.0f}, {expected}: {doubt}", mean_adc)]
