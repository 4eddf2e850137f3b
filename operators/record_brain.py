"""Operator: selection, source image and measurement -> the record of the run."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.report_brain import brain_finding, brain_headline, brain_results
from operators.step import Step


class RecordBrain(Step):
    """What metadata.json and the summary say of this run."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("selection")
        spec.input("source")
        spec.input("measurement")

    def step(self, op_input: Any, op_output: Any) -> None:
        selection = op_input.receive("selection")
        source = op_input.receive("source")
        measurement = op_input.receive("measurement")
        self.record.results = brain_results(selection, source, measurement)
        self.record.finding = brain_finding(measurement)
        self.record.headline = brain_headline(selection, measurement)
        self.record.notes += [*source.flags, *measurement.flags]
        self.record.plausibility = list(measurement.plausibility)
