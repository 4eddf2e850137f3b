"""Operator: source image -> mask of both lungs."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.lung_mask import lung_mask
from operators.step import Step


class MaskLungs(Step):
    """Left and right lung of a chest CT."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("source")
        spec.output("lungs")

    def step(self, op_input: Any, op_output: Any) -> None:
        op_output.emit(lung_mask(op_input.receive("source").volume), "lungs")
