"""Inference on a CPU with OpenVINO, from a copy of the TorchScript weights: starts fast and needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from imaging.outcome import ModelError
from imaging.sliding_window import Predict, as_batch


def openvino_predictor(path: Path) -> Predict:
    """Return a function from an image to (channel, slice, row, column) logits, float32.

    The image is (slice, row, column), or (channel, slice, row, column) for a network of several channels.
    """
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "OpenVINO is not installed. Install it (pip install openvino) or use --backend torch."
        ) from error
    core = openvino.Core()
    try:
        model = core.read_model(path)
    except RuntimeError as error:
        raise ModelError(
            f"The OpenVINO copy {path.name} cannot be read. Restore it from the release, or use --backend torch."
        ) from error
    compiled: dict[tuple[int, ...], Any] = {}

    def predict(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        batch = as_batch(image)
        if batch.shape not in compiled:  # faster than one network for all shapes
            model.reshape(list(batch.shape))
            compiled[batch.shape] = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return np.asarray(compiled[batch.shape](batch)[0][0], np.float32)

    return predict
