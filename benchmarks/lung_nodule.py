"""Measure the lung app on the CPU, process start to exit: with the finder, and with given marks; by stage.

    python benchmarks/lung_nodule.py --models models [--study DICOM_FOLDER --points "x,y,z; ..."]

README.md says what is measured and how to read it.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from measure_app import app_run, parser_of, report_and_exit
from report_costs import app_tables, missed, summary_of
from skull_strip import ROOT, Contender, alternate, pin

AIMS = {"finder": (60.0, 4096.0), "given marks": (15.0, 4096.0)}
"""CPU seconds and MiB."""
WRITE = """
import pathlib, sys
from dataclasses import replace
from imaging.chest_phantom import NODULES
from imaging.write_chest_sample import LUNG_CT, write_chest_study
typical = replace(LUNG_CT, shape=(300, 512, 512), spacing_mm=(1.0, 0.68, 0.68))
write_chest_study(pathlib.Path(sys.argv[1]), series=(typical,))
print(";".join(",".join(f"{value:g}" for value in nodule.centre_mm) for nodule in NODULES))
"""
TITLES = {True: "the given study", False: "synthetic chest, 300 slices of 512 x 512, 1 x 0.68 x 0.68 mm, five nodules"}


def synthetic(folder: Path) -> tuple[Path, str]:
    """Write the synthetic study and return it, and the points of its nodules."""
    done = subprocess.run(
        [sys.executable, "-c", WRITE, folder / "study"], check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    return folder / "study", done.stdout.strip()


def contenders(study: Path, models: Path, points: str) -> list[Contender]:
    """Return the app with its finder and the app with given marks, bound to a study."""
    more = {"finder": (), "given marks": (f"--points={points}",)}
    return [
        app_run(name, "lung_nodule", study, models, ("--backend", "openvino", *options))
        for name, options in more.items()
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = parser_of(__doc__, "folder of a chest CT (default: a synthetic one)")
    parser.add_argument("--points", default="", help="marks in the given study, LPS mm")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, report, and say which aims are missed."""
    options = parse()
    pin(options.cpus)
    with tempfile.TemporaryDirectory(prefix="lung_") as folder:
        work = Path(folder)
        study, points = (options.study, options.points) if options.study else synthetic(work)
        runs = alternate(contenders(study, options.models, points), options.repeat, work)
    found = {name: summary_of([run for run in runs if run["name"] == name]) for name in AIMS}
    text = app_tables(TITLES[bool(options.study)], found, AIMS)
    report_and_exit(options.output, found, runs, text, missed(found, AIMS))


if __name__ == "__main__":
    main()
