"""What is deferred is there when it is asked for, and only then."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.defer_imports import DEFERRED

ROOT = Path(__file__).parents[2]
START = """
import sys
from cli.environment import prepare_process
from cli.defer_imports import defer_imports
prepare_process("ERROR")
defer_imports()
"""


def run(script, *arguments):
    """Run in a process of its own, as stand-ins are for whole processes."""
    done = subprocess.run(
        [sys.executable, "-c", START + script, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_importing_the_sdk_and_openvino_imports_none_of_it():
    heavy = ["torch._C", "tritonclient.utils", "grpc", "gevent", "openvino_telemetry", "scipy"]

    imported = run(
        "import monai.deploy.core, openvino\nprint(*[name for name in sys.argv[1:] if name in sys.modules])", *heavy
    )

    assert imported == []


@pytest.mark.system
@pytest.mark.parametrize("name", DEFERRED)
def test_each_deferred_module_is_one_that_exists(name):
    script = "import importlib\nmodule = importlib.import_module(sys.argv[1])\ngetattr(module, 'anything', None)\n"

    found = run(
        script
        + "real = sys.modules[sys.argv[1]]\nprint(type(real).__name__, *[hasattr(real, n) for n in sys.argv[2:]])",
        name,
        *DEFERRED[name],
    )

    assert found == ["module", *["True" for _ in DEFERRED[name]]]


@pytest.mark.system
def test_the_sdk_still_reads_the_configuration_of_a_triton_model(tmp_path):
    (tmp_path / "config.pbtxt").write_text('name: "spleen" input { name: "image" data_type: TYPE_FP32 }')

    found = run(
        "import pathlib\n"
        "from monai.deploy.core.models.triton_model import DataType, httpclient, parse_triton_config_pbtxt\n"
        "config = parse_triton_config_pbtxt(pathlib.Path(sys.argv[1]))\n"
        "print(config.name, DataType.Name(config.input[0].data_type), httpclient.InferInput.__module__)",
        str(tmp_path / "config.pbtxt"),
    )

    assert found == ["spleen", "TYPE_FP32", "tritonclient.http._infer_input"]


@pytest.mark.system
@pytest.mark.parametrize("first", ["import torch", "import torch.nn.functional", "from torch import nn"])
def test_torch_is_whole_however_it_is_imported_first(first):
    found = run(
        f"{first}\nimport torch\n"
        "print(torch.nn.functional is sys.modules['torch.nn.functional'], issubclass(torch.nn.ReLU, torch.nn.Module),\n"
        "      float(torch.nn.functional.relu(torch.ones(1))))"
    )

    assert found == ["True", "True", "1.0"]


@pytest.mark.system
def test_openvino_still_converts():
    found = run("import openvino\nprint(openvino.convert_model.__name__, callable(openvino.convert_model))")

    assert found == ["convert_model", "True"]


def test_what_is_imported_already_is_left_alone():
    script = (
        "import json as torch, sys\nsys.modules['torch'] = torch\n" + START + "print(sys.modules['torch'] is torch)"
    )

    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["True"]
