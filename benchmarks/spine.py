"""Measure the spine app on the CPU, process start to exit: one network and the ensemble, by stage.

    python benchmarks/spine.py --models models [--study DICOM_FOLDER]

README.md says what is measured and how to read it.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from measure_app import app_run, parser_of, report_and_exit
from report_costs import app_tables, missed, summary_of
from skull_strip import ROOT, Contender, alternate, pin

AIMS = {"one network": (20.0, 3072.0), "ensemble": (45.0, 3072.0)}
"""CPU seconds and MiB."""
WRITE = """
import pathlib, sys
from dataclasses import replace
from imaging.write_lumbar_sample import SAGITTAL_T2W, write_lumbar_study
folder = pathlib.Path(sys.argv[1])
write_lumbar_study(folder / "sample")
typical = replace(SAGITTAL_T2W, shape=(16, 384, 384), spacing_mm=(4.4, 0.78125, 0.78125))
write_lumbar_study(folder / "typical", series=(typical,))
"""
STUDIES = {
    "sample": "the embedded sample: five series, of which 15 x 320 x 320 of 4.4 x 0.94 x 0.94 mm is taken",
    "typical": "one series, 16 x 384 x 384 of 4.4 x 0.78 x 0.78 mm",
    "given": "the given study",
}


def first_member(models: Path, folder: Path) -> Path:
    """Return a folder of models whose spine has the first network of the ensemble alone."""
    shutil.copytree(models / "spine", folder / "spine", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    path = folder / "spine" / "metadata.json"
    record = json.loads(path.read_text())
    record["members"] = record["members"][:1]
    path.write_text(json.dumps(record))
    return folder


def studies(options: argparse.Namespace, work: Path) -> dict[str, Path]:
    """Return the studies to measure on."""
    if options.study:
        return {"given": options.study}
    subprocess.run([sys.executable, "-c", WRITE, work], check=True, cwd=ROOT)
    return {name: work / name for name in ("sample", "typical")}


def contenders(study: Path, models: dict[str, Path], mirror: bool) -> list[Contender]:
    """Return one network and the ensemble, bound to a study."""
    more = ("--backend", "openvino", *(("--mirror",) if mirror else ()))
    return [app_run(name, "spine", study, folder, more) for name, folder in models.items()]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = parser_of(__doc__, "folder of a lumbar study (default: the embedded sample and a typical series)")
    parser.add_argument("--mirror", action="store_true", help="with test-time augmentation")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, report, and say which aims are missed."""
    options = parse()
    pin(options.cpus)
    with tempfile.TemporaryDirectory(prefix="spine_") as folder:
        work = Path(folder)
        models = {"one network": first_member(options.models, work / "one"), "ensemble": options.models}
        runs = {
            name: alternate(contenders(study, models, options.mirror), options.repeat, work)
            for name, study in studies(options, work).items()
        }
    found = {
        study: {name: summary_of([run for run in of_study if run["name"] == name]) for name in models}
        for study, of_study in runs.items()
    }
    text = "\n".join(app_tables(STUDIES[study], summaries, AIMS) for study, summaries in found.items())
    misses = [line for summaries in found.values() for line in missed(summaries, AIMS)]
    report_and_exit(options.output, found, runs, text, misses)


if __name__ == "__main__":
    main()
