"""Operator: source image -> image on the model grid."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.model_package import ModelInput
from imaging.prepare_image import prepare_image
from operators.step import Step


class PrepareImage(Step):
    """Oriented, resampled and normalised for the network."""

    def __init__(self, fragment: Any, *args: Any, wanted: ModelInput, **kwargs: Any) -> None:
        self.wanted = wanted
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("source")
        spec.output("image")

    def step(self, op_input: Any, op_output: Any) -> None:
        op_output.emit(prepare_image(op_input.receive("source").volume, self.wanted), "image")
