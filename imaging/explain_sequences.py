"""Which series of a study an application would take together, and why not the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from imaging.image_kind import Weighting
from imaging.outcome import NothingEligibleError
from imaging.pair_series import Companion, pair_series
from imaging.pelvic_sequences import PelvicRules, PelvicSequences, judge_pelvis, pair_pelvis, verdict_rows
from imaging.select_series import Selection, SeriesRule, Verdict, judge_rules, verdict_facts
from imaging.study import Study

PELVIC = (Weighting.T2W, Weighting.DWI, Weighting.ADC)


@dataclass(frozen=True)
class Explained:
    """The verdict under each rule, and what goes together."""

    rows: tuple[dict[str, Any], ...]  # rule after rule, best first
    together: bool
    said: str  # what goes together, or why nothing does
    flags: tuple[str, ...] = ()


def explain_sequences(study: Study, first: SeriesRule, companions: Sequence[SeriesRule]) -> Explained:
    """Return the verdicts of several rules on a study, and the series that are taken together."""
    rules = (first, *companions)
    if tuple(rule.weighting for rule in rules) == PELVIC:
        return _explain_pelvis(study, PelvicRules(*rules))
    try:
        pairing = pair_series(study, first, companions)
    except NothingEligibleError as error:
        judged = judge_rules(study, rules)
        rows = [_row(rule, one, None) for rule, verdicts in zip(rules, judged, strict=True) for one in verdicts]
        return Explained(tuple(rows), False, str(error))
    selections = (pairing.first, *(companion.selection for companion in pairing.companions))
    rows = [_row(rule, one, taken) for rule, taken in zip(rules, selections, strict=True) for one in taken.verdicts]
    return Explained(tuple(rows), True, _together(pairing.first, pairing.companions))


def _explain_pelvis(study: Study, rules: PelvicRules) -> Explained:
    verdicts = judge_pelvis(study, rules)
    try:
        found = pair_pelvis(verdicts)
    except NothingEligibleError as error:
        return Explained(tuple(verdict_rows(verdicts, None)), False, str(error))
    companions = [companion for companion in (found.dwi, found.adc) if companion]
    said = _together(found.t2w, companions) + _fitted(found)
    return Explained(tuple(verdict_rows(verdicts, found)), True, said, found.flags)


def _row(rule: SeriesRule, verdict: Verdict, taken: Selection | None) -> dict[str, Any]:
    is_taken = taken is not None and verdict.stack is taken.stack
    return {"sequence": rule.title, "taken": is_taken, **verdict_facts(verdict)}


def _together(first: Selection, companions: Sequence[Companion]) -> str:
    others = [
        f"{one.selection.stack}, which covers {100 * one.overlap:.0f} % of its field of view" for one in companions
    ]
    return ", with ".join([str(first.stack), *others])


def _fitted(found: PelvicSequences) -> str:
    return f"; the ADC is fitted to {len(found.fit_from)} b-values" if found.fit_from else ""
