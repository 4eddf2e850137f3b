"""A copy of TorchScript weights for OpenVINO, which runs them on a CPU in less time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino
import torch
from openvino import opset13 as ops
from torch import Tensor

from imaging.outcome import ModelError

TOLERANCE = 1e-3
"""Largest difference of a logit between TorchScript and OpenVINO on noise, or that fraction of a larger one."""


def copy_for_openvino(script: Path, images: Sequence[Tensor]) -> tuple[Path, Path]:
    """Write the copy of a TorchScript file beside it and return its two files; ModelError when the two disagree.

    images  (1, channel, slice, row, column) noise: the first to convert with, all to compare on
    """
    network = torch.jit.load(str(script)).eval()
    model = openvino.convert_model(torch.jit.freeze(network), example_input=images[0])
    model.reshape([1, images[0].shape[1], -1, -1, -1])
    average_exactly(model)
    path = script.with_suffix(".xml")
    openvino.save_model(model, path, compress_to_fp16=False)
    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for image in images:
        with torch.inference_mode():
            wanted = network(image).numpy()
        difference = float(np.abs(compiled(image.numpy())[0] - wanted).max())
        if not difference <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
            raise ModelError(f"OpenVINO and TorchScript differ by {difference:.3g}. Do without that copy.")
    return path, path.with_suffix(".bin")


def average_exactly(model: openvino.Model) -> None:
    """Replace instance normalisation by operations that lose no digits.

    OpenVINO averages a million float32 values in one go there, which moves logits by hundredths. Averaged along one
    axis after the other, with a reshape between that keeps them apart, they agree with those of torch.
    """
    for operation in model.get_ops():
        if operation.get_type_name() != "MVN":
            continue
        image, epsilon = operation.input_value(0), np.float32(operation.get_attributes()["eps"])
        centred = ops.subtract(image, _mean_of(image, image))
        variance = _mean_of(ops.multiply(centred, centred).output(0), image)
        result = ops.divide(centred, ops.sqrt(ops.add(variance, ops.constant(epsilon))))
        for reader in operation.output(0).get_target_inputs():
            reader.replace_source_output(result.output(0))
    model.validate_nodes_and_infer_types()


def _mean_of(values: openvino.Output, image: openvino.Output) -> openvino.Node:
    """Return the mean of each channel, (1, channels, 1, 1, 1)."""
    shape = ops.shape_of(image)
    channels = ops.gather(shape, _integers(1), ops.constant(np.int64(0)))
    for axis in (4, 3, 2):
        size = ops.gather(shape, _integers(axis), ops.constant(np.int64(0)))
        rows = ops.reshape(values, ops.concat([channels, _integers(-1), size], 0), special_zero=False)
        values = ops.reduce_mean(rows, _integers(2), keep_dims=True)
    return ops.reshape(values, ops.concat([_integers(1), channels, _integers(1, 1, 1)], 0), special_zero=False)


def _integers(*numbers: int) -> openvino.Node:
    return ops.constant(np.array(numbers, np.int64))
