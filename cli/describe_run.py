"""What metadata.json, result.json and the summary say of a run.

They hold no UID, no date and no path: series go by their number, results by their file name. Hosts keep both files
longer, and show them to more people, than the images.
"""

from __future__ import annotations

import importlib.metadata
import platform
import re
import resource
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.arguments import Paths
from imaging.outcome import ExitCode, Outcome, SuiteError
from imaging.run_record import RunRecord
from imaging.suite import RESEARCH_USE, SUITE

if TYPE_CHECKING:  # they import numpy, which has to wait until the process is prepared
    from imaging.app_card import AppCard
    from imaging.model_package import ModelPackage

VERSIONS = ("monai-deploy-app-sdk", "holoscan-cu13", "pydicom", "highdicom", "numpy", "scipy", "openvino", "torch")


def app_facts(name: str, card: AppCard | None, model: ModelPackage | None) -> dict[str, Any]:
    """Return who ran: application and model as far as they are known."""
    return {
        "made_by": SUITE,
        "app": card.name if card else name,
        "app_version": card.version if card else None,
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256} if model else None,
        "research_use": RESEARCH_USE,
    }


def success_facts(record: RunRecord) -> dict[str, Any]:
    """Return what a run found."""
    return {
        "outcome": str(Outcome.SUCCESS),
        "exit_code": int(ExitCode.DONE),
        "headline": record.headline,
        "finding": record.finding,
        "flags": record.notes,
        "plausibility": [flag.facts for flag in record.plausibility],
        "series": record.series,
        **record.results,
    }


def failure_facts(error: SuiteError, exit_code: int, message: str, record: RunRecord) -> dict[str, Any]:
    """Return why a run found nothing; the keys of the Workflow Manager's handled exceptions are among them."""
    return {
        "outcome": str(error.outcome),
        "reason": str(error.reason),
        "exit_code": exit_code,
        "exception": type(error).__name__,
        "exception_message": message,
        "flags": record.notes,
        "series": record.series,
    }


def cost_facts(record: RunRecord, started: float) -> dict[str, Any]:
    """Return what the run ran on and what it took."""
    return {
        "device": record.device,
        "versions": {"python": platform.python_version(), **_versions()},
        "seconds": {**record.seconds, "total": round(time.perf_counter() - started, 3)},
        "cpu_seconds": {**record.cpu_seconds, "total": round(time.process_time(), 3)},
        "first_header_cpu_s": record.first_header_cpu_s,
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def mercure_result(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return result.json: the part of the facts that mercure archives, and the notification it may send.

    It is asked for where somebody should look: anything but a success without flags. Without results there is nothing
    to send, which mercure would report as an error of its own.
    """
    kept = ("made_by", "app", "app_version", "outcome", "reason", "exit_code", "flags", "measurements")
    said = [facts.get("headline") or facts.get("exception_message", ""), *facts["flags"]]
    worth_a_look = facts["outcome"] != Outcome.SUCCESS or bool(facts["flags"])
    return {
        **{key: facts[key] for key in kept if key in facts},
        "__mercure_notification": {"text": "\n".join(said), "requested": worth_a_look},
        **({} if facts["outcome"] == Outcome.SUCCESS else {"__mercure_routing": {"discard": True}}),
    }


def summary(record: RunRecord, files: int, output: Path, seconds: float) -> str:
    """Return one line: what was taken, what was found, what was written, how long it took."""
    flags = "".join(f" Note: {note}." for note in record.notes)
    return (
        f"{record.headline}.{flags} {files} files written to {output} in {seconds:.1f} s"
        f"{f' on {record.device}' if record.device else ''}. {RESEARCH_USE}\n"
    )


def as_typed(message: str, absolute: Paths, typed: Paths) -> str:
    """Return a message with each path as the user wrote it."""
    return _respelled(message, {getattr(absolute, role): str(getattr(typed, role)) for role in PLACES})


def without_paths(message: str, absolute: Paths) -> str:
    """Return a message with the role of each path in its place: what a user types may name a patient.

    >>> paths = Paths(Path("/data/Doe"), Path("/data/out"), Path("/models"), "WARN")
    >>> without_paths("/data/out is full, /data/Doe/1 unread", paths)
    'the output folder is full, the input folder/1 unread'
    """
    return _respelled(message, {getattr(absolute, role): place for role, place in PLACES.items()})


PLACES = {"input": "the input folder", "output": "the output folder", "models": "the folder of models"}


def _respelled(message: str, spelling: Mapping[Path, str]) -> str:
    for path in sorted(spelling, key=lambda path: len(str(path)), reverse=True):
        if path != Path(path.anchor):
            message = spelling[path].join(re.split(rf"{re.escape(str(path))}(?![\w-])", message))
    return message


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
