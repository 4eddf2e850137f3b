"""What an application is, in typed data: for ``list``, ``explain`` and the record of a run."""

from __future__ import annotations

from dataclasses import dataclass

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
