"""What a rule on workflow definitions is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from maps.workflow.definition import Workflow


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the manager knows beside the definition; None where that is not known and the rule cannot be checked."""

    workflow_names: frozenset[str] = frozenset()  # of the other workflows
    sources: frozenset[str] | None = None  # AE titles of the sources registered at the Informatics Gateway


@dataclass(frozen=True)
class Rule:
    """A rule: what must hold, and the function that returns what it found against it."""

    code: str
    says: str
    look: Callable[[Workflow, Surroundings], Iterable[str]]


@dataclass(frozen=True)
class Finding:
    """A broken rule: what must hold, and what was found."""

    rule: Rule
    found: str

    def __str__(self) -> str:
        return f"{self.rule.code} {self.rule.says}: {self.found}"
