"""Operator: image -> logits, with the TorchScript weights of a model or their OpenVINO copies."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from monai.deploy.core import OperatorSpec

from imaging.ensemble import mean_logits, mirrored
from imaging.model_package import ModelPackage, Weights
from imaging.outcome import ModelError
from imaging.sliding_window import Predict, sliding_window
from operators.networks import choose_predictor, torchscript_predictor
from operators.step import Step

FALLBACK_WINDOW = (96, 96, 96)


class Segment(Step):
    """Network output on the grid of its input, of the whole volume at once or window by window.

    An image of several channels has them as the last axis of its volume; the network gets them as the first. The
    probabilities of an ensemble are averaged. Each channel of the output leaves by the port of its name.

    backend  "auto" takes CUDA where it is present, else OpenVINO where the model has a copy, else TorchScript
    mirror   axes along which the image is mirrored as well, and the outputs averaged (test-time augmentation)
    """

    def __init__(
        self,
        fragment: Any,
        *args: Any,
        model: ModelPackage,
        backend: str = "auto",
        mirror: tuple[int, ...] = (),
        **kwargs: Any,
    ) -> None:
        self.model = model
        self.backend = backend
        self.mirror = mirror
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("image")
        for channel in self.model.channels:
            spec.output(channel)

    def step(self, op_input: Any, op_output: Any) -> None:
        image = op_input.receive("image")
        array = image.array if image.array.ndim == 3 else np.moveaxis(image.array, -1, 0)
        for channel, logits in zip(self.model.channels, self._logits(array), strict=True):
            op_output.emit(image.with_array(logits), channel)

    def _logits(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (channel, slice, row, column) of a (slice, row, column) or (channel, slice, row, column) image."""
        return mean_logits([self._member(image, weights) for weights in self.model.members])

    def _member(self, image: npt.NDArray[np.float32], weights: Weights) -> npt.NDArray[np.float32]:
        predict, device = choose_predictor(self.model.name, weights, self.backend)
        self.record.device = device
        try:
            return self._checked(_apply(image, self.model.input.window, mirrored(predict, self.mirror)), image)
        except (MemoryError, RuntimeError) as error:
            if "out of memory" not in str(error).lower() and not isinstance(error, MemoryError):
                raise ModelError(
                    f"The model {self.model.name} failed on an image of {image.shape} voxels "
                    f"({type(error).__name__}). Its weights do not fit the input its metadata describes."
                ) from error
        self.record.notes.append(f"Out of memory on {device}: repeated on the CPU, window by window")
        self.record.device = "cpu (TorchScript)"
        predict = mirrored(torchscript_predictor(weights.torchscript, "cpu"), self.mirror)
        return self._checked(_apply(image, FALLBACK_WINDOW, predict), image)

    def _checked(self, logits: npt.NDArray[np.float32], image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        wanted = (len(self.model.channels), *image.shape[-3:])
        if logits.shape != wanted:
            raise ModelError(
                f"The model {self.model.name} gave an output of {logits.shape} for an image of {image.shape} voxels; "
                f"its metadata promises {wanted}. Correct the metadata, or restore the weights."
            )
        return logits


def _apply(
    image: npt.NDArray[np.float32], window: tuple[int, int, int] | None, predict: Predict
) -> npt.NDArray[np.float32]:
    if window is None:
        return predict(image)
    return sliding_window(image, window, predict)
