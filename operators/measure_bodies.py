"""Operator: ordered bodies, source image and selection -> report on each body."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.find_stations import other_stations
from imaging.measure_bodies import measure_bodies
from imaging.report_spine import report_spine
from operators.step import Step


class MeasureBodies(Step):
    """Measurements, levels where there is evidence, and what is suspicious.

    lowest  level of the lowest body as the user states it, or "auto"
    """

    def __init__(self, fragment: Any, *args: Any, lowest: str = "auto", **kwargs: Any) -> None:
        self.lowest = lowest
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("bodies")
        spec.input("source")
        spec.input("selection")
        spec.output("report")
        spec.output("segments")

    def step(self, op_input: Any, op_output: Any) -> None:
        bodies, source = op_input.receive("bodies"), op_input.receive("source")
        notes = other_stations(op_input.receive("selection"))
        report = report_spine(bodies, measure_bodies(bodies), source.volume, self.lowest, notes)
        op_output.emit(report, "report")
        op_output.emit(report.segments, "segments")
