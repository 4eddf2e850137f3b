"""YAML of plain data, without a library: block style, every text in JSON's double quotes, which YAML shares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

PLAIN_KEY = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null)$)[a-z][a-z0-9./-]*", re.IGNORECASE)
"""Not what a reader of YAML 1.1 takes for a truth value or null."""

Data = Mapping[str, "Data"] | Sequence["Data"] | str | int | bool


def to_yaml(data: Data) -> str:
    """Return a YAML document of nested mappings, sequences, texts, whole numbers and truth values."""
    return "\n".join(_lines(data)) + "\n"


def _lines(data: Data) -> Iterator[str]:
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _entry(f"{key if PLAIN_KEY.fullmatch(key) else json.dumps(key)}:", value)
    elif isinstance(data, Sequence) and not isinstance(data, str) and data:
        for value in data:
            inner = list(_lines(value))
            yield f"- {inner[0]}"
            yield from (f"  {line}" for line in inner[1:])
    else:
        yield _scalar(data)


def _entry(key: str, value: Data) -> Iterator[str]:
    if isinstance(value, Mapping | list | tuple) and value:
        yield key
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{key} {_scalar(value)}"


def _scalar(value: Data) -> str:
    if isinstance(value, bool | int | str):
        return json.dumps(value, ensure_ascii=False)
    return "{}" if isinstance(value, Mapping) else "[]"
