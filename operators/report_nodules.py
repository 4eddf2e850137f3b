"""Operator: outlined marks, their flags, what the classifier said, lungs and source image -> report and segments."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.mark import Origin
from imaging.measure_nodule import measure_nodule
from imaging.model_package import ModelPackage
from imaging.report_nodules import Nodule, report_nodules
from operators.step import Step


class ReportNodules(Step):
    """Measurements and probability of each nodule, the most suspicious first."""

    def __init__(self, fragment: Any, *args: Any, model: ModelPackage, **kwargs: Any) -> None:
        self.model = model
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        for port in ("marks", "flags", "classified", "lungs", "source"):
            spec.input(port)
        spec.output("report")
        spec.output("segments")

    def step(self, op_input: Any, op_output: Any) -> None:
        marks, classified = op_input.receive("marks"), op_input.receive("classified")
        lungs, volume = op_input.receive("lungs"), op_input.receive("source").volume
        report = report_nodules(
            (
                Nodule(
                    mark=mark,
                    region=mark.region,
                    measured=measure_nodule(volume, mark.region, lungs),
                    malignancy=found.probability,
                    heat=found.heat,
                )
                for mark, found in zip(marks, classified, strict=True)
            ),
            [mark.origin for mark in marks] or [Origin.COMPUTER],  # it searched when nobody had marked any
            calibration=self.model.calibration,
            threshold=self.model.threshold,
            flags=op_input.receive("flags"),
            of_lungs=lungs.flags,
        )
        op_output.emit(report, "report")
        op_output.emit(report.segments, "segments")
