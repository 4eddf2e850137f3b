"""Check workflow definitions before the Workflow Manager does, and against what it does not check."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from imaging.outcome import UsageError
from maps.workflow.check import RULES, check_workflow
from maps.workflow.definition import Workflow, read_workflow
from maps.workflow.rule import Surroundings

BROKEN = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument("file", type=Path, nargs="*", help="workflow definitions (JSON), checked together")
    parser.add_argument(
        "--source",
        action="append",
        metavar="AE_TITLE",
        help="a source of the Informatics Gateway; without, E06 is not checked",
    )
    parser.add_argument("--rules", action="store_true", help="list the rules")


def run(options: argparse.Namespace) -> int:
    """Say what each definition breaks; 1 if any does."""
    if options.rules:
        sys.stdout.writelines(f"{rule.code} {rule.says}\n" for rule in RULES)
        return 0
    if not options.file:
        raise UsageError("Give the files of workflow definitions, or --rules.")
    workflows = {path: load(path) for path in options.file}
    sources = None if options.source is None else frozenset(options.source)
    broken = 0
    for path, workflow in workflows.items():
        others = frozenset(other.name for file, other in workflows.items() if file != path)
        findings = check_workflow(workflow, Surroundings(workflow_names=others, sources=sources))
        sys.stdout.writelines(f"{path}: {finding}\n" for finding in findings)
        broken += bool(findings)
    sys.stdout.write(f"{len(workflows)} checked, {broken} with findings\n")
    return BROKEN if broken else 0


def load(path: Path) -> Workflow:
    """Return the workflow of a file; UsageError when it cannot be read."""
    try:
        content: Any = json.loads(path.read_text())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise UsageError(f"{path} is no JSON: {error}.") from error
    return read_workflow(content)
