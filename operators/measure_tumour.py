"""Operator: mask of the primary tumour, objects and aligned sequences -> report and segments."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.measure_tumour import measure_tumour
from imaging.model_package import ModelPackage
from imaging.report_tumour import TumourReport
from operators.step import Step


class MeasureTumour(Step):
    """Volume, diameters, diffusion and signal of the primary tumour, and what is suspicious."""

    def __init__(self, fragment: Any, *args: Any, model: ModelPackage, **kwargs: Any) -> None:
        self.model = model
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        spec.input("found")
        spec.input("aligned")
        spec.output("report")
        spec.output("segments")

    def step(self, op_input: Any, op_output: Any) -> None:
        mask, aligned = op_input.receive("mask"), op_input.receive("aligned")
        report = TumourReport(
            found=op_input.receive("found"),
            mask=mask.array,
            measured=measure_tumour(mask, aligned),
            threshold=self.model.threshold,
            calibration=self.model.calibration,
            general=aligned.flags,
        )
        op_output.emit(report, "report")
        op_output.emit(report.segments, "segments")
