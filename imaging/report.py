"""What every application reports of a series, for all that writes it down: report, pictures, record."""

from __future__ import annotations

from typing import Protocol

from imaging.encode_seg import Segment
from imaging.finding import Finding
from imaging.plausibility import Flag


class Report(Protocol):
    """What an application measured: findings, their segments, and what is suspicious."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of each segment."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Sentences on what is suspicious and what else a reader must know; empty when there is nothing."""

    @property
    def plausibility(self) -> tuple[Flag, ...]:
        """What is suspicious, as typed facts."""

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Of the segmentation, in its order."""

    @property
    def caution(self) -> str:
        """What must be said wherever the result is shown, in few words; empty when that is nothing."""

    @property
    def nothing(self) -> str:
        """What is said where there is no segment."""
