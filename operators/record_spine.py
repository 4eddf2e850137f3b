"""Operator: selection, source image and report on the bodies -> the record of the run."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.report_spine import spine_finding, spine_headline, spine_results
from operators.step import Step


class RecordSpine(Step):
    """What metadata.json and the summary say of this run."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("selection")
        spec.input("source")
        spec.input("report")

    def step(self, op_input: Any, op_output: Any) -> None:
        selection, source = op_input.receive("selection"), op_input.receive("source")
        report = op_input.receive("report")
        self.record.results = spine_results(selection, source, report)
        self.record.finding = spine_finding(report)
        self.record.headline = spine_headline(selection, report)
        self.record.notes += [*source.flags, *report.flags]
        self.record.plausibility = list(report.plausibility)
