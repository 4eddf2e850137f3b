"""Run one application of the suite from start to published results, and say how it ended."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import platform
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from cli.arguments import Paths, add_paths, parse_options, resolve_paths
from cli.environment import adopt_old_names, prepare_process
from cli.lazy_torch import defer_torch
from cli.progress import Progress
from imaging.outcome import ExitCode, NothingEligibleError, OutputError, SuiteError, UsageError
from imaging.publish import RECORD, Stage, discard, open_stage, publish, result_names, staged
from imaging.run_record import Run, RunRecord
from imaging.suite import RESEARCH_USE

ENDING = {signal.SIGTERM, signal.SIGINT}
LOG = logging.getLogger("run")
VERSIONS = ("monai-deploy-app-sdk", "holoscan-cu13", "pydicom", "highdicom", "numpy", "scipy", "openvino", "torch")


def run(folder: Path, argv: Sequence[str] | None = None) -> int:
    """Run the application in a folder with command-line arguments; return the exit code (docs/outcomes.md)."""
    started = time.perf_counter()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # before libraries start threads, which would take the signal
    arguments = list(sys.argv[1:] if argv is None else argv)
    adopt_old_names()
    parser = argparse.ArgumentParser(prog=f"monai-deploy exec {folder.name}", description=RESEARCH_USE, add_help=False)
    add_paths(parser)
    known, rest = parser.parse_known_args(arguments)
    paths = resolve_paths(known, default_models(folder))
    prepare_process(paths.level)
    defer_torch()
    try:
        return _run(folder, parser, rest, paths, started)
    except SuiteError as error:
        sys.stderr.write(f"{folder.name}: {error}\n")
        return int(error.exit_code)
    except Exception as error:  # noqa: BLE001  the last resort: every other error is internal
        return _internal(folder.name, error)


def _run(folder: Path, parser: argparse.ArgumentParser, rest: list[str], paths: Paths, started: float) -> int:
    helping = any(item in ("-h", "--help") for item in rest)
    if not helping:
        refuse_empty_input(paths.input)
    first_header_cpu_s = round(time.process_time(), 3)
    module = load_app(folder)
    parser.add_argument("-h", "--help", action="help")
    options = parse_options(parser, module.Options, rest)
    stage = open_stage(paths.output)
    publishing = threading.Lock()
    _discard_on_signal(stage, publishing)
    progress = Progress(sys.stderr)

    def begin(name: str) -> None:
        LOG.info("%s", name)
        progress.begin(name)

    record = RunRecord(on_stage=begin, first_header_cpu_s=first_header_cpu_s)
    try:
        application = module.APPLICATION(Run(paths.input, stage.folder, paths.models, record, options))
        record.seconds["start"] = round(time.perf_counter() - started, 3)
        record.cpu_seconds["start"] = round(time.process_time(), 3)
        application.run()
        progress.end()
        _write_record(stage, module.CARD, application.model, record, started)
        publishing.acquire()  # not released: from here on the results appear, whatever the host sends
        files = publish(stage)
    except BaseException:
        progress.end()
        discard(stage)
        raise
    sys.stdout.write(_summary(record, files, paths.output, time.perf_counter() - started))
    return int(ExitCode.DONE)


def default_models(folder: Path) -> Path:
    """Return ``models`` here, or the one beside the applications."""
    here = Path("models")
    return here if here.exists() else folder.resolve().parents[1] / "models"


def load_app(folder: Path) -> ModuleType:
    """Return the module ``app`` of an application's folder."""
    path = folder / "app.py"
    spec = importlib.util.spec_from_file_location(f"{folder.name}_app", path)
    if spec is None or spec.loader is None or not path.exists():
        raise UsageError(f"An application is a folder with app.py; {folder} has none.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def refuse_empty_input(path: Path) -> None:
    """Read one DICOM header before anything slow is imported; UsageError or NothingEligibleError when there is none."""
    from imaging.load_study import DAMAGE, looks_like_dicom, read_header, regular_files

    if not path.exists():
        raise UsageError(f"The input folder does not exist: {path}. Give an existing folder with -i.")
    for file in regular_files(path):
        if looks_like_dicom(file):
            with contextlib.suppress(*DAMAGE):
                read_header(file)
                return
    raise NothingEligibleError(f"No DICOM file was found below {path}. Give the folder of a DICOM study with -i.")


def _discard_on_signal(stage: Stage, publishing: threading.Lock) -> None:
    """Leave nothing behind when the host ends the run: a thread waits for the signal, the graph may be busy in C++."""

    def wait() -> None:
        signal.sigwait(ENDING)
        if not publishing.acquire(blocking=False):
            return
        discard(stage)
        sys.stderr.write("Ended by a signal; nothing was written.\n")
        sys.stderr.flush()
        os._exit(int(ExitCode.TERMINATED))

    threading.Thread(target=wait, daemon=True).start()


def _write_record(stage: Stage, card: Any, model: Any, record: RunRecord, started: float) -> None:
    facts = {
        "app": card.name,
        "app_version": card.version,
        "research_use": RESEARCH_USE,
        "outcome": "success",
        "exit_code": int(ExitCode.DONE),
        "headline": record.headline,
        "flags": record.notes,
        **record.results,
        "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
        "device": record.device,
        "versions": {"python": platform.python_version(), **_versions()},
        "seconds": {**record.seconds, "total": round(time.perf_counter() - started, 3)},
        "cpu_seconds": {**record.cpu_seconds, "total": round(time.process_time(), 3)},
        "first_header_cpu_s": record.first_header_cpu_s,
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "files": result_names(stage),
    }
    try:
        staged(stage.folder, RECORD).write_text(json.dumps(facts, indent=2) + "\n")
    except OSError as error:
        raise OutputError(
            f"The result {RECORD} cannot be written ({error.strerror}). Free space or choose another folder with -o."
        ) from error


def _versions() -> dict[str, str]:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _summary(record: RunRecord, files: list[Path], output: Path, seconds: float) -> str:
    """One paragraph: what was taken, what was found, what was written, how long it took."""
    flags = "".join(f" Note: {note}." for note in record.notes)
    return (
        f"{record.headline}.{flags} {len(files)} files written to {output} in {seconds:.1f} s "
        f"on {record.device}. {RESEARCH_USE}\n"
    )


def _internal(name: str, error: Exception) -> int:
    """Say that something unforeseen happened, without its text: it may quote the image's header."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    LOG.debug("%s\n%s", type(error).__name__, frames)
    place = traceback.extract_tb(error.__traceback__)[-1]
    sys.stderr.write(
        f"{name}: internal error, {type(error).__name__} in {Path(place.filename).name} line {place.lineno}. "
        "Nothing was written. Run again with -l DEBUG and report what it prints.\n"
    )
    return int(ExitCode.INTERNAL)
