"""Operator: instances -> instances in order along their curve."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.order_bodies import order_bodies
from operators.step import Step


class OrderBodies(Step):
    """Instances numbered from caudal to cranial; what lies beside their row is left out."""

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("instances")
        spec.output("bodies")

    def step(self, op_input: Any, op_output: Any) -> None:
        op_output.emit(order_bodies(op_input.receive("instances")), "bodies")
