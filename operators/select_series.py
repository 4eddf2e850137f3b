"""Operator: study -> the series a rule takes."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.select_series import SeriesRule, choose, judge_study, verdict_facts
from operators.step import Step


class SelectSeries(Step):
    """The best series under a rule, with the verdict on every other one."""

    def __init__(self, fragment: Any, *args: Any, rule: SeriesRule, **kwargs: Any) -> None:
        self.rule = rule
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("study")
        spec.output("selection")

    def step(self, op_input: Any, op_output: Any) -> None:
        study = op_input.receive("study")
        if study.patients > 1:
            self.record.notes.append(f"The input holds images of {study.patients} patients; one series was taken")
        verdicts = judge_study(study, self.rule)
        self.record.series = [verdict_facts(verdict) for verdict in verdicts]
        op_output.emit(choose(verdicts, self.rule), "selection")
