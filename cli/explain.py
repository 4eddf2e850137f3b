"""``monai-deploy explain [APP] -i IN``: what a folder holds, and which series an application would take and why."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.defer_imports import defer_imports
from cli.environment import prepare_process
from cli.find_app import find_app
from imaging.outcome import ExitCode, UsageError

if TYPE_CHECKING:
    from imaging.app_card import AppCard
    from imaging.resolve_study import Resolved
    from imaging.study import Study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add APP, -i and --json."""
    parser.add_argument(
        "app", metavar="APP", nargs="?", help="name or folder of an application of the suite; none: what is there"
    )
    parser.add_argument("-i", "--input", type=Path, required=True, help="folder of a DICOM study")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def run(options: argparse.Namespace) -> int:
    """Print what the folder holds; with APP the verdict on every series, and exit code 3 when none would be taken."""
    from imaging.load_study import load_study

    prepare_process("WARN")
    if options.app is None:
        return _explain_study(load_study(options.input), as_json=options.json)
    defer_imports()
    return _explain_choice(options)


def _explain_study(study: Study, *, as_json: bool) -> int:
    from imaging.resolve_study import resolve_study

    resolved = resolve_study(study)
    if as_json:
        facts = {"found": study.counts(), "stacks": [_facts(each) for each in resolved]}
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
        return int(ExitCode.DONE)
    sys.stdout.write(f"Found {study.counts()}.\n")
    for each in resolved:
        sys.stdout.write(f"  {_row(each)}\n")
    return int(ExitCode.DONE)


def _row(resolved: Resolved) -> str:
    """Return one line: what it is, how sure, where, and whether it is a regular volume."""
    kind = resolved.kind
    said = [f"{kind.weighting.value} ({100 * kind.confidence:.0f} %)"]
    said += [f"b = {kind.b_value:g} s/mm2"] if kind.b_value is not None else []
    said += [kind.plane.value] if kind.plane else []
    said += [kind.acquisition] if kind.acquisition else []
    said += ["contrast agent"] if kind.contrast_enhanced else []
    said += ["fat-suppressed"] if kind.fat_suppressed else []
    said += [f"place {resolved.group}"] if resolved.group else ["no frame of reference"]
    if resolved.spacing_mm:
        said.append("voxels " + " x ".join(f"{size:.2f}" for size in resolved.spacing_mm) + " mm")
    why = f"\n      no regular volume: {resolved.problem}" if resolved.problem else ""
    return f"{resolved.stack}: {', '.join(said)}\n      {'; '.join(kind.evidence)}{why}"


def _facts(resolved: Resolved) -> dict[str, Any]:
    kind = resolved.kind
    return {
        "series_number": resolved.stack.series.number,
        "modality": resolved.stack.series.modality,
        "slices": len(resolved.stack.frames),
        "traits": list(resolved.stack.traits),
        "weighting": kind.weighting.value,
        "confidence": kind.confidence,
        "b_value_s_per_mm2": kind.b_value,
        "plane": kind.plane.value if kind.plane else None,
        "tilt_deg": kind.tilt_deg,
        "acquisition": kind.acquisition,
        "contrast_enhanced": kind.contrast_enhanced,
        "fat_suppressed": kind.fat_suppressed,
        "derived": kind.derived,
        "evidence": list(kind.evidence),
        "place": resolved.group,
        "spacing_mm": resolved.spacing_mm,
        "problem": resolved.problem,
    }


def _explain_choice(options: argparse.Namespace) -> int:
    from cli.run import load_app
    from imaging.load_study import load_study
    from imaging.select_series import judge_study, verdict_facts

    path = find_app(options.app)
    module = load_app(path if path.is_dir() else path.parent)
    if not hasattr(module, "CARD"):
        raise UsageError(f"explain needs an application of this suite; {options.app} has no CARD.")
    study = load_study(options.input)
    if module.CARD.companions:
        return _explain_together(study, module.CARD, as_json=options.json)
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


def _explain_together(study: Study, card: AppCard, *, as_json: bool) -> int:
    """Print the verdicts under each rule of an application that needs several series, and what goes together."""
    from imaging.explain_sequences import explain_sequences

    found = explain_sequences(study, card.rule, card.companions)
    needs = [rule.title for rule in (card.rule, *card.companions)]
    if as_json:
        facts = {
            "needs": needs, "found": study.counts(), "together": found.together, "said": found.said,
            "flags": list(found.flags), "series": list(found.rows),
        }  # fmt: skip
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        sys.stdout.write(f"{card.name} needs {', '.join(needs)}. Found {study.counts()}.\n")
        for title in needs:
            sys.stdout.write(f"{title}\n")
            sys.stdout.writelines(f"  {_line(row)}\n" for row in found.rows if row["sequence"] == title)
        sys.stdout.write(f"{'TOGETHER' if found.together else 'REFUSED'}: {found.said}\n")
        sys.stdout.writelines(f"  note: {flag}\n" for flag in found.flags)
    return int(ExitCode.DONE if found.together else ExitCode.NOTHING_ELIGIBLE)


def _line(row: dict[str, Any]) -> str:
    word = "TAKEN" if row["taken"] else "passed over" if row["eligible"] else "refused"
    fitted = "; the ADC is fitted to it" if row.get("fitted_from") else ""
    return f"{word:12} {row['score']:6.2f}  {_named(row)}: {'; '.join(row['reasons'])}{fitted}"


def _named(row: dict[str, Any]) -> str:
    """Return what a stack is called, as everywhere: number, modality, slices, traits."""
    number, slices = row["series_number"], row["slices"]
    count = f"{slices} slice{'s' * (slices > 1)}" if slices else f"{row['instances']} instances"
    facts = [row["modality"] or "no modality", count, *row["traits"]]
    return f"series {number if number is not None else '(no number)'} ({', '.join(facts)})"
