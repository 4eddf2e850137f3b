"""Which library and device runs a network: CUDA where present, else OpenVINO with its copy of the weights, or torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging.infer_openvino import openvino_predictor
from imaging.model_package import ModelPackage, Weights
from imaging.outcome import ModelError
from imaging.sliding_window import Predict, as_batch


def choose_predictor(name: str, weights: Weights, backend: str) -> tuple[Predict, str]:
    """Return the function that runs a network of the model called ``name``, and the name of device and library."""
    if backend == "openvino" and weights.openvino is None:
        raise ModelError(f"The model {name} has no OpenVINO copy of its weights. Use --backend torch.")
    if backend != "torch" and weights.openvino is not None and (backend == "openvino" or not cuda_present()):
        return openvino_predictor(weights.openvino), "cpu (OpenVINO)"
    device = "cuda" if cuda_present() else "cpu"
    return torchscript_predictor(weights.torchscript, device), f"{device} (TorchScript)"


def choose_predictors(model: ModelPackage, backend: str) -> tuple[list[Predict], str]:
    """Return the functions that run the members of a model, and the name of device and library."""
    chosen = [choose_predictor(model.name, member, backend) for member in model.members]
    return [predict for predict, _ in chosen], chosen[0][1]


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
    """Return a function from an image to (channel, slice, row, column) logits, run with torch.

    The image is (slice, row, column), or (channel, slice, row, column) for a network of several channels.
    """
    import torch

    try:
        network = torch.jit.load(str(path), map_location=device).eval()
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"The weights {path} are no TorchScript file that this torch can load. Export them with "
            "torch.jit.save, without torch.jit.optimize_for_inference."
        ) from error

    def predict(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            batch = torch.from_numpy(as_batch(image)).to(device)
            return np.asarray(network(batch)[0].float().cpu().numpy())

    return predict
