"""Stations of an examination: stacks as good as the one that was taken, which show what lies higher or lower."""

from __future__ import annotations

from imaging.select_series import Selection, head_foot_mm
from imaging.study import Stack

STATION_MM = 60.0
"""A stack that goes on by so much beyond the one taken shows another vertebra at least: a lumbar body and its disc are
about 40 mm high, and fields of view differ by less."""


def other_stations(selection: Selection) -> tuple[str, ...]:
    """Return a sentence on each stack that could have been taken and shows another part of the patient.

    Nothing is joined: bodies that only another station shows are not in the result.
    """
    taken = selection.stack
    others = [verdict.stack for verdict in selection.verdicts if verdict.eligible and verdict.stack is not taken]
    found = [(stack, _beyond(stack, taken)) for stack in others]
    return tuple(
        f"Another station, {stack}, {beyond}; it was not joined, its bodies are not in this result"
        for stack, beyond in found
        if beyond
    )


def _beyond(stack: Stack, taken: Stack) -> str:
    """Return how far a stack goes on beyond the one taken, empty when it does not."""
    if stack.header.get("FrameOfReferenceUID") != taken.header.get("FrameOfReferenceUID"):
        return "lies in another frame of reference, so that it is not known what it shows"
    (low, high), (taken_low, taken_high) = head_foot_mm(stack), head_foot_mm(taken)
    parts = [
        f"{beyond:.0f} mm {where}"
        for beyond, where in ((high - taken_high, "higher"), (taken_low - low, "lower"))
        if beyond >= STATION_MM
    ]
    return f"goes on {' and '.join(parts)}" if parts else ""
