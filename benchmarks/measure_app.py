"""What the benchmarks of single applications have in common: options, the command that is measured, the report."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from skull_strip import Contender, path_of, versions


def parser_of(description: str | None, study: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark of an application.

    study  what --study is a folder of, and what is measured on without it
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--models", type=path_of, required=True, help="folder of models, as the app takes it")
    add("--study", type=path_of, help=study)
    add("--repeat", type=int, default=3, help="measured runs of each (%(default)s), after one that is not")
    add("--cpus", type=int, default=2, help="CPUs and threads (%(default)s)")
    add("--output", type=Path, default=Path("report.json"), help="report (%(default)s), and a .md beside it")
    return parser


def app_run(name: str, app: str, study: Path, models: Path, options: Sequence[str]) -> Contender:
    """Return a run of an application on a study, on the CPU, with as many threads as there are processors."""
    threads = str(len(os.sched_getaffinity(0)))
    command = (sys.executable, "-m", "cli.main", "exec", app, "-i", str(study), "-o", "{out}", "-m", str(models))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "CUDA_VISIBLE_DEVICES": ""}
    return Contender(name, Path(sys.executable), (*command, *options), environment)


def report_and_exit(output: Path, summary: Mapping[str, Any], runs: Any, text: str, missed: Sequence[str]) -> NoReturn:
    """Write and print what was measured; exit with the aims that are missed, or with 0."""
    report = {"versions": versions(Path(sys.executable)), "summary": summary, "runs": runs}
    output.write_text(json.dumps(report, indent=2) + "\n")
    output.with_suffix(".md").write_text(text)
    print(text)
    raise SystemExit("\n".join(missed) or 0)
