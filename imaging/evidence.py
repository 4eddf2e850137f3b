"""One fact for or against a choice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """One fact for (positive) or against (negative) a choice; a fact that decides alone has no weight."""

    reason: str
    weight: float = 0.0
    decisive: bool = False
    hint: bool = False  # from a name: it ranks what is eligible, it makes nothing eligible or not
