"""What one object, or all of a study, marks in an image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from imaging.mark import Mark
from imaging.outcome import Reason


@dataclass(frozen=True)
class FoundMarks:
    """Marks that can be used, and what is to be said of those that cannot."""

    marks: tuple[Mark, ...] = ()
    flags: tuple[str, ...] = ()  # sentences; no text of the objects is in them
    unusable: tuple[Reason, ...] = ()  # why marks of nodules cannot be used, one for each

    @staticmethod
    def all_of(parts: Iterable[FoundMarks]) -> FoundMarks:
        """Return everything that several of them hold, each sentence once."""
        found = tuple(parts)
        return FoundMarks(
            tuple(mark for part in found for mark in part.marks),
            tuple(dict.fromkeys(flag for part in found for flag in part.flags)),
            tuple(reason for part in found for reason in part.unusable),
        )


def nothing(reason: Reason, flag: str, *, sure: bool = True) -> FoundMarks:
    """Return that marks are there and cannot be used.

    sure  they are marks of nodules; what may be anything else hinders nobody
    """
    return FoundMarks(flags=(flag,), unusable=(reason,) if sure else ())
