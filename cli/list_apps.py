"""``monai-deploy list``: the applications, what they read and write, their model and version."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from cli.defer_imports import defer_imports
from cli.environment import prepare_process
from cli.find_app import app_names, apps_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(options: argparse.Namespace) -> int:
    """Print the list."""
    from cli.run import load_app

    prepare_process("WARN")
    defer_imports()
    cards = [load_app(apps_folder() / name).CARD for name in app_names()]
    facts: list[dict[str, Any]] = [
        {
            "name": card.name, "version": card.version, "title": card.title, "inputs": card.inputs,
            "outputs": list(card.outputs), "model": card.model,
        }
        for card in cards
    ]  # fmt: skip
    if options.json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return 0
    for fact in facts:
        sys.stdout.write(
            f"{fact['name']} {fact['version']}: {fact['title']}\n  reads   {fact['inputs']}\n"
            f"  writes  {', '.join(fact['outputs'])}\n  model   {fact['model']}\n"
        )
    return 0
