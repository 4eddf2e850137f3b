"""Stand-in for two names that the App SDK imports."""

from __future__ import annotations


class ModelConfig:
    """Says that there is none."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        raise ImportError("This image has no client of Triton servers: its networks run inside the container.")


class DataType:
    """Has no members."""
