"""Operator: mask and source image -> brain volume, quality flags and segment."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.measure_brain import measure_brain
from imaging.person import person_of
from operators.step import Step


class MeasureBrain(Step):
    """Volume in mL, and whether it can be that of a brain."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        spec.input("source")
        spec.output("measurement")
        spec.output("segments")

    def step(self, op_input: Any, op_output: Any) -> None:
        mask, source = op_input.receive("mask"), op_input.receive("source")
        measurement = measure_brain(mask, source.volume, person_of(source.stack.header))
        op_output.emit(measurement, "measurement")
        op_output.emit(measurement.segments, "segments")
