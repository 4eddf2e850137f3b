"""What kind of image is this? Physics first, then what the maker writes, the description last and never alone.

The evidence never quotes free text of the header: descriptions, comments and agents may name a person.
"""

from __future__ import annotations

import re
from dataclasses import replace

from pydicom.dataset import Dataset

from imaging.classify_ct import classify_ct, kernel_of
from imaging.classify_mr import classify_mr, declared_contrast, weigh_timing
from imaging.described import described_weighting
from imaging.diffusion import DiffusionRole
from imaging.image_attributes import acquisition_of, contrast_enhanced, fat_suppressed, plane_of
from imaging.image_kind import Finding, ImageKind, Weighting
from imaging.mr_facts import MrFacts, derived, mr_facts
from imaging.read_values import words

DESCRIPTION_ALONE = 0.4
"""Confidence of a weighting that only a description tells."""
UNDECIDED = 0.5
"""Up to this confidence the description may decide between readings of the same facts."""
MAX_CONFIDENCE = 0.98
IMAGES_OF_DIFFUSION = frozenset((Weighting.DWI, Weighting.ADC, Weighting.MAP))


def classify_image(header: Dataset) -> ImageKind:
    """Return what a header says of its image; it never raises, and a missing attribute is no refusal.

    A header without Modality is read as one of MR.

    >>> header = Dataset()
    >>> header.ScanningSequence, header.RepetitionTime, header.EchoTime = "SE", 5000, 95
    >>> classify_image(header).weighting.value
    'T2w'
    """
    modality = next(iter(words(header, "Modality")), "")
    if modality == "CT":
        kernel = kernel_of(header)
        kind = replace(_kind(header, classify_ct(header)), kernel=kernel)
        return _with_evidence(kind, f"{kernel.value} kernel") if kind.weighting is Weighting.CT else kind
    if modality in {"MR", ""}:
        return _mr_kind(header)
    return _kind(header, Finding(Weighting.UNKNOWN, 0.0, "neither MR nor CT"))


def _kind(header: Dataset, found: Finding) -> ImageKind:
    """Return what headers of every modality say."""
    modality = next(iter(words(header, "Modality")), "")
    contrast, plane = contrast_enhanced(header), plane_of(header)
    kind = ImageKind(
        modality=modality if re.fullmatch(r"[A-Z]{2,6}", modality) else "",
        weighting=found.weighting,
        confidence=round(found.confidence, 3),
        timing=Weighting.UNKNOWN,
        described_only=False,
        contrast_enhanced=contrast.value,
        acquisition=acquisition_of(header),
        plane=plane[0] if plane else None,
        tilt_deg=plane[1] if plane else None,
        derived=derived(header),
        evidence=(found.reason,),
    )
    return _with_evidence(kind, f"{plane[0].value}, tilted by {plane[1]:.0f} degrees" if plane else "", contrast.reason)


def _mr_kind(header: Dataset) -> ImageKind:
    facts = mr_facts(header)
    by_facts, contrast = _with_declared(facts, classify_mr(facts))
    found, description = _with_description(header, by_facts)
    fat, timing = fat_suppressed(facts, found.weighting), weigh_timing(facts)
    role = _role(facts, found.weighting)
    kind = replace(
        _kind(header, found),
        timing=timing.weighting if timing else Weighting.UNKNOWN,
        described_only=found.confidence < UNDECIDED and found.weighting is not by_facts.weighting,
        b_value=facts.b_value if found.weighting is Weighting.DWI else None,
        diffusion=role,
        fat_suppressed=fat.value,
    )
    return _with_evidence(kind, contrast, description, f"diffusion: {role.value}" if role else "", fat.reason)


def _role(facts: MrFacts, weighting: Weighting) -> DiffusionRole | None:
    if weighting is Weighting.DWI and facts.role is None and facts.b_value == 0:
        return DiffusionRole.UNWEIGHTED
    return facts.role if weighting in IMAGES_OF_DIFFUSION else None


def _with_declared(facts: MrFacts, found: Finding) -> tuple[Finding, str]:
    """Compare with Acquisition Contrast: agreement confirms, disagreement makes unsure, physics stays."""
    declared = declared_contrast(facts)
    if declared is None or found.confidence == 0 or found.weighting is Weighting.UNKNOWN:
        return found, ""
    if declared is found.weighting:
        return _confirmed(found), "Acquisition Contrast agrees"
    if found.weighting in {Weighting.MAP, Weighting.ADC, Weighting.PHASE, Weighting.WATER, Weighting.FAT}:
        return found, ""  # it names the contrast of what the map was made from
    return replace(found, confidence=min(found.confidence, 0.6)), f"Acquisition Contrast says {declared.value}"


def _with_description(header: Dataset, found: Finding) -> tuple[Finding, str]:
    """Let the description confirm, break a tie, or, where no attribute tells, say what it names."""
    named = described_weighting(header)
    if named is None:
        return found, ""
    if found.confidence == 0:
        return Finding(named, DESCRIPTION_ALONE, found.reason), "only the description names a weighting"
    if named is found.weighting:
        return _confirmed(found), "the description agrees"
    if found.confidence <= UNDECIDED:
        return Finding(named, DESCRIPTION_ALONE, found.reason), "the description alone decides between readings"
    return found, "the description names another contrast"


def _confirmed(found: Finding) -> Finding:
    return replace(found, confidence=min(MAX_CONFIDENCE, found.confidence + 0.05))


def _with_evidence(kind: ImageKind, *facts: str) -> ImageKind:
    return replace(kind, evidence=(*kind.evidence, *(fact for fact in facts if fact)))
