"""Operator: image -> logits, with the TorchScript weights of a model or their OpenVINO copy."""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.deploy.core import OperatorSpec

from imaging.infer_openvino import openvino_predictor
from imaging.model_package import ModelPackage
from imaging.outcome import ModelError
from imaging.sliding_window import Predict, sliding_window
from operators.step import Step

FALLBACK_WINDOW = (96, 96, 96)


class Segment(Step):
    """Network output on the grid of its input, of the whole volume at once or window by window.

    backend  "auto" takes CUDA where it is present, else OpenVINO where the model has a copy, else TorchScript
    """

    def __init__(self, fragment: Any, *args: Any, model: ModelPackage, backend: str = "auto", **kwargs: Any) -> None:
        self.model = model
        self.backend = backend
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("image")
        spec.output("logits")

    def step(self, op_input: Any, op_output: Any) -> None:
        image = op_input.receive("image")
        op_output.emit(image.with_array(self._logits(image.array)), "logits")

    def _logits(self, image: np.ndarray) -> np.ndarray:
        predict, device = choose_predictor(self.model, self.backend)
        self.record.device = device
        try:
            return _apply(image, self.model.input.window, predict)
        except (MemoryError, RuntimeError) as error:
            if "out of memory" not in str(error).lower() and not isinstance(error, MemoryError):
                raise ModelError(
                    f"The model {self.model.name} failed on an image of {image.shape} voxels "
                    f"({type(error).__name__}). Its weights do not fit the input its metadata describes."
                ) from error
        self.record.notes.append(f"Out of memory on {device}: repeated on the CPU, window by window")
        self.record.device = "cpu (TorchScript)"
        return _apply(image, FALLBACK_WINDOW, torchscript_predictor(self.model, "cpu"))


def choose_predictor(model: ModelPackage, backend: str) -> tuple[Predict, str]:
    """Return the function that runs the network, and the name of device and library."""
    if backend == "openvino" and model.openvino is None:
        raise ModelError(f"The model {model.name} has no OpenVINO copy of its weights. Use --backend torch.")
    if backend != "torch" and model.openvino is not None and (backend == "openvino" or not cuda_present()):
        return openvino_predictor(model.openvino), "cpu (OpenVINO)"
    device = "cuda" if cuda_present() else "cpu"
    return torchscript_predictor(model, device), f"{device} (TorchScript)"


def cuda_present() -> bool:
    """Return whether a CUDA device can be used; asks the driver before it imports torch, which is slow."""
    import ctypes

    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return False
    import torch

    return bool(torch.cuda.is_available())


def torchscript_predictor(model: ModelPackage, device: str) -> Predict:
    """Return a function from a (slice, row, column) image to logits, run with torch on a device."""
    import torch

    try:
        network = torch.jit.load(str(model.weights), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The weights {model.weights} are no TorchScript file. Export them with torch.jit.save."
        ) from error

    def predict(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device)
            return np.asarray(network(batch)[0, 0].float().cpu().numpy())

    return predict


def _apply(image: np.ndarray, window: tuple[int, int, int] | None, predict: Predict) -> np.ndarray:
    if window is None:
        return predict(image)
    return sliding_window(image, window, predict)
