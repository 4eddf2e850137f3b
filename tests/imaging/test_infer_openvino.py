import numpy as np
import openvino
import pytest
from openvino import opset13 as ops

from imaging.infer_openvino import openvino_predictor
from imaging.outcome import ModelError


def saved(path, channels):
    """A network whose output is the sum of its channels, each times its number from 1, and its negative."""
    image = ops.parameter([1, channels, -1, -1, -1], np.float32)
    weights = np.arange(1, channels + 1, dtype=np.float32).reshape(1, channels, 1, 1, 1)
    total = ops.reduce_sum(ops.multiply(image, weights), np.array([1]), keep_dims=True)
    model = openvino.Model([ops.concat([total, ops.negative(total)], 1)], [image])
    openvino.save_model(model, path, compress_to_fp16=False)
    return path


def test_an_image_without_channels_is_one_of_one_channel(tmp_path):
    image = np.random.default_rng(0).random((4, 5, 6), np.float32)

    found = openvino_predictor(saved(tmp_path / "model.xml", 1))(image)

    np.testing.assert_allclose(found, [image, -image])


def test_the_channels_of_an_image_arrive_in_their_order_whatever_its_size(tmp_path):
    predict = openvino_predictor(saved(tmp_path / "model.xml", 3))

    for shape in ((4, 5, 6), (7, 3, 2), (4, 5, 6)):
        channels = np.random.default_rng(1).random((3, *shape), np.float32)
        expected = channels[0] + 2 * channels[1] + 3 * channels[2]
        np.testing.assert_allclose(predict(channels), [expected, -expected], rtol=1e-5)


def test_what_is_no_network_is_refused(tmp_path):
    (tmp_path / "model.xml").write_text("no network")

    with pytest.raises(ModelError, match=r"model\.xml cannot be read.*--backend torch"):
        openvino_predictor(tmp_path / "model.xml")
