"""What a study holds: every stack of images, what kind it is, whether it is a regular volume, and what lies where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imaging.classify_image import classify_image
from imaging.geometry import stack_geometry
from imaging.image_kind import ImageKind
from imaging.outcome import RefusedError
from imaging.split_series import split_series
from imaging.study import Series, Stack, Study


@dataclass(frozen=True)
class Resolved:
    """One stack of a study."""

    stack: Stack
    kind: ImageKind
    group: int | None  # stacks of one group share study and frame of reference; None when they name none
    spacing_mm: tuple[float, float, float] | None  # slice, row, column; None when it is no regular volume
    problem: str = ""  # why it is no regular volume, as the strictest policy sees it


def resolve_study(study: Study) -> tuple[Resolved, ...]:
    """Return every stack of every series, by series number; a series that cannot be split is one stack of no frames."""
    groups: dict[tuple[str, str], int] = {}
    found = [resolved for series in study.series for resolved in _resolve(series, groups)]
    return tuple(sorted(found, key=_place))


def _place(resolved: Resolved) -> tuple[float, str]:
    number = resolved.stack.series.number
    return (float("inf") if number is None else number, resolved.stack.series.uid)


def _resolve(series: Series, groups: dict[tuple[str, str], int]) -> list[Resolved]:
    try:
        stacks = split_series(series)
    except RefusedError as error:
        kind = classify_image(series.header)
        return [Resolved(Stack(series, ()), kind, None, None, str(error))]
    return [_resolved(stack, groups) for stack in stacks]


def _resolved(stack: Stack, groups: dict[tuple[str, str], int]) -> Resolved:
    kind = classify_image(stack.header)
    place = tuple(str(stack.header.get(keyword) or "") for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"))
    group = groups.setdefault((place[0], place[1]), len(groups) + 1) if place[1] else None
    try:
        affine = stack_geometry(stack).affine
    except RefusedError as error:
        return Resolved(stack, kind, group, None, str(error))
    slice_mm, row_mm, column_mm = (float(size) for size in np.linalg.norm(affine[:3, :3], axis=0))
    return Resolved(stack, kind, group, (slice_mm, row_mm, column_mm))
