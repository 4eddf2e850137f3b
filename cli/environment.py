"""The process an application runs in: quiet, and able to start on a host without CUDA."""

from __future__ import annotations

import ctypes
import importlib.util
import os
from pathlib import Path

from cli.hush import hush_libraries

OLD_NAMES = {
    "HOLOSCAN_INPUT_PATH": "MONAI_INPUTPATH",
    "HOLOSCAN_OUTPUT_PATH": "MONAI_OUTPUTPATH",
    "HOLOSCAN_MODEL_PATH": "MONAI_MODELPATH",
    "HOLOSCAN_WORKDIR": "MONAI_WORKDIR",
}
"""Environment variables of MAP specification 1.0 and their names in 0.1."""
CUDA_RUNTIME = "lib/libcudart.so.13"


def prepare_process(level: str) -> None:
    """Make the SDK importable and quiet; call before it, or numpy, is imported."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads wait by spinning: more CPU time, no faster here
    adopt_old_names()
    forget_missing_config()
    preload_cuda_runtime()
    os.environ.setdefault("HOLOSCAN_LOG_LEVEL", "DEBUG" if level == "DEBUG" else "OFF")
    os.environ.setdefault("HOME", "/tmp")  # noqa: S108  cupy and openvino look for it at import
    hush_libraries(level)


def adopt_old_names() -> None:
    """Give each HOLOSCAN_ variable that is not set the value of its older MONAI_ name."""
    for new, old in OLD_NAMES.items():
        if old in os.environ:
            os.environ.setdefault(new, os.environ[old])


def forget_missing_config() -> None:
    """Drop the name of a configuration file that is not there: Holoscan would refuse to start for a file nobody needs.

    A host that mounts a folder over the image's working directory hides it.
    """
    path = os.environ.get("HOLOSCAN_CONFIG_PATH")
    if path and not Path(path).is_file():
        del os.environ["HOLOSCAN_CONFIG_PATH"]


def preload_cuda_runtime() -> None:
    """Load the CUDA runtime of the pip package ``nvidia-cuda-runtime``: Holoscan links to it, also on a CPU."""
    spec = importlib.util.find_spec("nvidia")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder, "cu13", CUDA_RUNTIME)
        if path.exists():
            ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
            return
