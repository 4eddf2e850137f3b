"""``monai-deploy explain APP -i IN``: which series would be taken, and why each other one not."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cli.environment import prepare_process
from cli.find_app import find_app
from cli.lazy_torch import defer_torch
from imaging.outcome import ExitCode, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add APP, -i and --json."""
    parser.add_argument("app", metavar="APP", help="name or folder of an application of the suite")
    parser.add_argument("-i", "--input", type=Path, required=True, help="folder of a DICOM study")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(options: argparse.Namespace) -> int:
    """Print the verdict on every series; exit code 0 when one would be taken, 3 when none."""
    from cli.run import load_app
    from imaging.load_study import load_study
    from imaging.report_brain import verdict_facts
    from imaging.select_series import judge_study

    prepare_process("WARN")
    defer_torch()
    path = find_app(options.app)
    module = load_app(path if path.is_dir() else path.parent)
    if not hasattr(module, "CARD"):
        raise UsageError(f"explain needs an application of this suite; {options.app} has no CARD.")
    study = load_study(options.input)
    verdicts = judge_study(study, module.CARD.rule)
    taken = verdicts[0].eligible
    if options.json:
        facts = {
            "needs": module.CARD.rule.title,
            "found": study.counts(),
            "series": [verdict_facts(v) for v in verdicts],
        }
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        sys.stdout.write(f"{module.CARD.name} needs a {module.CARD.rule.title}. Found {study.counts()}.\n")
        for place, verdict in enumerate(verdicts):
            word = "TAKEN" if taken and place == 0 else "passed over" if verdict.eligible else "refused"
            sys.stdout.write(f"  {word:12} {verdict.score:6.2f}  {verdict.stack}: {'; '.join(verdict.reasons)}\n")
    return int(ExitCode.DONE if taken else ExitCode.NOTHING_ELIGIBLE)
