"""Operator: logits and source image -> mask on the source grid."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.restore_mask import restore_mask
from operators.step import Step


class RestoreMask(Step):
    """Probability interpolated onto the source grid and cut at a threshold."""

    def __init__(self, fragment: Any, *args: Any, threshold: float, **kwargs: Any) -> None:
        self.threshold = threshold
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("logits")
        spec.input("source")
        spec.output("mask")

    def step(self, op_input: Any, op_output: Any) -> None:
        source = op_input.receive("source")
        logits = op_input.receive("logits")
        op_output.emit(restore_mask(logits, source.volume, threshold=self.threshold), "mask")
