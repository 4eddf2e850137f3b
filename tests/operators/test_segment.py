import importlib
import warnings

import numpy as np
import pytest
import torch

from cli.environment import preload_cuda_runtime
from imaging.model_package import ModelInput, ModelPackage
from imaging.outcome import ModelError
from imaging.run_record import RunRecord

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # deprecated, and still the format


@pytest.fixture(scope="module", name="segment")
def _segment():
    """The module; Holoscan warns of the stack size when it is imported."""
    preload_cuda_runtime()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("operators.segment")


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
        weights=path,
        sha256="",
        openvino=None,
        input=ModelInput(spacing_mm=2.0, multiple=16, maximum=144),
        threshold=0.5,
    )


@pytest.fixture(name="image")
def _image():
    return np.random.default_rng(0).random((20, 30, 25), np.float32)


def step_of(segment, model, backend="torch"):
    """The operator without a graph around it."""
    step = segment.Segment.__new__(segment.Segment)
    step.model, step.backend, step.record = model, backend, RunRecord()
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
        segment.choose_predictor(model, "openvino")


def test_weights_that_are_no_torchscript_are_refused(segment, model):
    model.weights.write_bytes(b"weights of another kind")

    with pytest.raises(ModelError, match=r"torch\.jit\.save"):
        segment.torchscript_predictor(model, "cpu")
