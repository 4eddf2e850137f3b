"""Operator: mask -> instances."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.separate_bodies import separate_bodies
from operators.step import Step


class SeparateBodies(Step):
    """Each body of a mask as its own label, bodies that touch separated.

    cores  whether a mask of the cores of bodies comes in beside the mask of bodies
    """

    def __init__(self, fragment: Any, *args: Any, cores: bool = False, **kwargs: Any) -> None:
        self.cores = cores
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        if self.cores:
            spec.input("cores")
        spec.output("instances")

    def step(self, op_input: Any, op_output: Any) -> None:
        mask = op_input.receive("mask")
        cores = op_input.receive("cores").array if self.cores else None
        op_output.emit(mask.with_array(separate_bodies(mask.array, mask.spacing, cores)), "instances")
