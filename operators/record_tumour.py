"""Operator: selected and aligned sequences, and report on the tumour -> the record of the run."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.report_tumour import tumour_finding, tumour_headline, tumour_results
from operators.step import Step


class RecordTumour(Step):
    """What metadata.json and the summary say of this run."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("sequences")
        spec.input("aligned")
        spec.input("report")

    def step(self, op_input: Any, op_output: Any) -> None:
        sequences, aligned = op_input.receive("sequences"), op_input.receive("aligned")
        report = op_input.receive("report")
        self.record.results = tumour_results(sequences, aligned, report)
        self.record.finding = tumour_finding(report)
        self.record.headline = tumour_headline(sequences, report)
        self.record.notes += [*aligned.source.flags, *report.flags]
        self.record.plausibility = list(report.plausibility)
