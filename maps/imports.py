"""The modules from elsewhere that the suite imports: what a runtime compiles when it is built."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

OWN = ("apps", "cli", "imaging", "maps", "operators")
STAGED = ("apps", "cli", "imaging", "operators")


def imported_modules(root: Path) -> list[str]:
    """Return the names of all modules that the sources of a checkout import and do not hold, sorted."""
    paths = [path for folder in STAGED for path in (root / folder).rglob("*.py")]
    names = {name for path in paths for name in _imported(path)}
    return sorted(name for name in names if name.partition(".")[0] not in (*OWN, "__future__", "matplotlib"))


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
