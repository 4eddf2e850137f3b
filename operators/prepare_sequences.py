"""Operator: aligned sequences -> image of several channels on the model grid."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.model_package import ModelInput
from imaging.prepare_sequences import prepare_sequences
from operators.step import Step


class PrepareSequences(Step):
    """Each sequence resampled and normalised for the network.

    full_grid  whether the grid has the model's largest size, whatever the image needs
    """

    def __init__(self, fragment: Any, *args: Any, wanted: ModelInput, full_grid: bool = False, **kwargs: Any) -> None:
        self.wanted = wanted
        self.full_grid = full_grid
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("aligned")
        spec.output("image")

    def step(self, op_input: Any, op_output: Any) -> None:
        aligned = op_input.receive("aligned")
        op_output.emit(prepare_sequences(aligned, self.wanted, full_grid=self.full_grid), "image")
