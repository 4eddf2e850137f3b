"""Run one application of the suite from start to its end, which ``cli.conclude`` publishes and says."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from cli.arguments import add_host_rules, add_paths, parse_options, resolve_host_rules, resolve_paths
from cli.conclude import ENDING, Conclusion
from cli.defer_imports import defer_imports
from cli.environment import adopt_old_names, prepare_process
from cli.hush import LOG
from cli.outlive import outlive
from cli.progress import Progress
from imaging.model_package import METADATA
from imaging.outcome import NothingEligibleError, Reason, UsageError
from imaging.publish import Stage, open_stage
from imaging.run_record import Run
from imaging.suite import RESEARCH_USE


def run(folder: Path, argv: Sequence[str] | None = None) -> int:
    """Run the application in a folder with command-line arguments; return the exit code (docs/outcomes.md)."""
    started = time.perf_counter()
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # before libraries start threads, which would take the signal
    arguments = list(sys.argv[1:] if argv is None else argv)
    adopt_old_names()
    parser = argparse.ArgumentParser(prog=f"monai-deploy exec {folder.name}", description=RESEARCH_USE, add_help=False)
    add_paths(parser)
    add_host_rules(parser)
    known, rest = parser.parse_known_args(arguments)
    typed = resolve_paths(known, default_models(folder))
    rules = resolve_host_rules(known)
    if rules.empty_on_failure:
        outlive(folder.name, typed.absolute().output)
    prepare_process(typed.level)
    defer_imports()
    conclusion = Conclusion(folder.name, typed, started, rules)
    try:
        return _run(folder, parser, rest, conclusion)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  the last resort: every other error is internal
        return conclusion.fail(error)


def _run(folder: Path, parser: argparse.ArgumentParser, rest: list[str], conclusion: Conclusion) -> int:
    helping = any(item in ("-h", "--help") for item in rest)
    empty = None if helping else empty_input(conclusion.paths.input)
    conclusion.record.first_header_cpu_s = round(time.process_time(), 3)
    module = load_app(folder)
    conclusion.card = module.CARD
    parser.add_argument("-h", "--help", action="help")
    options = parse_options(parser, module.Options, rest)
    stage = conclusion.stage = open_stage(conclusion.paths.output)
    conclusion.on_signal()
    if empty:
        raise empty
    _run_graph(module, options, stage, conclusion)
    return conclusion.succeed(stage)


def _run_graph(module: ModuleType, options: object, stage: Stage, conclusion: Conclusion) -> None:
    paths, record, progress = conclusion.paths, conclusion.record, Progress(sys.stderr)

    def begin(name: str) -> None:
        LOG.info("%s", name)
        progress.begin(name)

    record.on_stage = begin
    try:
        models = packaged_models(paths.models, module.CARD.model)
        application = module.APPLICATION(Run(paths.input, stage.folder, models, record, options))
        conclusion.model = application.model
        record.seconds["start"] = round(time.perf_counter() - conclusion.started, 3)
        record.cpu_seconds["start"] = round(time.process_time(), 3)
        application.run()
        conclusion.write_page(stage)
    except SystemExit as error:
        raise RuntimeError("an operator left the process") from error
    finally:
        progress.end()


def default_models(folder: Path) -> Path:
    """Return ``models`` here, or the one beside the applications."""
    here = Path("models")
    return here if here.exists() else folder.resolve().parents[1] / "models"


def packaged_models(models: Path, name: str) -> Path:
    """Return the folder with a model's metadata: in an image it lies beside the SDK's folder of models, not in it.

    The SDK wants one file for each model there and nothing else (maps/stage_models.py). A folder with metadata of its
    own, as a user mounts it, is taken as it is.
    """
    packages = os.environ.get("MAP_MODEL_PACKAGES")
    if not packages or models.resolve() != Path(packages).resolve().parent / "models":
        return models
    return models if any((models / name).rglob(METADATA)) else Path(packages)


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


def empty_input(path: Path) -> NothingEligibleError | None:
    """Look for one DICOM header before anything slow is imported; return the error to raise when there is none."""
    from imaging.load_study import DAMAGE, looks_like_dicom, read_header, regular_files

    if not path.exists():
        raise UsageError(f"The input folder does not exist: {path}. Give an existing folder with -i.")
    for file in regular_files(path):
        if looks_like_dicom(file):
            with contextlib.suppress(*DAMAGE):
                read_header(file)
                return None
    return NothingEligibleError(
        f"No DICOM file was found below {path}. Give the folder of a DICOM study with -i.", Reason.NO_DICOM
    )
