"""Inference on a CPU with OpenVINO, from a copy of the TorchScript weights: starts fast and needs no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging.outcome import ModelError
from imaging.sliding_window import Predict


def openvino_predictor(path: Path) -> Predict:
    """Return a function from a (slice, row, column) image to logits; float32 throughout."""
    try:
        import openvino
    except ImportError as error:
        raise ModelError(
            "OpenVINO is not installed. Install it (pip install openvino) or use --backend torch."
        ) from error
    core = openvino.Core()
    try:
        compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        raise ModelError(
            f"The OpenVINO copy {path.name} cannot be read. Restore it from the release, or use --backend torch."
        ) from error

    def predict(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        result = compiled(image[np.newaxis, np.newaxis])[0]
        return np.asarray(result[0, 0], np.float32)

    return predict
