"""Operator: logits and source image -> objects, and logits of the primary tumour alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.deploy.core import OperatorSpec

from imaging.find_tumour import BACKGROUND, find_tumour
from operators.step import Step


class FindTumour(Step):
    """The object of the highest mean activation, and every other one beside it."""

    def __init__(self, fragment: Any, *args: Any, threshold: float, **kwargs: Any) -> None:
        self.threshold = threshold
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("logits")
        spec.input("source")
        spec.output("found")
        spec.output("primary")

    def step(self, op_input: Any, op_output: Any) -> None:
        logits, source = op_input.receive("logits"), op_input.receive("source")
        found = find_tumour(logits, self.threshold, source.volume.get_geometry())
        nothing = logits.with_array(np.full(logits.shape, BACKGROUND))
        op_output.emit(found, "found")
        op_output.emit(nothing if found.primary is None else found.primary, "primary")
