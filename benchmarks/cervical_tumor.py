"""Measure the cervical tumour app on the CPU, process start to exit: default and full grid; by stage.

    python benchmarks/cervical_tumor.py --models models [--study DICOM_FOLDER]

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

AIMS = {"default grid": (45.0, 2560.0), "full grid": (90.0, 5120.0)}
"""CPU seconds and MiB."""
OPTIONS = {"default grid": (), "full grid": ("--full-grid",)}
COMMAND = ("-m", "cli.main", "exec", "cervical_tumor")
WRITE = """
import pathlib, sys
from imaging.write_pelvic_sample import write_pelvic_study
write_pelvic_study(pathlib.Path(sys.argv[1]))
"""
TITLES = {
    True: "the given study",
    False: "the embedded sample: seven series, of which three are taken; T2w of 24 x 320 x 320, 3.3 x 0.5 x 0.5 mm",
}


def synthetic(folder: Path) -> Path:
    """Write the embedded sample and return it."""
    subprocess.run([sys.executable, "-c", WRITE, folder / "study"], check=True, cwd=ROOT)
    return folder / "study"


def contenders(study: Path, models: Path, backend: str) -> list[Contender]:
    """Return the app with its default grid and with the full one, bound to a study."""
    environment = {
        **os.environ, "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))), "CUDA_VISIBLE_DEVICES": "",
    }  # fmt: skip
    places = ("-i", str(study), "-o", "{out}", "-m", str(models), "--backend", backend)
    return [
        Contender(name, Path(sys.executable), (sys.executable, *COMMAND, *places, *more), environment)
        for name, more in OPTIONS.items()
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--models", type=path_of, required=True, help="folder of models, as the app takes it")
    add("--study", type=path_of, help="folder of a pelvic MR study (default: the embedded sample)")
    add("--backend", choices=("auto", "torch", "openvino"), default="openvino", help="library (%(default)s)")
    add("--repeat", type=int, default=3, help="measured runs of each (%(default)s), after one that is not")
    add("--cpus", type=int, default=2, help="CPUs and threads (%(default)s)")
    add("--output", type=Path, default=Path("report.json"), help="report (%(default)s), and a .md beside it")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure, report, and say which aims are missed."""
    options = parse()
    pin(options.cpus)
    with tempfile.TemporaryDirectory(prefix="pelvis_") as folder:
        work = Path(folder)
        study = options.study or synthetic(work)
        runs = alternate(contenders(study, options.models, options.backend), options.repeat, work)
    found = {name: summary_of([run for run in runs if run["name"] == name]) for name in AIMS}
    report = {"versions": versions(Path(sys.executable)), "summary": found, "runs": runs}
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    text = app_tables(TITLES[bool(options.study)], found, AIMS)
    options.output.with_suffix(".md").write_text(text)
    print(text)
    raise SystemExit("\n".join(missed(found, AIMS)) or 0)


if __name__ == "__main__":
    main()
