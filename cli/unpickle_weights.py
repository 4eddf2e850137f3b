"""Read a pickled network in a process of its own and leave plain tensors, and facts about its layers, behind.

    python -I unpickle_weights.py RESULT [--weights FILE] [--variables FILE] [--trust]

Needs torch and nothing of the suite, so that the Python of an environment with fastMONAI can run it. A pickle is a
program: loading it in the usual way runs whatever its author, or who changed it, put there. Here nothing of it runs:
tensors are rebuilt, and every class and function the pickle names becomes an object that only keeps what it is given.
With ``--trust`` it is loaded in the usual way instead, and the network runs once on noise, as a reference.

Writes below RESULT: ``weights.pt`` (a state dict, readable with ``weights_only``), ``example.pt`` (with ``--trust``)
and, last, ``result.json``.
"""

from __future__ import annotations

import argparse
import json
import pickle
import types
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESULT = "result.json"
WEIGHTS = "weights.pt"
EXAMPLE = "example.pt"
ATTRIBUTES = (
    "stride", "padding", "output_padding", "dilation", "groups", "padding_mode", "eps", "affine", "num_groups",
    "negative_slope", "mode", "dim",
)  # fmt: skip
"""Of layers, those that change what a network computes and cannot be seen in its tensors."""
REBUILDERS = {
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch", "device"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("builtins", "set"),
    ("builtins", "frozenset"),
    ("__builtin__", "set"),
}
"""What a pickle may call: nothing but makers of tensors and containers."""
NORMALISATIONS = ("ZNormalization", "RescaleIntensity", "NormalizeIntensity")
"""fastMONAI's transforms of intensities, by class name."""
MASKING = ("_masking_method_arg", "channel_wise")
"""Of these transforms, what tells over which voxels and channels they work."""
MOST_OBJECTS = 100_000
EXAMPLE_CELLS = 2
"""Of the deepest level along each axis: with one, instance normalisation has nothing to average."""


class Inert:
    """Stands for an object of a class, or for what a function returned, that was not loaded: keeps what it is given."""

    origin = ""

    def __new__(cls, *args: Any, **_: Any) -> Inert:
        made = object.__new__(cls)
        object.__setattr__(made, "given", args)
        return made

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *args: Any, **_: Any) -> Inert:
        return Inert(*args)

    def __setstate__(self, state: Any) -> None:
        parts = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
        for part in parts:
            if isinstance(part, dict):
                self.__dict__.update({key: value for key, value in part.items() if isinstance(key, str)})

    def __setitem__(self, key: Any, value: Any) -> None:
        self.__dict__.setdefault("items", []).append(value)

    def append(self, value: Any) -> None:
        """Keep an element of a list."""
        self.__dict__.setdefault("items", []).append(value)

    def extend(self, values: Any) -> None:
        """Keep elements of a list."""
        self.__dict__.setdefault("items", []).extend(values)

    add = append


class InertUnpickler(pickle.Unpickler):
    """Rebuilds tensors; of everything else only what it was given is kept, and none of its code is imported or run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in REBUILDERS:
            return super().find_class(module, name)
        if module.startswith("numpy") and name in ("scalar", "dtype"):
            return numpy_maker(name)
        if module == "torch":
            import torch

            if isinstance(found := getattr(torch, name, None), torch.dtype):
                return found
        return type(name.rpartition(".")[2] or "Inert", (Inert,), {"origin": f"{module}.{name}"})


def numpy_maker(name: str) -> Any:
    """Return the function that stands for numpy's ``scalar`` or ``dtype``; a pickle of plain numbers may hold both."""
    if name == "dtype":
        return lambda code, *_: Inert(str(code))

    def scalar(kind: Any, raw: Any) -> Any:
        import numpy as np

        plain = np.dtype(kind.given[0])
        if plain.hasobject or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("a number was expected")
        return np.frombuffer(raw, plain)[0].item()

    return scalar


def load_inert(path: Path) -> Any:
    """Return the objects of a file of torch.save, without running anything of it."""
    import torch

    if not zipfile.is_zipfile(path):
        raise pickle.UnpicklingError("this is no file of torch.save, or one cut short")
    careful = types.SimpleNamespace(__name__="inert", Unpickler=InertUnpickler, load=None)
    return torch.load(path, map_location="cpu", weights_only=False, pickle_module=careful)


def load_trusted(path: Path) -> Any:
    """Return the objects of a file of torch.save, running what it says."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=False)


def network_of(loaded: Any) -> Any:
    """Return the network in what was loaded: the object itself, or the model of a learner; None without one."""
    for found in (loaded, *(loaded.values() if isinstance(loaded, dict) else (_attribute(loaded, "model"),))):
        if isinstance(_attribute(found, "_modules"), dict):
            return found
    return None


def _attribute(value: Any, name: str) -> Any:
    return getattr(value, "__dict__", {}).get(name)


def tensors_of(network: Any) -> dict[str, Any]:
    """Return the state dict of a network, loaded or inert, as plain tensors."""
    import torch

    result = {}
    for name, module in modules_of(network):
        own = vars(module)
        kept = {**own["_parameters"], **_persistent(own)}
        for key, value in kept.items():
            if isinstance(value, torch.Tensor):
                result[f"{name}.{key}".lstrip(".")] = value.detach().as_subclass(torch.Tensor).cpu().clone()
    return result


def _persistent(own: dict[str, Any]) -> dict[str, Any]:
    passing = own.get("_non_persistent_buffers_set", ())
    return {key: value for key, value in own["_buffers"].items() if key not in passing}


def modules_of(network: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the modules of a network, loaded or inert, with their names, in their order."""
    yield name, network
    for key, module in vars(network)["_modules"].items():
        if module is not None:
            yield from modules_of(module, f"{name}.{key}".lstrip("."))


def layers_of(network: Any) -> dict[str, dict[str, Any]]:
    """Return class and attributes of every module of a network, loaded or inert, by its name."""
    return {name: {"class": class_of(module), **_facts(vars(module))} for name, module in modules_of(network)}


def _facts(own: dict[str, Any]) -> dict[str, Any]:
    return {key: plain(own[key]) for key in ATTRIBUTES if key in own}


def class_of(value: Any) -> str:
    """Return the full name of the class of an object, also of one that stands for it."""
    kind = type(value)
    return kind.origin if isinstance(value, Inert) else f"{kind.__module__}.{kind.__qualname__}"


def plain(value: Any) -> Any:
    """Return a value of JSON; of an inert object what it was made of, such as the value of an enumeration."""
    if isinstance(value, Inert):
        return plain(value.given[0]) if value.given else class_of(value)  # type: ignore[attr-defined]
    if isinstance(value, str):
        return str(value)  # an enumeration whose members are text
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    return value if isinstance(value, bool | int | float) or value is None else str(value)


def transforms_of(loaded: Any) -> list[dict[str, Any]]:
    """Return how a learner normalises intensities: class names and arguments, each once."""
    found: dict[str, dict[str, Any]] = {}
    waiting = [_attribute(loaded, "dls")]
    seen: set[int] = set()
    while waiting and len(seen) < MOST_OBJECTS:
        value = waiting.pop()
        if id(value) in seen or value is None or isinstance(value, type | str | bytes | int | float):
            continue
        seen.add(id(value))
        name = class_of(value).rpartition(".")[2]
        if name in NORMALISATIONS and not class_of(value).startswith("torchio."):
            own = {key: plain(one) for key, one in vars(value).items() if key in MASKING}
            found[json.dumps([name, own], default=str)] = {"name": name, **own}
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple | set):
            waiting += value
        else:
            waiting += getattr(value, "__dict__", {}).values()
    return list(found.values())


def run_once(network: Any) -> dict[str, Any]:
    """Return noise and what the network makes of it."""
    import torch

    layers = [facts for facts in layers_of(network).values() if facts["class"].endswith(".ConvTranspose3d")]
    size = [EXAMPLE_CELLS] * 3
    for facts in layers:
        size = [have * step for have, step in zip(size, facts["stride"], strict=True)]
    first = next(iter(tensors_of(network).values()))
    image = torch.randn(1, first.shape[1], *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        output = network.float().eval()(image)
    return {"image": image, "output": output.as_subclass(torch.Tensor).clone()}


def read_network(path: Path, folder: Path, *, trust: bool) -> dict[str, Any]:
    """Write the tensors of a pickled network below a folder and return the facts about it."""
    import torch

    loaded = load_trusted(path) if trust else load_inert(path)
    network = network_of(loaded)
    if network is None:
        tensors = [value for value in _mappings(loaded) if _is_state(value)]
        if not tensors:
            raise LookupError(f"an object of {class_of(loaded)} holds no network")
        torch.save(OrderedDict(tensors[0]), folder / WEIGHTS)
        return {"layers": None, "transforms": []}
    torch.save(tensors_of(network), folder / WEIGHTS)
    if trust:
        torch.save(run_once(network), folder / EXAMPLE)
    return {"layers": layers_of(network), "transforms": transforms_of(loaded)}


def _mappings(value: Any, depth: int = 2) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        if depth:
            for one in value.values():
                yield from _mappings(one, depth - 1)


def _is_state(value: dict[str, Any]) -> bool:
    import torch

    return bool(value) and all(isinstance(key, str) for key in value) and all(
        isinstance(one, torch.Tensor) for one in value.values()
    )  # fmt: skip


def read_variables(path: Path) -> Any:
    """Return the values of a pickle that holds nothing but numbers, lists and text."""
    with path.open("rb") as file:
        return plain(InertUnpickler(file).load())


def main() -> None:
    """Parse the command line, read, and write the result or why there is none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="RESULT")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--variables", type=Path)
    parser.add_argument("--trust", action="store_true")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    try:
        if options.variables is not None:
            result["variables"] = read_variables(options.variables)
        if options.weights is not None:
            result.update(read_network(options.weights, options.folder, trust=options.trust))
    except Exception as error:  # noqa: BLE001 - a pickle may raise anything, and all of it is the same to the caller
        result = {"error": type(error).__name__, "message": str(error)[:300], "missing": getattr(error, "name", None)}
    (options.folder / RESULT).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
