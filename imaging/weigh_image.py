"""Is an image what an application wants? Evidence from what the scanner did first, from its name last."""

from __future__ import annotations

from pydicom.dataset import Dataset

from imaging.classify_image import UNDECIDED, classify_image
from imaging.described import described_weighting
from imaging.diffusion import DiffusionRole
from imaging.evidence import Evidence
from imaging.image_kind import ImageKind, Weighting

LOW_B_VALUE = 400.0
"""s/mm2. Below it perfusion weighs in and the image is no high-b image."""
ENOUGH_B_VALUE = 1400.0
"""s/mm2. More than this adds noise rather than contrast of tumour."""
HINT = 0.5
"""What a name is worth, for or against."""


def weigh(header: Dataset, wanted: Weighting) -> list[Evidence]:
    """Return the evidence that an MR header is that of an image of the wanted weighting.

    Physics and Image Type decide; the description adds half a point and never decides; missing attributes are no
    evidence. An image of another weighting is ruled out by a decisive fact, or weighed down where facts leave doubt.
    """
    kind = classify_image(header)
    evidence = [Evidence("original image", 0.5)] if kind.derived is False else []
    evidence.append(_weighting(kind, wanted))
    if wanted is Weighting.DWI and kind.weighting is Weighting.DWI:
        evidence += _diffusion(kind)
    return [*evidence, *_description(header, wanted)]


def _weighting(kind: ImageKind, wanted: Weighting) -> Evidence:
    reason = kind.evidence[0]
    if kind.described_only or kind.confidence == 0:
        return Evidence(reason)
    if kind.weighting is wanted:
        return Evidence(reason, _points(kind.confidence))
    if kind.weighting is Weighting.WATER and kind.timing is wanted:
        return Evidence(f"{reason}; its times make it {wanted.value}", 1.0)
    if kind.confidence > UNDECIDED and kind.weighting is not Weighting.UNKNOWN:
        return Evidence(reason, decisive=True)
    return Evidence(reason, -1.0)


def _points(confidence: float) -> float:
    """Return 3 for what is certain, 2 for 0.75, 0.5 at least."""
    return round(max(0.5, 5 * min(confidence, 0.95) - 1.75), 2)


def _diffusion(kind: ImageKind) -> list[Evidence]:
    """A high b-value shows tumour against bladder and bowel; a measured one has no error of extrapolation."""
    if kind.b_value is None:
        return [Evidence("its b-value is not stated", -0.5)]
    if kind.b_value < LOW_B_VALUE:
        return [Evidence(f"b = {kind.b_value:g} s/mm2 is low", -2.0)]
    facts = [Evidence(f"b = {kind.b_value:g} s/mm2", round(min(kind.b_value, ENOUGH_B_VALUE) / 1000, 2))]
    if kind.diffusion is DiffusionRole.CALCULATED:
        facts.append(Evidence("calculated for this b-value, not measured", -1.0))
    if kind.diffusion is DiffusionRole.TRACE:
        facts.append(Evidence("trace over directions", 0.25))
    if kind.diffusion is DiffusionRole.DIRECTIONAL:
        facts.append(Evidence("one gradient direction of several", -0.25))
    return facts


def _description(header: Dataset, wanted: Weighting) -> list[Evidence]:
    named = described_weighting(header)
    if named is None:
        return []
    if named is wanted:
        return [Evidence(f"its description names a {wanted.value} sequence", HINT, hint=True)]
    return [Evidence("its description names another contrast", -HINT, hint=True)]
