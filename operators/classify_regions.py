"""Operator: outlined marks and source image -> probability and heat of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from highdicom import Volume
from monai.deploy.core import OperatorSpec

from imaging.classify_crop import Classified, heat_of, probability_of
from imaging.model_package import ModelPackage
from imaging.nodule_crop import CropInput, classifier_crop, crop_geometry
from imaging.region import Region
from imaging.sliding_window import Predict
from operators.networks import choose_predictors
from operators.step import Step


class ClassifyRegions(Step):
    """The calibrated probability that a classifier, or an ensemble of them, gives each region's crop."""

    def __init__(
        self, fragment: Any, *args: Any, model: ModelPackage, crop: CropInput, backend: str = "auto", **kwargs: Any
    ) -> None:
        self.model = model
        self.crop = crop
        self.backend = backend
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("marks")
        spec.input("source")
        spec.output("classified")

    def step(self, op_input: Any, op_output: Any) -> None:
        marks, volume = op_input.receive("marks"), op_input.receive("source").volume
        networks = self._networks() if marks else []
        op_output.emit(tuple(self._classified(volume, mark.region, networks) for mark in marks), "classified")

    def _networks(self) -> list[Predict]:
        networks, self.record.device = choose_predictors(self.model, self.backend)
        return networks

    def _classified(self, volume: Volume, region: Region, networks: Sequence[Predict]) -> Classified:
        crop = classifier_crop(volume, region, self.crop)
        maps = [predict(crop) for predict in networks]
        grid = crop_geometry(volume, region, self.crop)
        return Classified(
            probability_of(maps, self.model.temperature), heat_of(maps, grid, volume.get_geometry(), region)
        )
