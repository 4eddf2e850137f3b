"""Choose the series an application works on, and say why each other one was not taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from imaging.classify_ct import kernel_of
from imaging.described import described_b_value
from imaging.diffusion import b_value
from imaging.evidence import Evidence
from imaging.image_attributes import fat_suppressed, plane_of
from imaging.image_kind import Kernel, Plane, Weighting
from imaging.mr_facts import mr_facts
from imaging.outcome import NothingEligibleError, RefusedError
from imaging.slice_plane import SlicePlane
from imaging.split_series import split_series
from imaging.study import Series, Stack, Study
from imaging.weigh_image import weigh

KERNEL = 0.1
"""What the wanted kernel is worth; slices of 1.25 instead of 2.5 mm are worth 0.16."""
FAT = 0.3
"""What it is worth that fat gives signal, or none, as wanted."""
SMALL_FIELD_MM, LARGE_FIELD_MM = 200.0, 400.0
"""A field of view of the first size is worth a point more than one of the second."""
SAME_HEIGHT_MM = 20.0
"""Middles of stacks that are nearer to each other along the patient count as equally low."""


@dataclass(frozen=True, kw_only=True)
class SeriesRule:
    """What an application needs of a series. A fact that is absent from the header never refuses a series."""

    title: str  # as a user would say it: "T1w head MR"
    modality: str
    weighting: Weighting | None = None
    plane: Plane | None = None  # the nearest anatomical one
    kernel: Kernel | None = None  # of CT: preferred where slices are equally thin
    min_slices: int = 2
    min_extent_mm: float = 0.0  # along each of the three axes
    max_spacing_mm: float = float("inf")  # along each of the three axes
    body_parts: tuple[str, ...] = ()  # words expected in Body Part Examined
    other_body_parts: tuple[str, ...] = ()  # words that rule a series out
    small_field: bool = False  # a small field of view and fine pixels are preferred
    fat_suppressed: bool | None = None  # of MR: preferred, where the header says it
    min_b_value: float = 0.0  # s/mm2; of diffusion, where it is then the one fact that must be known
    lowest_first: bool = False  # of equally good stacks the most caudal one is taken, not the first by number


@dataclass(frozen=True)
class Verdict:
    """What the rule says of one stack."""

    stack: Stack
    eligible: bool
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """The stack taken, and the verdict on every stack of the study, best first."""

    stack: Stack
    verdicts: tuple[Verdict, ...]
    tie: bool  # another series was equally good; the choice is deterministic

    def summary(self) -> str:
        """Return one sentence on the choice."""
        taken = self.verdicts[0]
        said = f"{taken.stack}: {'; '.join(taken.reasons)}"
        return f"{said}. An equally good series was passed over (explain shows it)" if self.tie else said


def select_series(study: Study, rule: SeriesRule) -> Selection:
    """Return the best series under a rule; NothingEligibleError names every series and its reason."""
    return choose(judge_study(study, rule), rule)


def choose(verdicts: tuple[Verdict, ...], rule: SeriesRule) -> Selection:
    """Return the first of the verdicts, which are sorted; NothingEligibleError when even that is none to take."""
    if not verdicts[0].eligible:
        listed = "\n".join(f"  {verdict.stack}: {verdict.reasons[-1]}" for verdict in verdicts)
        raise NothingEligibleError(
            f"No series is a {rule.title}. The study holds\n{listed}\n"
            "Send such a series, or see every verdict with: monai-deploy explain APP -i STUDY"
        )
    tie = len(verdicts) > 1 and verdicts[1].eligible and verdicts[1].score == verdicts[0].score
    return Selection(verdicts[0].stack, verdicts, tie)


def judge_study(study: Study, rule: SeriesRule) -> tuple[Verdict, ...]:
    """Return the verdict on every stack: eligible ones first, then by score, then by series number and UID.

    Where the rule wants the lowest first, of equal scores it goes before the number.
    """
    return judge_rules(study, (rule,))[0]


def judge_rules(study: Study, rules: Sequence[SeriesRule]) -> tuple[tuple[Verdict, ...], ...]:
    """Return for each rule the verdict on every stack, as judge_study does; each series is split once."""
    judged: list[list[Verdict]] = [[] for _ in rules]
    for series in study.series:
        for verdicts, found in zip(judged, _judge_series(series, rules), strict=True):
            verdicts += found
    return tuple(
        tuple(sorted(verdicts, key=partial(_rank, rule=rule))) for verdicts, rule in zip(judged, rules, strict=True)
    )


def _judge_series(series: Series, rules: Sequence[SeriesRule]) -> list[list[Verdict]]:
    stacks: tuple[Stack, ...] = ()
    problem = ""
    if any(rule.modality == series.modality for rule in rules):
        try:
            stacks = split_series(series)
        except RefusedError as error:
            problem = str(error)
    return [_judge_stacks(series, stacks, problem, rule) for rule in rules]


def _judge_stacks(series: Series, stacks: Sequence[Stack], problem: str, rule: SeriesRule) -> list[Verdict]:
    if series.modality != rule.modality:
        problem = f"modality is {series.modality or 'absent'}, not {rule.modality}"
    if problem:
        return [Verdict(Stack(series, ()), False, 0.0, (problem,))]
    return [judge_stack(stack, rule) for stack in stacks]


def judge_stack(stack: Stack, rule: SeriesRule) -> Verdict:
    """Return whether a rule takes a stack, its score and the reasons."""
    evidence = _coverage(stack, rule)
    if not any(fact.decisive for fact in evidence):
        evidence += _body_part(stack.header, rule) + _plane(stack.header, rule) + _kernel(stack.header, rule)
        evidence += weigh(stack.header, rule.weighting) if rule.weighting else []
        evidence += _fat(stack.header, rule)
    if not any(fact.decisive for fact in evidence):
        evidence += _b_value(stack.header, rule)
    decisive = [fact.reason for fact in evidence if fact.decisive]
    score = round(sum(fact.weight for fact in evidence), 3)
    if decisive:
        return Verdict(stack, False, score, tuple(decisive))
    reasons = tuple(fact.reason for fact in evidence)
    if sum(fact.weight for fact in evidence if not fact.hint) <= 0:
        return Verdict(stack, False, score, (*reasons, f"the evidence speaks against a {rule.title}"))
    return Verdict(stack, True, score, reasons)


def _rank(verdict: Verdict, rule: SeriesRule) -> tuple[bool, float, float, float, str]:
    number, uid = verdict.stack.series.number, verdict.stack.series.uid
    height_mm = 0.0
    if rule.lowest_first and verdict.eligible:
        height_mm = round(sum(head_foot_mm(verdict.stack)) / 2 / SAME_HEIGHT_MM) * SAME_HEIGHT_MM
    return (not verdict.eligible, -verdict.score, height_mm, float("inf") if number is None else number, uid)


def head_foot_mm(stack: Stack) -> tuple[float, float]:
    """Return the lowest and the highest position along the patient, in LPS mm, of the corners of the images."""
    heights = []
    for plane in (frame.plane for frame in stack.frames):
        across = plane.row_cosine[2] * plane.spacing_between_columns_mm * (plane.columns - 1)
        down = plane.column_cosine[2] * plane.spacing_between_rows_mm * (plane.rows - 1)
        heights += [plane.position_mm[2] + step for step in (0, across, down, across + down)]
    return min(heights), max(heights)


def _coverage(stack: Stack, rule: SeriesRule) -> list[Evidence]:
    """Number of slices, extent and spacing: from geometry, not from names."""
    count = len(stack.frames)
    if count < rule.min_slices:
        return [Evidence(f"{count} slices, at least {rule.min_slices} needed", decisive=True)]
    try:
        planes = [frame.plane for frame in stack.frames]
    except RefusedError as error:
        return [Evidence(str(error), decisive=True)]
    spacing_mm, extent_mm = _stack(planes)
    if min(extent_mm) < rule.min_extent_mm:
        return [Evidence(f"covers {min(extent_mm):.0f} mm, at least {rule.min_extent_mm:.0f} needed", decisive=True)]
    if max(spacing_mm) > rule.max_spacing_mm:
        return [
            Evidence(f"voxels of {max(spacing_mm):.1f} mm, at most {rule.max_spacing_mm:.1f} allowed", decisive=True)
        ]
    size = " x ".join(f"{step:.2f}" for step in spacing_mm)
    facts = [Evidence(f"{count} slices, voxels {size} mm", 1.0 + 1.0 / (1.0 + max(spacing_mm)))]
    return [*facts, _field(planes[0])] if rule.small_field else facts


def field_mm(plane: SlicePlane) -> float:
    """Return the longer side of the field of view of a slice."""
    return max(plane.rows * plane.spacing_between_rows_mm, plane.columns * plane.spacing_between_columns_mm)


def _field(plane: SlicePlane) -> Evidence:
    """Weigh the field of view, and the pixels that show what is in it: from 1 mm down each 0.1 mm adds a tenth."""
    side_mm = field_mm(plane)
    small = (LARGE_FIELD_MM - side_mm) / (LARGE_FIELD_MM - SMALL_FIELD_MM)
    fine = 1.0 - max(plane.spacing_between_rows_mm, plane.spacing_between_columns_mm)
    return Evidence(f"field of view of {side_mm:.0f} mm", round(float(np.clip(small, 0, 1) + max(0.0, fine)), 3))


def _stack(planes: list[SlicePlane]) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return spacing and extent in mm along slice, row and column; the gate comes later and is stricter."""
    first = planes[0]
    normal = np.cross(first.row_cosine, first.column_cosine)
    heights = np.unique(np.round([np.dot(plane.position_mm, normal) for plane in planes], 2))
    step = float(np.median(np.diff(heights))) if heights.size > 1 else 0.0
    spacing = (step, first.spacing_between_rows_mm, first.spacing_between_columns_mm)
    extent = (float(np.ptp(heights)) + step, first.rows * spacing[1], first.columns * spacing[2])
    return spacing, extent


def _plane(header: Dataset, rule: SeriesRule) -> list[Evidence]:
    found = plane_of(header)
    if rule.plane is None or found is None:
        return []
    plane, tilt_deg = found
    if plane is not rule.plane:
        return [Evidence(f"{plane.value}, not {rule.plane.value}", decisive=True)]
    return [Evidence(f"{plane.value}, tilted by {tilt_deg:.0f} degrees", 0.5)]


def _kernel(header: Dataset, rule: SeriesRule) -> list[Evidence]:
    """The wanted kernel adds less than slices of half the thickness do."""
    if rule.kernel is None:
        return []
    found = kernel_of(header)
    return [Evidence(f"{found.value} reconstruction kernel", KERNEL if found is rule.kernel else 0.0)]


def _fat(header: Dataset, rule: SeriesRule) -> list[Evidence]:
    if rule.fat_suppressed is None or rule.weighting is None:
        return []
    found = fat_suppressed(mr_facts(header), rule.weighting).value
    if found is None:
        return []
    return [Evidence(f"fat {'' if found else 'not '}suppressed", FAT if found is rule.fat_suppressed else 0.0)]


def _b_value(header: Dataset, rule: SeriesRule) -> list[Evidence]:
    """A diffusion-weighted image of an unknown b-value may be one of b = 0: it is no image with a high one."""
    if not rule.min_b_value:
        return []
    found = b_value(header)
    if found is None:
        found = described_b_value(header)
        said = "its description names a b-value" if found is not None else "its b-value is not stated"
        enough = found is not None and found >= rule.min_b_value
        return [Evidence(said, decisive=not enough)]
    if found < rule.min_b_value:
        return [Evidence(f"b = {found:g} s/mm2, at least {rule.min_b_value:g} needed", decisive=True)]
    return []


def _body_part(header: Dataset, rule: SeriesRule) -> list[Evidence]:
    part = str(header.get("BodyPartExamined") or "").upper()
    if any(word in part for word in rule.body_parts):
        return [Evidence(f"body part {part}", 0.5)]
    if any(word in part for word in rule.other_body_parts):
        return [Evidence(f"body part {part}", decisive=True)]
    return []


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict without anything that names a patient."""
    return {
        "series_number": verdict.stack.series.number,
        "modality": verdict.stack.series.modality,
        "instances": len(verdict.stack.series.instances),
        "slices": len(verdict.stack.frames),
        "traits": list(verdict.stack.traits),
        "eligible": verdict.eligible,
        "score": verdict.score,
        "reasons": list(verdict.reasons),
    }
