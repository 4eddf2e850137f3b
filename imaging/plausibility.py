"""Whether a result can be true: limits with their source, and what is said of a result that breaks one.

Nothing is repaired or withheld for it. Every limit is wider than what is seen in health and common disease, so that a
flag is worth a look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Check:
    """One question to a result; without limits it is answered by yes or no."""

    code: str  # for programs; it stays the same from version to version
    brief: str  # what is wrong, in a few words, for pictures
    basis: str  # where the limits come from
    low: float = -math.inf
    high: float = math.inf
    unit: str = ""
    of_person: bool = False  # the limits tell of the person's age and sex: they are kept to ourselves

    def broken_by(self, value: float) -> bool:
        """Return whether a value lies outside the limits; on a limit it does not.

        >>> Check(code="x", brief="", basis="", low=1, high=2).broken_by(2)
        False
        """
        return not self.low <= value <= self.high

    def flag(self, text: str, value: float | None = None) -> Flag:
        """Return what is said of a result that breaks this check: a sentence or phrase without a full stop."""
        return Flag(self, text, None if value is None else float(value))

    @property
    def limits(self) -> tuple[float | None, float | None] | None:
        """Lower and upper limit for others to see, None where there is none."""
        if self.of_person or (math.isinf(self.low) and math.isinf(self.high)):
            return None
        low, high = (None if math.isinf(limit) else limit for limit in (self.low, self.high))
        return low, high


@dataclass(frozen=True)
class Flag:
    """A check that a result breaks."""

    check: Check
    text: str
    value: float | None = None  # in the unit of the check
    segment: int | None = None  # its number in the segmentation; None when it is about the whole
    name: str = ""  # of the segment

    @property
    def facts(self) -> dict[str, Any]:
        """What metadata.json and the report page are told; nothing in it tells of the person."""
        limits = self.check.limits
        return {
            "code": self.check.code,
            "text": self.text,
            "segment": self.segment,
            "value": None if self.value is None else round(self.value, 3),
            "unit": self.check.unit or None,
            "limits": None if limits is None else list(limits),
            "basis": self.check.basis,
        }


def in_brief(flags: Iterable[Flag]) -> tuple[str, ...]:
    """Return flags in a few words, each with the names of the segments it is about.

    >>> cut = Check(code="cut", brief="cut by the border", basis="")
    >>> in_brief([Flag(cut, "", name="L1"), Flag(cut, "", name="L2")])
    ('L1, L2: cut by the border',)
    """
    named: dict[str, list[str]] = {}
    for flag in flags:
        names = named.setdefault(flag.check.brief, [])
        names += [flag.name] if flag.name else []
    return tuple(f"{', '.join(names)}: {brief}" if names else brief for brief, names in named.items())
