"""Operator: selected series -> source image."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.geometry import GeometryPolicy
from imaging.to_volume import to_volume
from operators.step import Step


class ToVolume(Step):
    """The selected series as one float32 volume in LPS mm."""

    def __init__(self, fragment: Any, *args: Any, policy: GeometryPolicy, **kwargs: Any) -> None:
        self.policy = policy
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("selection")
        spec.output("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        op_output.emit(to_volume(op_input.receive("selection").stack, self.policy), "source")
