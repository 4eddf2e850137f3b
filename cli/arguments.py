"""Command line of an application: the App SDK's five options, and the application's own."""

from __future__ import annotations

import argparse
import os
import typing
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields, replace
from pathlib import Path
from typing import Any

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "CRITICAL")
NO = ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Paths:
    """Where a run reads and writes: command line over environment over default."""

    input: Path
    output: Path
    models: Path
    level: str

    def absolute(self) -> Paths:
        """Return the same paths from the root, links not followed."""
        return replace(self, input=self.input.absolute(), output=self.output.absolute(), models=self.models.absolute())


@dataclass(frozen=True, kw_only=True)
class HostRules:
    """What the host makes of a run that does not succeed; see docs/outcomes.md."""

    empty_on_failure: bool = False
    nothing_eligible_ok: bool = False


def add_paths(parser: argparse.ArgumentParser) -> None:
    """Add -i, -o, -m, -w and -l."""
    parser.add_argument("-i", "--input", type=Path, help="folder or file to read (HOLOSCAN_INPUT_PATH, default: input)")
    parser.add_argument("-o", "--output", type=Path, help="folder to write (HOLOSCAN_OUTPUT_PATH, default: output)")
    parser.add_argument("-m", "--model", type=Path, help="folder of models (HOLOSCAN_MODEL_PATH, default: models)")
    parser.add_argument(
        "-w",
        "--workdir",
        type=Path,
        help="accepted because hosts pass it (HOLOSCAN_WORKDIR), and not used: nothing is read, written or made there",
    )
    parser.add_argument(
        "-l", "--log-level", type=str.upper, choices=LEVELS, help="detail of the log on standard error (default: WARN)"
    )


def resolve_paths(options: argparse.Namespace, default_models: Path) -> Paths:
    """Return the paths of a run from parsed options and the environment."""
    return Paths(
        input=Path(options.input or os.environ.get("HOLOSCAN_INPUT_PATH") or "input"),
        output=Path(options.output or os.environ.get("HOLOSCAN_OUTPUT_PATH") or "output"),
        models=Path(options.model or os.environ.get("HOLOSCAN_MODEL_PATH") or default_models),
        level=options.log_level or "WARN",
    )


def add_host_rules(parser: argparse.ArgumentParser) -> None:
    """Add what a host may need that does not read exit codes, or takes each of them for an error."""
    parser.add_argument(
        "--empty-on-failure",
        action=argparse.BooleanOptionalAction,
        help="leave nothing in the output folder unless the run succeeds, for hosts that ignore the exit code and take "
        "an empty folder for a failure (MAP_EMPTY_ON_FAILURE)",
    )
    parser.add_argument(
        "--nothing-eligible-ok",
        action=argparse.BooleanOptionalAction,
        help="end in 0 instead of 3 when the input holds nothing to work on; metadata.json says so as ever "
        "(MAP_NOTHING_ELIGIBLE_OK)",
    )


def resolve_host_rules(options: argparse.Namespace) -> HostRules:
    """Return the host's rules: command line over environment."""
    return HostRules(
        empty_on_failure=_flag(options.empty_on_failure, "MAP_EMPTY_ON_FAILURE"),
        nothing_eligible_ok=_flag(options.nothing_eligible_ok, "MAP_NOTHING_ELIGIBLE_OK"),
    )


def _flag(given: bool | None, name: str) -> bool:
    return os.environ.get(name, "").strip().lower() not in NO if given is None else given


def add_dataclass(parser: argparse.ArgumentParser, options: type[Any]) -> None:
    """Add one option for each field of a dataclass, its own first: flags for bool, choices for Literal."""
    hints = typing.get_type_hints(options)
    own = options.__annotations__  # before what it has in common with others
    for item in sorted(fields(options), key=lambda item: item.name not in own):
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
