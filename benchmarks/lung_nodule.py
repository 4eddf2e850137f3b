"""Measure the lung app on the CPU, process start to exit: with the finder, and with given marks; by stage.

    python benchmarks/lung_nodule.py --models models [--study DICOM_FOLDER --points "x,y,z; ..."]

README.md says what is measured and how to read it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from report_costs import app_tables, missed, summary_of
from skull_strip import ROOT, Contender, alternate, path_of, pin, versions

AIMS = {"finder": (60.0, 4096.0), "given marks": (15.0, 4096.0)}
"""CPU seconds and MiB."""
COMMAND = ("-m", "cli.main", "exec", "lung_nodule", "--backend", "openvino")
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
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))), "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    places = ("-i", str(study), "-o", "{out}", "-m", str(models))
    more = {"finder": (), "given marks": (f"--points={points}",)}
    return [
        Contender(name, Path(sys.executable), (sys.executable, *COMMAND, *places, *options), environment)
        for name, options in more.items()
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--models", type=path_of, required=True, help="folder of models, as the app takes it")
    add("--study", type=path_of, help="folder of a chest CT (default: a synthetic one)")
    add("--points", default="", help="marks in the given study, LPS mm")
    add("--repeat", type=int, default=3, help="measured runs of each (%(default)s), after one that is not")
    add("--cpus", type=int, default=2, help="CPUs and threads (%(default)s)")
    add("--output", type=Path, default=Path("report.json"), help="report (%(default)s), and a .md beside it")
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
    report = {"versions": versions(Path(sys.executable)), "summary": found, "runs": runs}
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    text = app_tables(TITLES[bool(options.study)], found, AIMS)
    options.output.with_suffix(".md").write_text(text)
    print(text)
    raise SystemExit("\n".join(missed(found, AIMS)) or 0)


if __name__ == "__main__":
    main()
