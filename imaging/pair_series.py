"""Series that belong together: T2w with diffusion and ADC, T1w with FLAIR.

They must share a frame of reference, or their millimetres mean different things (PS3.3 C.7.4.1), and a field of view.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imaging.outcome import NothingEligibleError
from imaging.select_series import Selection, SeriesRule, Verdict, judge_study, select_series
from imaging.study import Stack, Study

MIN_OVERLAP = 0.3
"""Least part of the first series' field of view that another one has to cover."""
SAME_MM = 0.05
"""Positions and voxel edges that differ by less are the same."""
SAMPLES = 12
"""Points along each axis of a field of view at which the overlap is measured."""


@dataclass(frozen=True)
class Companion:
    """A series that goes with the first one."""

    selection: Selection
    overlap: float  # part of the first series' field of view that it covers, 0 to 1


@dataclass(frozen=True)
class Pairing:
    """A set of series of one study that belong together, as asked for."""

    first: Selection
    companions: tuple[Companion, ...]  # in the order of the rules


def pair_series(
    study: Study, first: SeriesRule, others: Sequence[SeriesRule], *, min_overlap: float = MIN_OVERLAP
) -> Pairing:
    """Return the best series under the first rule for which each other rule finds one in the same place.

    Raises NothingEligibleError with what is missing.
    """
    selection = select_series(study, first)
    judged = [judge_study(study, rule) for rule in others]
    candidates = [verdict for verdict in selection.verdicts if verdict.eligible]
    for candidate in candidates:
        found = [companion_of(candidate.stack, verdicts, min_overlap=min_overlap) for verdicts in judged]
        complete = [companion for companion in found if companion is not None]
        if len(complete) == len(others):
            return Pairing(taking(candidate, selection.verdicts), tuple(complete))
    best = candidates[0].stack
    missing = [
        f"{rule.title}: {why_no_companion(best, verdicts, min_overlap)}"
        for rule, verdicts in zip(others, judged, strict=True)
        if companion_of(best, verdicts, min_overlap=min_overlap) is None
    ]
    raise NothingEligibleError(
        f"With {best} as {first.title}, these are needed as well, in its frame of reference and field of view:\n  "
        + "\n  ".join(missing)
        + "\nSend the whole study, or see every verdict with: monai-deploy explain APP -i STUDY"
    )


def companion_of(
    first: Stack, verdicts: Sequence[Verdict], *, min_overlap: float = MIN_OVERLAP, other_frame: bool = False
) -> Companion | None:
    """Return the first eligible series that lies where another one lies, None when there is none.

    other_frame  take one of another frame of reference when none is in place: its overlap is that of the numbers in
                 the headers, which mean little, and is not held against the least one
    """
    others = [verdict for verdict in verdicts if verdict.eligible and verdict.stack is not first]
    for verdict in others:
        if same_place(first, verdict.stack):
            overlap = overlap_of(first, verdict.stack)
            if overlap >= min_overlap:
                return Companion(taking(verdict, verdicts), overlap)
    for verdict in others if other_frame else ():
        if same_study(first, verdict.stack) and not same_place(first, verdict.stack):
            return Companion(taking(verdict, verdicts), overlap_of(first, verdict.stack))
    return None


def taking(taken: Verdict, verdicts: Sequence[Verdict]) -> Selection:
    """Return the choice of one verdict, which goes before the others."""
    equal = [v for v in verdicts if v is not taken and v.eligible and v.score == taken.score]
    rest = tuple(verdict for verdict in verdicts if verdict is not taken)
    return Selection(taken.stack, (taken, *rest), tie=bool(equal))


def same_place(one: Stack, other: Stack) -> bool:
    """Return whether two stacks name one study and one frame of reference."""
    frame = one.header.get("FrameOfReferenceUID")
    return bool(frame) and frame == other.header.get("FrameOfReferenceUID") and same_study(one, other)


def same_study(one: Stack, other: Stack) -> bool:
    """Return whether two stacks are of one study."""
    return bool(one.header.get("StudyInstanceUID") == other.header.get("StudyInstanceUID"))


def why_no_companion(first: Stack, verdicts: Sequence[Verdict], min_overlap: float = MIN_OVERLAP) -> str:
    """Return why none of the verdicts is a companion."""
    eligible = [verdict.stack for verdict in verdicts if verdict.eligible and verdict.stack is not first]
    if not eligible:
        return "the study holds none"
    in_place = [stack for stack in eligible if same_place(first, stack)]
    if not in_place:
        return f"{eligible[0]} lies in another frame of reference"
    return (
        f"{in_place[0]} covers {100 * overlap_of(first, in_place[0]):.0f} % of its field of view, "
        f"{100 * min_overlap:.0f} % needed"
    )


def same_grid(one: Stack, other: Stack) -> bool:
    """Return whether the slices of two stacks lie at the same places, with pixels of the same size."""
    affine, shape = _box(one)
    other_affine, other_shape = _box(other)
    close = bool(np.abs(affine - other_affine).max() < SAME_MM)
    return close and shape == other_shape and len(one.frames) == len(other.frames) and same_place(one, other)


def overlap_of(first: Stack, other: Stack) -> float:
    """Return the part of a stack's field of view, 0 to 1, that lies in the field of view of another stack."""
    to_mm, shape = _box(first)
    to_other, other_shape = _box(other)
    steps = [(np.arange(SAMPLES) + 0.5) / SAMPLES * size - 0.5 for size in shape]
    points = np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3)
    index = np.linalg.inv(to_other)[:3] @ to_mm @ np.column_stack([points, np.ones(len(points))]).T
    inside = (index.T >= -0.5) & (np.array(other_shape) - 0.5 >= index.T)
    return float(inside.all(axis=1).mean())


def _box(stack: Stack) -> tuple[npt.NDArray[np.float64], tuple[int, int, int]]:
    """Return affine and shape of the box around a stack's slices; its geometry need not be regular."""
    planes = [frame.plane for frame in stack.frames]
    first = planes[0]
    row, column = np.array(first.row_cosine), np.array(first.column_cosine)
    normal = np.cross(row, column)
    positions = np.array([plane.position_mm for plane in planes])
    heights = positions @ normal
    distinct = np.unique(np.round(heights, 2))
    step = float(np.median(np.diff(distinct))) if distinct.size > 1 else 1.0
    affine = np.eye(4)
    affine[:3, :3] = np.stack(
        [normal * step, column * first.spacing_between_rows_mm, row * first.spacing_between_columns_mm], axis=1
    )
    affine[:3, 3] = positions[heights.argmin()]
    return affine, (round(float(np.ptp(distinct)) / step) + 1, first.rows, first.columns)
