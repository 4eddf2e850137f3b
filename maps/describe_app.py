"""What an application's app.py says of itself, read without importing it: building needs no SDK."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging.deployment import Deployment
from imaging.outcome import UsageError

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, kw_only=True)
class AppDescription:
    """Name, version and needs of an application, as its CARD and its DEPLOYMENT have them."""

    name: str
    version: str
    title: str
    inputs: str
    outputs: tuple[str, ...]
    model: str  # folder below the folder of models
    deployment: Deployment


def app_names(root: Path = ROOT) -> list[str]:
    """Return the names of the applications of a checkout, sorted."""
    return sorted(path.parent.name for path in (root / "apps").glob("*/app.py"))


def describe_app(name: str, root: Path = ROOT) -> AppDescription:
    """Return the description of an application of a checkout; UsageError when there is none of that name.

    ValueError when CARD or DEPLOYMENT is missing, or a field that is needed is no literal.
    """
    if name not in app_names(root):
        raise UsageError(f"There is no application {name!r}. There are: {', '.join(app_names(root)) or 'none'}.")
    path = root / "apps" / name / "app.py"
    module = ast.parse(path.read_text())
    card, deployment = literal_keywords(module, "CARD"), literal_keywords(module, "DEPLOYMENT")
    try:
        return AppDescription(
            **{field: card[field] for field in ("name", "version", "title", "inputs", "outputs", "model")},
            deployment=Deployment(**deployment),
        )
    except KeyError as error:
        raise ValueError(f"{path}: CARD has no literal {error}") from error


def literal_keywords(module: ast.Module, constant: str) -> dict[str, Any]:
    """Return the keywords with literal values of ``CONSTANT = Class(...)`` at the top level of a module."""
    for statement in module.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call):
            continue
        if any(isinstance(target, ast.Name) and target.id == constant for target in statement.targets):
            return dict(_literals(statement.value))
    raise ValueError(f"no {constant} = ...(...) at the top level")


def _literals(call: ast.Call) -> list[tuple[str, Any]]:
    found = []
    for keyword in call.keywords:
        try:
            value = ast.literal_eval(keyword.value)
        except ValueError:
            continue  # a name or a call, such as the rule of a card
        if keyword.arg is not None:
            found.append((keyword.arg, value))
    return found
