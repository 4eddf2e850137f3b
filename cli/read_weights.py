"""Weights in a file of others, as tensors: a state dict, or a network that was pickled whole."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from cli import unpickle_weights
from imaging.model_package import sha256_of
from imaging.outcome import ModelError, UsageError

Tensors = dict[str, torch.Tensor]
Layers = dict[str, dict[str, Any]]

STATE_KEYS = ("state_dict", "model_state_dict", "model", "network", "net", "average")
"""Under which a checkpoint keeps the weights beside other things."""
DAMAGED = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError)
"""What torch raises on a file that is no file of its own, or a part of one."""
SHOWN = 300
"""Characters of a message of another process."""
TIME_LIMIT_S = 300.0
PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
"""What of the environment another process gets: no keys, no tokens, no folder of the user."""
UNPICKLED = "pickled network, unpickled in a process of its own"
READ_INERT = "pickled network, read without running anything of it"


@dataclass(frozen=True, kw_only=True)
class Source:
    """The weights of one network as they came."""

    file: str  # its name, without its folder
    sha256: str
    kind: str
    state: Tensors
    layers: Layers | None = None  # class and attributes of every module; a state dict does not say
    transforms: list[dict[str, Any]] = field(default_factory=list)  # how a learner normalises intensities
    image: torch.Tensor | None = None  # noise, and what the network itself made of it where it was run
    output: torch.Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class Variables:
    """What fastMONAI keeps beside a learner; axes in the order of its arrays."""

    size: list[int] | None = None
    reorder: bool = False  # whether images are brought to RAS+
    spacing_mm: list[float] | None = None


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How a pickle is read: in another process, by which Python, and whether it may run its code."""

    trust: bool = False
    python: str = sys.executable
    time_limit_s: float = TIME_LIMIT_S


def read_weights(path: Path, reader: Reader) -> Source:
    """Return the weights in a file; ModelError when it holds none or is damaged.

    Here only tensors are ever loaded. What holds more is read in a process of its own.
    """
    if not path.is_file():
        raise UsageError(f"A file of weights is needed, {path} is none. Give a .pt, .pth, .safetensors or .pkl file.")
    digest = sha256_of(path)
    safe = path.suffix == ".safetensors"
    if safe and importlib.util.find_spec("safetensors") is None:
        raise UsageError("Reading .safetensors needs a library that is not installed: pip install safetensors")
    if is_torchscript(path):
        raise ModelError(
            f"{path.name} is TorchScript already: there is nothing to import. Put it into a folder of a model with a "
            "metadata.json; the model cards say how."
        )
    if (safe or not reader.trust) and (state := _read_state(path)) is not None:
        return Source(file=path.name, sha256=digest, kind="safetensors" if safe else "state dict", state=state)
    return _read_pickled(path, digest, reader)


def read_variables(path: Path, reader: Reader) -> Variables:
    """Return fastMONAI's variables: JSON, or a pickle of [size, reorder, spacing]; ModelError when it is neither."""
    if not path.is_file():
        raise UsageError(
            f"A file of variables is needed, {path} is none. Give the vars.pkl that belongs to the weights."
        )
    try:
        values = json.loads(path.read_bytes())
    except ValueError:
        with tempfile.TemporaryDirectory() as folder:
            result = _run_child(reader, Path(folder), "--variables", str(path.absolute()))
            if "error" in result:
                raise _no_variables(path, result["error"]) from None
            values = result["variables"]
    try:
        size, reorder, spacing_mm = values
        spacing_mm = [spacing_mm] * 3 if isinstance(spacing_mm, int | float) else spacing_mm
        return Variables(
            size=[int(n) for n in _three(size)] if size else None,
            reorder=bool(reorder),
            spacing_mm=[float(mm) for mm in _three(spacing_mm)] if spacing_mm else None,
        )
    except (TypeError, ValueError) as error:
        raise _no_variables(path, type(error).__name__) from error


def _three(values: Any) -> Any:
    if len(values) != 3:
        raise ValueError(f"three values are needed, got {len(values)}")
    return values


def _no_variables(path: Path, found: str) -> ModelError:
    return ModelError(
        f"{path.name} must hold fastMONAI's [size, reorder, spacing]; it does not ({found}). Leave --vars out and give "
        "--size, --orientation and --spacing."
    )


def is_torchscript(path: Path) -> bool:
    """Return whether a file is an archive of TorchScript."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False


def _read_state(path: Path) -> Tensors | None:
    """Return the tensors of a state dict or checkpoint, None when the file holds more than that."""
    damaged: tuple[type[Exception], ...] = (*DAMAGED, *_safetensor_errors())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        return None  # objects: for the other process
    except damaged as error:
        raise _damaged(path, error) from error
    state = state_in(loaded)
    if state is None:
        raise ModelError(
            f"{path.name} must hold a state dict: tensors by name, by themselves or under one of "
            f"{', '.join(STATE_KEYS)}. It holds {_contents(loaded)}. Save network.state_dict() with torch.save."
        )
    return state


def _safetensor_errors() -> tuple[type[Exception], ...]:
    if importlib.util.find_spec("safetensors") is None:
        return ()
    return (importlib.import_module("safetensors").SafetensorError,)


def state_in(loaded: Any) -> Tensors | None:
    """Return the state dict that was loaded, or the one in a checkpoint.

    >>> state_in({"epoch": 3, "state_dict": {"a": torch.zeros(1)}})
    {'a': tensor([0.])}
    """
    if not isinstance(loaded, dict):
        return None
    if loaded and all(isinstance(value, torch.Tensor) for value in loaded.values()):
        return {str(key): value for key, value in loaded.items()}
    found = (state_in(loaded[key]) for key in STATE_KEYS if key in loaded)
    return next((state for state in found if state is not None), None)


def _contents(loaded: Any) -> str:
    keys = [str(key)[:40] for key in loaded][:5] if isinstance(loaded, dict) else []
    return f"a dict of {', '.join(keys) or 'nothing'}" if isinstance(loaded, dict) else type(loaded).__name__


def _damaged(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{path.name} cannot be read ({type(error).__name__}): it is cut short or holds no weights. Download it again."
    )


def _read_pickled(path: Path, digest: str, reader: Reader) -> Source:
    arguments = ["--weights", str(path.absolute()), *(["--trust"] if reader.trust else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = _run_child(reader, folder, *arguments)
        if "error" in result:
            raise _unreadable(path, result, reader)
        try:
            state = torch.load(folder / unpickle_weights.WEIGHTS, weights_only=True)
            ran = folder / unpickle_weights.EXAMPLE  # not there of a state dict, which cannot run
            example = torch.load(ran, weights_only=True) if ran.is_file() else {}
        except (pickle.UnpicklingError, *DAMAGED) as error:
            raise _damaged(path, error) from error
    return Source(
        file=path.name,
        sha256=digest,
        kind=UNPICKLED if reader.trust else READ_INERT,
        state=dict(state),
        layers=result["layers"],
        transforms=result["transforms"],
        image=example.get("image"),
        output=example.get("output"),
    )


def _run_child(reader: Reader, folder: Path, *arguments: str) -> dict[str, Any]:
    """Run the reader of pickles; return its result, with "error" in it when there is none."""
    home = folder / "home"
    home.mkdir()
    kept = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
    python = Path(shutil.which(reader.python) or reader.python).absolute()  # not resolved: a link tells the environment
    command = [str(python), "-I", "-W", "ignore", unpickle_weights.__file__, str(folder), *arguments]
    try:
        child = subprocess.Popen(  # noqa: S603 - the Python the user names, and no shell
            command,
            cwd=home,
            env={**kept, "HOME": str(home), "TMPDIR": str(home), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(f"{reader.python} cannot be started. Give --python the Python of an environment.") from error
    try:
        child.wait(reader.time_limit_s)
    except subprocess.TimeoutExpired:
        return {"error": "TimeoutExpired", "message": f"not done after {reader.time_limit_s:g} s", "missing": None}
    finally:
        _end(child)
    try:
        return dict(json.loads((folder / unpickle_weights.RESULT).read_text()))
    except (OSError, ValueError):
        return {"error": "died", "message": f"exit code {child.returncode}", "missing": None}


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a process and those it started: what a pickle starts must not outlive it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _unreadable(path: Path, result: dict[str, Any], reader: Reader) -> ModelError:
    error, message = str(result["error"]), " ".join(str(result.get("message")).split())[:SHOWN]
    if error == "ModuleNotFoundError":
        missing = str(result.get("missing") or "a library").partition(".")[0]
        python = Path(reader.python).name
        return ModelError(
            f"Unpickling {path.name} needs {missing}, which {python} does not have. Leave --trust-pickle out: the "
            f"weights are then read without it; or give --python the Python of an environment with {missing}."
        )
    if reader.trust:
        return ModelError(
            f"{path.name} could not be unpickled and run ({error}: {message}). Leave --trust-pickle out: the weights "
            "are then read without running anything; or give --python the environment it was made in."
        )
    return ModelError(
        f"{path.name} holds neither a state dict nor a network ({error}: {message}). Download it again, or save "
        "network.state_dict() with torch.save where the network was made."
    )
