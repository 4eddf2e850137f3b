"""Let the SDK and OpenVINO be imported without modules they import and these applications do not use.

``monai.deploy.core`` imports torch and a client of Triton servers, ``openvino`` its converter of models. That costs
CPU time, seconds for torch, at every start. A stand-in takes the place of such a module in ``sys.modules`` until
something is asked of it: then the real one is imported and the stand-in passes everything through. It is used only for
the applications of this suite.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

DEFERRED: Mapping[str, tuple[str, ...]] = {
    "torch": (),
    "tritonclient": (),
    "tritonclient.http": (),
    "tritonclient.grpc": (),
    "tritonclient.grpc.model_config_pb2": ("DataType", "ModelConfig"),
    "openvino.tools.ovc": ("convert_model",),
}
"""Modules, parents first, and what their importers take from them at once: it gets a stand-in of its own."""


class _StandIn(ModuleType):
    """Looks like a module; imports it when an attribute is needed."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(attribute)
        if attribute in DEFERRED[self.__name__]:
            return _Name(self, attribute)
        return getattr(_load(self), attribute)


class _Name:
    """A class or function of a module that is not imported yet."""

    def __init__(self, stand_in: _StandIn, name: str) -> None:
        self._stand_in, self._name = stand_in, name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(getattr(_load(self._stand_in), self._name), attribute)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return getattr(_load(self._stand_in), self._name)(*arguments, **named)


class _SubmoduleFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the real module before any of its submodules is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        stand_in = sys.modules.get(fullname.rpartition(".")[0])
        if not isinstance(stand_in, _StandIn):
            return None
        _load(stand_in)
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return importlib.import_module(spec.name)  # the real parent may have imported it: never run it twice

    def exec_module(self, module: ModuleType) -> None:
        """Do nothing: the module has run."""


def defer_imports() -> None:
    """Put the stand-ins in place, except for what is imported already or not installed."""
    packages = {name.partition(".")[0] for name in DEFERRED}
    specs = {name: importlib.util.find_spec(name) for name in packages if name not in sys.modules}
    for name in DEFERRED:
        parent, _, last = name.rpartition(".")
        spec = specs.get(name.partition(".")[0])
        if spec is None or spec.origin is None:
            continue
        stand_in = sys.modules[name] = _StandIn(name)
        stand_in.__path__ = []
        if not parent:
            stand_in.__spec__, stand_in.__file__ = spec, spec.origin
        elif isinstance(sys.modules.get(parent), _StandIn):
            setattr(sys.modules[parent], last, stand_in)
    sys.meta_path.insert(0, _SubmoduleFinder())


def _load(stand_in: _StandIn) -> ModuleType:
    """Return the real module after taking away the stand-ins of its package."""
    package = stand_in.__name__.partition(".")[0]
    for name in DEFERRED:
        if name.partition(".")[0] == package and isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
    return importlib.import_module(stand_in.__name__)
