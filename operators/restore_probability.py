"""Operator: logits and source image -> probability on the source grid."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.restore_mask import restore_probability
from operators.step import Step


class RestoreProbability(Step):
    """Probability interpolated onto the source grid."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("logits")
        spec.input("source")
        spec.output("probability")

    def step(self, op_input: Any, op_output: Any) -> None:
        logits, source = op_input.receive("logits"), op_input.receive("source")
        op_output.emit(restore_probability(logits, source.volume), "probability")
