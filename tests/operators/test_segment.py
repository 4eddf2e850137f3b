from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from highdicom import ChannelDescriptor, Volume

from imaging.model_package import ModelInput, ModelPackage, Weights
from imaging.outcome import ModelError
from imaging.run_record import RunRecord
from tests.operators.run_operator import operator_module

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # deprecated, and still the format


@pytest.fixture(scope="module", name="segment")
def _segment():
    return operator_module("segment")


class Doubled(torch.nn.Module):
    """A network whose output tells its input: twice the image, minus one."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image * 2 - 1


@pytest.fixture(name="model")
def _model(tmp_path):
    path = tmp_path / "model.ts"
    torch.jit.script(Doubled()).save(str(path))
    return ModelPackage(
        name="doubled",
        version="1",
        members=(Weights(torchscript=path, sha256="", openvino=None),),
        input=ModelInput(spacing_mm=(2.0,) * 3, multiple=(16,) * 3, maximum=(144,) * 3),
        threshold=0.5,
    )


@pytest.fixture(name="image")
def _image():
    return np.random.default_rng(0).random((20, 30, 25), np.float32)


def step_of(segment, model, backend="torch", mirror=()):
    """The operator without a graph around it."""
    step = segment.Segment.__new__(segment.Segment)
    step.model, step.backend, step.mirror, step.record = model, backend, mirror, RunRecord()
    return step


def test_torchscript_gets_the_image_and_its_output_comes_back(segment, model, image):
    step = step_of(segment, model)

    assert np.allclose(step._logits(image), image * 2 - 1)
    assert step.record.device.endswith("(TorchScript)")


@pytest.mark.parametrize("message", ["CUDA out of memory. Tried to allocate", "DefaultCPUAllocator: Out of memory"])
def test_without_memory_the_network_runs_window_by_window_and_the_user_is_told(
    segment, model, image, message, monkeypatch
):
    def exhausted(_image):
        raise RuntimeError(message)

    step = step_of(segment, model)
    monkeypatch.setattr(segment, "choose_predictor", lambda *_: (exhausted, "cuda (TorchScript)"))

    assert np.allclose(step._logits(image), image * 2 - 1, atol=1e-6)
    assert step.record.device == "cpu (TorchScript)"
    assert "Out of memory on cuda" in step.record.notes[0]


def test_any_other_failure_of_the_network_is_a_problem_of_the_model(segment, model, image, monkeypatch):
    def broken(_image):
        raise RuntimeError("expected 3 channels")

    monkeypatch.setattr(segment, "choose_predictor", lambda *_: (broken, "cpu (TorchScript)"))

    with pytest.raises(ModelError, match=r"\(20, 30, 25\)"):
        step_of(segment, model)._logits(image)


def test_openvino_cannot_be_asked_for_where_the_model_has_no_copy(segment, model):
    with pytest.raises(ModelError, match="--backend torch"):
        segment.choose_predictor(model.name, model.members[0], "openvino")


def test_weights_that_are_no_torchscript_are_refused(segment, model):
    model.members[0].torchscript.write_bytes(b"weights of another kind")

    with pytest.raises(ModelError, match=r"torch\.jit\.save"):
        segment.torchscript_predictor(model.members[0].torchscript, "cpu")


class Ramp(torch.nn.Module):
    """A network of two channels whose output grows along the columns, whatever the image."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        ramp = torch.arange(image.shape[-1], dtype=torch.float32).expand(image.shape)
        return torch.cat([ramp * self.gain, -ramp * self.gain], 1)


@pytest.fixture(name="ensemble")
def _ensemble(tmp_path, model):
    members = []
    for number, gain in enumerate((0.0, 0.1, 0.5)):
        path = tmp_path / f"fold{number}.ts"
        torch.jit.script(Ramp(gain)).save(str(path))
        members.append(Weights(torchscript=path, sha256="", openvino=None))
    return replace(model, members=tuple(members), channels=("body", "core"))


def test_the_probabilities_of_an_ensemble_are_averaged_channel_by_channel(segment, ensemble, image):
    body, core = step_of(segment, ensemble)._logits(image)

    chance = np.mean([1 / (1 + np.exp(-gain * np.arange(25))) for gain in (0.0, 0.1, 0.5)], axis=0)
    assert np.allclose(1 / (1 + np.exp(-body[3, 4])), chance, atol=1e-5)
    assert np.allclose(1 / (1 + np.exp(-core[3, 4])), 1 - chance, atol=1e-5)


def test_a_mirror_image_is_averaged_in_place(segment, ensemble, image):
    single = replace(ensemble, members=ensemble.members[1:2])

    body, _ = step_of(segment, single, mirror=(2,))._logits(image)

    chance = 1 / (1 + np.exp(-0.1 * np.arange(25)))
    assert np.allclose(1 / (1 + np.exp(-body[0, 0])), (chance + chance[::-1]) / 2, atol=1e-5)


def test_an_output_of_other_channels_than_promised_is_refused(segment, ensemble, image):
    with pytest.raises(ModelError, match=r"output of \(2, 20, 30, 25\)"):
        step_of(segment, replace(ensemble, channels=("body",)))._logits(image)


class Difference(torch.nn.Module):
    """A network of three channels in: it tells them apart, and the columns of the first."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        ramp = torch.arange(image.shape[-1], dtype=torch.float32)
        return image[:, :1] * ramp - 2 * image[:, 1:2] + 5 * image[:, 2:]


@pytest.fixture(name="three_channels")
def _three_channels(tmp_path, model):
    path = tmp_path / "difference.ts"
    torch.jit.script(Difference()).save(str(path))
    return replace(model, members=(Weights(torchscript=path, sha256="", openvino=None),))


def expected_of(channels):
    return channels[0] * np.arange(channels.shape[-1]) - 2 * channels[1] + 5 * channels[2]


def test_a_network_of_three_channels_gets_them_all(segment, three_channels):
    channels = np.random.default_rng(1).random((3, 6, 7, 9), np.float32)

    (found,) = step_of(segment, three_channels)._logits(channels)

    np.testing.assert_allclose(found, expected_of(channels), rtol=1e-5)


def test_the_channels_of_a_volume_are_its_last_axis_and_what_leaves_has_none(segment, three_channels):
    channels = np.random.default_rng(1).random((3, 6, 7, 9), np.float32)
    image = Volume(
        np.moveaxis(channels, 0, -1), np.diag([3.0, 1.0, 2.0, 1.0]), "PATIENT",
        channels={ChannelDescriptor("Sequence", is_custom=True, value_type=str): ["T2w", "DWI", "ADC"]},
    )  # fmt: skip
    sent = {}
    step_of(segment, three_channels).step(
        SimpleNamespace(receive=lambda _: image), SimpleNamespace(emit=lambda value, port: sent.update({port: value}))
    )

    (logits,) = sent.values()
    assert logits.shape == (6, 7, 9)
    np.testing.assert_array_equal(logits.affine, image.affine)
    np.testing.assert_allclose(logits.array, expected_of(channels), rtol=1e-5)


@pytest.mark.parametrize("axis", range(3))
def test_an_image_of_three_channels_is_mirrored_along_the_same_axes_of_space(segment, three_channels, axis):
    channels = np.random.default_rng(1).normal(0, 0.3, (3, 6, 7, 9)).astype(np.float32)

    (found,) = step_of(segment, three_channels, mirror=(axis,))._logits(channels)

    turned = np.flip(expected_of(np.flip(channels, axis + 1)), axis)
    chance = (1 / (1 + np.exp(-expected_of(channels))) + 1 / (1 + np.exp(-turned))) / 2
    np.testing.assert_allclose(1 / (1 + np.exp(-found)), chance, atol=1e-5)


def test_a_large_image_of_three_channels_goes_window_by_window(segment, three_channels):
    sliding = replace(three_channels, input=replace(three_channels.input, window=(4, 4, 20)))
    channels = np.random.default_rng(1).random((3, 6, 7, 9), np.float32)

    (found,) = step_of(segment, sliding)._logits(channels)

    np.testing.assert_allclose(found, expected_of(channels), atol=1e-4)  # a window of all columns: the ramp fits


def test_a_network_that_wants_other_channels_is_a_problem_of_the_model(segment, three_channels, image):
    with pytest.raises(ModelError, match="its metadata promises"):
        step_of(segment, three_channels)._logits(np.stack([image, image]))
