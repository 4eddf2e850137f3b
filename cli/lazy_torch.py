"""Let the SDK be imported without importing torch.

``monai.deploy.core`` imports torch for a class few applications use, which costs seconds of CPU time at every start.
A stand-in takes its place in ``sys.modules`` until something is asked of it: then the real torch is imported and the
stand-in passes every attribute through. It is used only for the applications of this suite.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

NAME = "torch"


class _StandIn(ModuleType):
    """Looks like the module torch; becomes it when an attribute is needed."""

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(attribute)
        return getattr(_load(self), attribute)


class _SubmoduleFinder(importlib.abc.MetaPathFinder):
    """Imports the real torch before any of its submodules is imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.startswith(f"{NAME}."):
            stand_in = sys.modules.get(NAME)
            if isinstance(stand_in, _StandIn):
                _load(stand_in)
                return importlib.util.find_spec(fullname)
        return None


def defer_torch() -> None:
    """Put the stand-in in place, unless torch is imported already or not installed."""
    if NAME in sys.modules:
        return
    spec = importlib.util.find_spec(NAME)
    if spec is None or spec.origin is None:
        return
    stand_in = _StandIn(NAME)
    stand_in.__spec__, stand_in.__file__ = spec, spec.origin
    stand_in.__path__ = list(spec.submodule_search_locations or [])
    sys.modules[NAME] = stand_in
    sys.meta_path.insert(0, _SubmoduleFinder())


def _load(stand_in: _StandIn) -> ModuleType:
    if sys.modules.get(NAME) is stand_in:
        del sys.modules[NAME]
    return importlib.import_module(NAME)
