"""Operator: image -> logits, with the TorchScript weights of a model or their OpenVINO copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monai.deploy.core import OperatorSpec

from imaging.ensemble import mean_logits, mirrored
from imaging.infer_openvino import openvino_predictor
from imaging.model_package import ModelPackage, Weights
from imaging.outcome import ModelError
from imaging.sliding_window import Predict, sliding_window
from operators.step import Step

FALLBACK_WINDOW = (96, 96, 96)


class Segment(Step):
    """Network output on the grid of its input, of the whole volume at once or window by window.

    The probabilities of an ensemble are averaged. Each channel of the output leaves by the port of its name.

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
        for channel, logits in zip(self.model.channels, self._logits(image.array), strict=True):
            op_output.emit(image.with_array(logits), channel)

    def _logits(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (channel, slice, row, column)."""
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
        wanted = (len(self.model.channels), *image.shape)
        if logits.shape != wanted:
            raise ModelError(
                f"The model {self.model.name} gave an output of {logits.shape} for an image of {image.shape} voxels; "
                f"its metadata promises {wanted}. Correct the metadata, or restore the weights."
            )
        return logits


def choose_predictor(name: str, weights: Weights, backend: str) -> tuple[Predict, str]:
    """Return the function that runs a network of the model called ``name``, and the name of device and library."""
    if backend == "openvino" and weights.openvino is None:
        raise ModelError(f"The model {name} has no OpenVINO copy of its weights. Use --backend torch.")
    if backend != "torch" and weights.openvino is not None and (backend == "openvino" or not cuda_present()):
        return openvino_predictor(weights.openvino), "cpu (OpenVINO)"
    device = "cuda" if cuda_present() else "cpu"
    return torchscript_predictor(weights.torchscript, device), f"{device} (TorchScript)"


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


def torchscript_predictor(path: Path, device: str) -> Predict:
    """Return a function from a (slice, row, column) image to (channel, slice, row, column) logits, run with torch."""
    import torch

    try:
        network = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"The weights {path} are no TorchScript file. Export them with torch.jit.save.") from error

    def predict(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(np.ascontiguousarray(image))[None, None].to(device)
            return np.asarray(network(batch)[0].float().cpu().numpy())

    return predict


def _apply(
    image: npt.NDArray[np.float32], window: tuple[int, int, int] | None, predict: Predict
) -> npt.NDArray[np.float32]:
    if window is None:
        return predict(image)
    return sliding_window(image, window, predict)
