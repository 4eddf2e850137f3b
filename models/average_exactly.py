"""Instance normalisation in OpenVINO copies of weights, for grids of any size."""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset13 as ops


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
