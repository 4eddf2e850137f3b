"""The sequences of a pelvic MR study that go together: T2w, diffusion with a high b-value, ADC.

Only headers are read. The T2w series comes first; what goes with it lies in its frame of reference and covers enough
of its field of view. Without an ADC map, two b-values on one grid will do: the map can be fitted to them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from imaging.described import described_b_value
from imaging.diffusion import DiffusionRole, b_value, diffusion_role
from imaging.image_kind import Plane, Weighting
from imaging.outcome import NothingEligibleError, RefusedError
from imaging.pair_series import (
    Companion,
    companion_of,
    overlap_of,
    same_grid,
    same_place,
    same_study,
    taking,
    why_no_companion,
)
from imaging.select_series import Selection, SeriesRule, Verdict, choose, field_mm, judge_rules, verdict_facts
from imaging.study import Stack, Study
from imaging.weigh_image import weigh

MIN_B_VALUE = 500.0
"""s/mm2. Below it bladder and vessels are as bright as a tumour."""
SAME_B_VALUE = 50.0
"""s/mm2. Closer b-values are one: some makers add what the imaging gradients contribute."""
MIN_B_SPREAD = 200.0
"""s/mm2 between the lowest and the highest b-value a map is fitted to: less leaves the slope to noise."""
MIN_PELVIC_OVERLAP = 0.2
"""Least part of the T2w field of view that a companion covers: one zoomed along one axis covers a quarter."""
LARGE_SIDE_MM = 300.0
"""A longer side of the field of view is said: pelvic T2w series for staging have 160 to 260 mm."""
CALCULATED_NAMES = re.compile(r"(?<![A-Z])(C?CALC|SYNTH|SYN(?=[ _]?B?\d|\b)|COMPUTED|CDWI|CALCULATED)", re.IGNORECASE)
BEST_ROLE = (DiffusionRole.TRACE, DiffusionRole.WEIGHTED, DiffusionRole.DIRECTIONAL)
"""A trace is free of anisotropy; an image of which the direction is not stated often is one."""
PELVIC_PARTS = ("PELVI", "CERVIX", "UTERUS", "PROSTATE", "BLADDER", "RECTUM", "ABDOMEN")
OTHER_PARTS = (
    "HEAD", "BRAIN", "SKULL", "NECK", "SPINE", "BREAST", "CHEST", "THORAX", "HEART", "SHOULDER", "ELBOW", "WRIST",
    "HAND", "KNEE", "ANKLE", "FOOT",
)  # fmt: skip


@dataclass(frozen=True)
class PelvicRules:
    """What an application needs of each sequence."""

    t2w: SeriesRule
    dwi: SeriesRule
    adc: SeriesRule


PELVIS = PelvicRules(
    t2w=SeriesRule(
        title="pelvic axial T2w MR",
        modality="MR",
        weighting=Weighting.T2W,
        plane=Plane.AXIAL,
        min_slices=8,
        min_extent_mm=30.0,
        max_spacing_mm=8.0,
        body_parts=PELVIC_PARTS,
        other_body_parts=OTHER_PARTS,
        small_field=True,
        fat_suppressed=False,
    ),
    dwi=SeriesRule(
        title="pelvic diffusion-weighted MR",
        modality="MR",
        weighting=Weighting.DWI,
        min_slices=4,
        max_spacing_mm=10.0,
        body_parts=PELVIC_PARTS,
        other_body_parts=OTHER_PARTS,
        min_b_value=MIN_B_VALUE,
    ),
    adc=SeriesRule(
        title="pelvic ADC map",
        modality="MR",
        weighting=Weighting.ADC,
        min_slices=4,
        max_spacing_mm=10.0,
        body_parts=PELVIC_PARTS,
        other_body_parts=OTHER_PARTS,
    ),
)


@dataclass(frozen=True)
class PelvicSequences:
    """The sequences of one study, not read yet."""

    t2w: Selection
    dwi: Companion | None
    b_value: float | None  # s/mm2, of the diffusion-weighted sequence
    calculated: bool  # the diffusion-weighted images were calculated for this b-value, not measured
    adc: Companion | None
    fit_from: tuple[Stack, ...]  # one for each b-value, ascending; empty unless the ADC must be fitted
    flags: tuple[str, ...]  # what is not as it should be, as sentences

    @property
    def missing(self) -> int:
        """How many of diffusion and ADC there are not."""
        return (self.dwi is None) + (self.adc is None and not self.fit_from)


@dataclass(frozen=True)
class PelvicVerdicts:
    """The verdict on every stack of a study under each of the three rules, best first."""

    rules: PelvicRules
    t2w: tuple[Verdict, ...]
    dwi: tuple[Verdict, ...]  # measured before calculated, then the higher b-value, then the trace
    adc: tuple[Verdict, ...]


def resolve_pelvis(
    study: Study,
    rules: PelvicRules = PELVIS,
    *,
    allow_missing: bool = False,
    other_frame: bool = False,
    min_overlap: float = MIN_PELVIC_OVERLAP,
) -> PelvicSequences:
    """Return the best T2w series with the diffusion and the ADC that go with it.

    allow_missing  take the T2w series without diffusion or ADC when there is none
    other_frame    accept a companion in another frame of reference: it will be registered
    min_overlap    least part of the T2w field of view that a companion covers

    Raises NothingEligibleError with what is missing.
    """
    verdicts = judge_pelvis(study, rules)
    return pair_pelvis(verdicts, allow_missing=allow_missing, other_frame=other_frame, min_overlap=min_overlap)


def judge_pelvis(study: Study, rules: PelvicRules = PELVIS) -> PelvicVerdicts:
    """Return the verdict of each rule on every stack."""
    t2w, dwi, adc = judge_rules(study, (rules.t2w, rules.dwi, rules.adc))
    return PelvicVerdicts(rules, t2w, tuple(sorted(dwi, key=_rank)), adc)


def pair_pelvis(
    verdicts: PelvicVerdicts,
    *,
    allow_missing: bool = False,
    other_frame: bool = False,
    min_overlap: float = MIN_PELVIC_OVERLAP,
) -> PelvicSequences:
    """Return the sequences that go together, of stacks that are judged: see resolve_pelvis."""
    choose(verdicts.t2w, verdicts.rules.t2w)  # refuses when there is none
    found: list[PelvicSequences] = []
    for candidate in verdicts.t2w:
        if candidate.eligible:
            found.append(_around(candidate, verdicts, other_frame=other_frame, min_overlap=min_overlap))
            if not found[-1].missing:
                return found[-1]
    best = min(found, key=lambda sequences: sequences.missing)  # the first of equal ones
    if not allow_missing:
        raise NothingEligibleError(_why_not(best, verdicts, min_overlap, other_frame=other_frame))
    return best


def b_value_of(stack: Stack) -> float | None:
    """Return the b-value in s/mm2 of a diffusion-weighted stack; where no attribute states it, its description may."""
    found = b_value(stack.header)
    return described_b_value(stack.header) if found is None else found


def verdict_rows(verdicts: PelvicVerdicts, found: PelvicSequences | None) -> list[dict[str, Any]]:
    """Return the verdicts for the record, T2w first, then diffusion, then ADC; what was taken goes before the rest."""
    rules = verdicts.rules
    fit_from = found.fit_from if found else ()
    judged = (
        (rules.t2w, verdicts.t2w, found.t2w if found else None),
        (rules.dwi, verdicts.dwi, found.dwi.selection if found and found.dwi else None),
        (rules.adc, verdicts.adc, found.adc.selection if found and found.adc else None),
    )
    return [
        {
            "sequence": rule.title,
            "taken": selection is not None and verdict.stack is selection.stack,
            "fitted_from": rule is rules.dwi and any(verdict.stack is stack for stack in fit_from),
            **verdict_facts(verdict),
        }
        for rule, of_rule, selection in judged
        for verdict in (selection.verdicts if selection else of_rule)
    ]


# -- diffusion -------------------------------------------------------------------------------------------------------


def _rank(verdict: Verdict) -> tuple[bool, bool, float, int]:
    """Sort eligible stacks: measured, high, trace; sorting keeps the order by score among equal ones."""
    if not verdict.eligible:
        return (True, False, 0.0, 0)
    b = b_value_of(verdict.stack) or 0.0
    return (False, _calculated(verdict.stack), -round(b / SAME_B_VALUE), _role(verdict.stack))


def _calculated(stack: Stack) -> bool:
    """Return whether images were calculated for their b-value; a name is enough, as what is measured goes first."""
    named = str(stack.header.get("SeriesDescription") or "")
    return diffusion_role(stack.header) is DiffusionRole.CALCULATED or bool(CALCULATED_NAMES.search(named))


def _role(stack: Stack) -> int:
    role = diffusion_role(stack.header)
    return BEST_ROLE.index(role) if role in BEST_ROLE else len(BEST_ROLE)


def _on_one_grid(t2w: Stack, verdicts: PelvicVerdicts, min_overlap: float, *, other_frame: bool) -> tuple[Stack, ...]:
    """Return measured stacks of different b-values on one grid, ascending: those of the widest range."""
    measured = [verdict.stack for verdict in verdicts.dwi if _fit_to_measure(verdict.stack)]
    here = [stack for stack in measured if same_place(t2w, stack) and overlap_of(t2w, stack) >= min_overlap]
    if other_frame and not here:
        here = [stack for stack in measured if same_study(t2w, stack)]
    groups = [_by_b_value([stack for stack in here if same_grid(first, stack)]) for first in here]
    return max(groups, key=_spread, default=()) if any(_spread(group) >= MIN_B_SPREAD for group in groups) else ()


def _fit_to_measure(stack: Stack) -> bool:
    """Return whether a stack is a volume of measured diffusion-weighted images, or of their b = 0."""
    roles = (*BEST_ROLE, DiffusionRole.UNWEIGHTED)
    if len(stack.frames) < 2 or diffusion_role(stack.header) not in roles or _calculated(stack):
        return False
    if b_value(stack.header) is None or any(fact.decisive for fact in weigh(stack.header, Weighting.DWI)):
        return False
    try:
        return all(frame.plane is not None for frame in stack.frames)
    except RefusedError:
        return False


def _by_b_value(stacks: Sequence[Stack]) -> tuple[Stack, ...]:
    """Return one stack for each b-value, ascending: the trace where there is one."""
    best: dict[float, Stack] = {}
    for stack in sorted(stacks, key=_role):
        best.setdefault(b_value(stack.header) or 0.0, stack)
    return tuple(stack for _, stack in sorted(best.items()))


def _spread(stacks: Sequence[Stack]) -> float:
    values = [b_value(stack.header) or 0.0 for stack in stacks]
    return max(values) - min(values) if values else 0.0


# -- what goes together ----------------------------------------------------------------------------------------------


def _around(candidate: Verdict, verdicts: PelvicVerdicts, *, min_overlap: float, other_frame: bool) -> PelvicSequences:
    """Return what goes with one T2w stack."""
    t2w = candidate.stack
    dwi = companion_of(t2w, verdicts.dwi, min_overlap=min_overlap, other_frame=other_frame)
    maps = verdicts.adc if dwi is None else _grid_first(dwi.selection.stack, verdicts.adc)
    adc = companion_of(t2w, maps, min_overlap=min_overlap, other_frame=other_frame)
    fit_from = () if adc else _on_one_grid(t2w, verdicts, min_overlap, other_frame=other_frame)
    found = PelvicSequences(
        t2w=taking(candidate, verdicts.t2w),
        dwi=dwi,
        b_value=b_value_of(dwi.selection.stack) if dwi else None,
        calculated=bool(dwi and _calculated(dwi.selection.stack)),
        adc=adc,
        fit_from=fit_from,
        flags=(),
    )
    return replace(found, flags=(*_t2w_flags(t2w), *_dwi_flags(found), *_adc_flags(found), *_frame_flags(found)))


def _grid_first(dwi: Stack, verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Put maps on the grid of the diffusion-weighted images first: they were made from them."""
    return tuple(sorted(verdicts, key=lambda verdict: not (verdict.eligible and same_grid(dwi, verdict.stack))))


def _t2w_flags(t2w: Stack) -> list[str]:
    side_mm = field_mm(t2w.frames[0].plane)
    if side_mm < LARGE_SIDE_MM:
        return []
    return [f"the T2w series has a large field of view ({side_mm:.0f} mm): no smaller one goes with the others"]


def _dwi_flags(found: PelvicSequences) -> list[str]:
    if found.dwi is None:
        return ["no diffusion-weighted images: the result rests on the other sequences"]
    flags = []
    stack = found.dwi.selection.stack
    if found.calculated:
        flags.append(f"the images of b = {found.b_value:g} s/mm2 are calculated, not measured: no others are there")
    if b_value(stack.header) is None:
        flags.append(f"the b-value of {found.b_value:g} s/mm2 is known from the series description alone")
    if diffusion_role(stack.header) is DiffusionRole.DIRECTIONAL:
        flags.append("the diffusion-weighted images are of one gradient direction: there is no trace")
    return flags


def _adc_flags(found: PelvicSequences) -> list[str]:
    if found.adc is not None:
        return []
    if not found.fit_from:
        return ["no ADC map, and no two b-values on one grid to fit it to: the result rests on the other sequences"]
    values = ", ".join(f"{b_value(stack.header):g}" for stack in found.fit_from)
    flags = [f"no ADC map in the study: it was fitted to b = {values} s/mm2 (one exponential)"]
    if any(diffusion_role(stack.header) is DiffusionRole.DIRECTIONAL for stack in found.fit_from):
        flags.append("the ADC was fitted to images of single gradient directions: it is no mean over directions")
    return flags


def _frame_flags(found: PelvicSequences) -> list[str]:
    stacks = [companion.selection.stack for companion in (found.dwi, found.adc) if companion]
    moved = [stack for stack in (*stacks, *found.fit_from[:1]) if not same_place(found.t2w.stack, stack)]
    return [f"{stack} lies in another frame of reference than the T2w series" for stack in moved]


def _why_not(found: PelvicSequences, verdicts: PelvicVerdicts, min_overlap: float, *, other_frame: bool) -> str:
    rules, t2w = verdicts.rules, found.t2w.stack
    missing, elsewhere = [], False
    if found.dwi is None:
        why = why_no_companion(t2w, verdicts.dwi, min_overlap)
        missing.append(f"{rules.dwi.title} with b of {rules.dwi.min_b_value:g} s/mm2 or more: {why}")
    if found.adc is None and not found.fit_from:
        why = why_no_companion(t2w, verdicts.adc, min_overlap)
        missing.append(f"{rules.adc.title}, or two b-values on one grid: {why}")
    elsewhere = not other_frame and any("another frame of reference" in why for why in missing)
    remedies = ["Send the whole study"]
    remedies += ["register what lies in another frame of reference with --register"] if elsewhere else []
    remedies += ["run without it with --allow-missing", "see every verdict with: monai-deploy explain APP -i STUDY"]
    return (
        f"With {t2w} as {rules.t2w.title}, these are needed as well, in its frame of reference and field of view:\n  "
        + "\n  ".join(missing)
        + "\n"
        + ", or ".join(remedies)
    )
