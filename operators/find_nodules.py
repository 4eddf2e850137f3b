"""Operator: marks, lungs and source image -> the marks, or candidates where there are none."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.find_nodules import OperatingPoint, find_nodules
from operators.step import Step


class FindNodules(Step):
    """Places that look like a nodule, sought only where nobody marked any.

    point    how nodule-like a place must be
    at_most  so many candidates, the most nodule-like ones
    """

    def __init__(self, fragment: Any, *args: Any, point: OperatingPoint, at_most: int, **kwargs: Any) -> None:
        self.point = point
        self.at_most = at_most
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("marks")
        spec.input("lungs")
        spec.input("source")
        spec.output("marks")

    def step(self, op_input: Any, op_output: Any) -> None:
        marks, lungs = op_input.receive("marks"), op_input.receive("lungs")
        volume = op_input.receive("source").volume
        op_output.emit(marks or find_nodules(volume, lungs, point=self.point, at_most=self.at_most), "marks")
