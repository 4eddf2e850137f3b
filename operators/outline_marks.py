"""Operator: marks, what is suspicious of them and source image -> the marks with an outline each, and the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.distinct_regions import distinct_regions
from imaging.ensemble import mean_logits
from imaging.mark import Mark, Origin
from imaging.model_package import ModelPackage
from imaging.nodule_crop import CropInput, outline_crop, outline_region
from imaging.sliding_window import Predict
from imaging.to_volume import SourceImage
from operators.networks import choose_predictors
from operators.step import Step


class OutlineMarks(Step):
    """An outline that came with a mark is kept; a point is outlined by a network that starts there.

    Marks of one object become one; a mark at which there is nothing to outline is left out, and said.
    """

    def __init__(
        self, fragment: Any, *args: Any, model: ModelPackage, crop: CropInput, backend: str = "auto", **kwargs: Any
    ) -> None:
        self.model = model
        self.crop = crop
        self.backend = backend
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("marks")
        spec.input("flags")
        spec.input("source")
        spec.output("marks")
        spec.output("flags")

    def step(self, op_input: Any, op_output: Any) -> None:
        marks, source = op_input.receive("marks"), op_input.receive("source")
        outlined = self._outlined(marks, source)
        op_output.emit((*op_input.receive("flags"), *_lost(outlined)), "flags")
        found = [mark for mark in outlined if mark.region is not None]
        regions = distinct_regions([mark.region for mark in found if mark.region is not None])
        kept = (replace(mark, region=region) for mark, region in zip(found, regions, strict=True) if region is not None)
        op_output.emit(tuple(kept), "marks")

    def _outlined(self, marks: Sequence[Mark], source: SourceImage) -> list[Mark]:
        if all(mark.region is not None for mark in marks):
            return list(marks)
        networks, self.record.device = choose_predictors(self.model, self.backend)
        return [self._with_region(mark, source, networks) for mark in marks]

    def _with_region(self, mark: Mark, source: SourceImage, networks: Sequence[Predict]) -> Mark:
        if mark.region is not None:
            return mark
        box = outline_crop(source.volume, mark.centre_mm, self.crop)
        logits = box.with_array(mean_logits([predict(box.array)[0] for predict in networks]))
        return replace(
            mark, region=outline_region(logits, source.volume, mark.centre_mm, threshold=self.model.threshold)
        )


def _lost(marks: Sequence[Mark]) -> Iterator[str]:
    """Say at which marks there is no outline; of candidates of the computer, those are none after all."""
    lost = [number for number, mark in enumerate(marks, start=1) if mark.region is None]
    if any(marks[number - 1].origin is not Origin.COMPUTER for number in lost):
        yield f"No nodule could be outlined at {len(lost)} of {len(marks)} marks: {', '.join(map(str, lost))}"
