"""Command line of an application: the App SDK's five options, and the application's own."""

from __future__ import annotations

import argparse
import os
import typing
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class Paths:
    """Where a run reads and writes: command line over environment over default."""

    input: Path
    output: Path
    models: Path
    workdir: Path | None
    level: str


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add -i, -o, -m, -w and -l."""
    parser.add_argument("-i", "--input", type=Path, help="folder or file to read (HOLOSCAN_INPUT_PATH, default: input)")
    parser.add_argument("-o", "--output", type=Path, help="folder to write (HOLOSCAN_OUTPUT_PATH, default: output)")
    parser.add_argument("-m", "--model", type=Path, help="folder of models (HOLOSCAN_MODEL_PATH, default: models)")
    parser.add_argument(
        "-w",
        "--workdir",
        type=Path,
        help="accepted as hosts pass it (HOLOSCAN_WORKDIR); results are staged in the output folder",
    )
    parser.add_argument(
        "-l", "--log-level", type=str.upper, choices=LEVELS, help="detail of the log on standard error (default: WARN)"
    )


def resolve_paths(options: argparse.Namespace, default_models: Path) -> Paths:
    """Return the paths of a run from parsed options and the environment."""
    workdir = options.workdir or os.environ.get("HOLOSCAN_WORKDIR")
    return Paths(
        input=Path(options.input or os.environ.get("HOLOSCAN_INPUT_PATH") or "input"),
        output=Path(options.output or os.environ.get("HOLOSCAN_OUTPUT_PATH") or "output"),
        models=Path(options.model or os.environ.get("HOLOSCAN_MODEL_PATH") or default_models),
        workdir=Path(workdir) if workdir else None,
        level=options.log_level or "WARN",
    )


def add_dataclass(parser: argparse.ArgumentParser, options: type[Any]) -> None:
    """Add one option for each field of a dataclass: flags for bool, choices for Literal."""
    hints = typing.get_type_hints(options)
    for item in fields(options):
        flag, hint = f"--{item.name.replace('_', '-')}", hints[item.name]
        default = None if item.default is MISSING else item.default
        if hint is bool:
            action = argparse.BooleanOptionalAction
            parser.add_argument(flag, dest=item.name, action=action, default=default, help=item.metadata.get("help"))
        else:
            choices = typing.get_args(hint) or None
            parser.add_argument(flag, dest=item.name, choices=choices, default=default, help=item.metadata.get("help"))


def parse_options(parser: argparse.ArgumentParser, options: type[Any], argv: Sequence[str]) -> Any:
    """Return the application's options from the arguments the common parser left over; exits with 2 when wrong."""
    add_dataclass(parser, options)
    values = vars(parser.parse_args(argv))
    return options(**{item.name: values[item.name] for item in fields(options)})
