"""Operator: selected sequences -> sequences on the grid of the T2w series."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.align_sequences import align_sequences
from imaging.geometry import GeometryPolicy
from operators.step import Step


class AlignSequences(Step):
    """T2w, diffusion and ADC on one grid, and the T2w series alone as the source of every result.

    register  whether what lies in another frame of reference is registered by its content; refused otherwise
    """

    def __init__(
        self, fragment: Any, *args: Any, policy: GeometryPolicy, register: bool = False, **kwargs: Any
    ) -> None:
        self.policy = policy
        self.register = register
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("sequences")
        spec.output("aligned")
        spec.output("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        aligned = align_sequences(op_input.receive("sequences"), register=self.register, policy=self.policy)
        op_output.emit(aligned, "aligned")
        op_output.emit(aligned.source, "source")
