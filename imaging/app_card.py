"""What an application is, in typed data: for ``list``, ``explain`` and the record of a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from imaging.select_series import SeriesRule


@dataclass(frozen=True, kw_only=True)
class AppCard:
    """Name, version and needs of an application."""

    name: str
    version: str
    title: str
    inputs: str
    outputs: tuple[str, ...]
    model: str  # folder below the folder of models
    rule: SeriesRule
    companions: tuple[SeriesRule, ...] = ()  # of the series that must go with the first one


def option(default: bool | str, text: str) -> Any:
    """Return a field of an application's options: its default, and what the command line says of it."""
    return field(default=default, metadata={"help": text})
