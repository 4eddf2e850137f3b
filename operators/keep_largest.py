"""Operator: mask -> its largest component without holes."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.keep_largest import keep_largest
from operators.step import Step


class KeepLargest(Step):
    """The largest connected component, cavities filled."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        spec.output("mask")

    def step(self, op_input: Any, op_output: Any) -> None:
        mask = op_input.receive("mask")
        op_output.emit(mask.with_array(keep_largest(mask.array)), "mask")
