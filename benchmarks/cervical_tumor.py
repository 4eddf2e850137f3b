"""Measure the cervical tumour app on the CPU, process start to exit: default and full grid; by stage.

    python benchmarks/cervical_tumor.py --models models [--study DICOM_FOLDER]

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

AIMS = {"default grid": (45.0, 2560.0), "full grid": (90.0, 5120.0)}
"""CPU seconds and MiB."""
OPTIONS = {"default grid": (), "full grid": ("--full-grid",)}
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
    return [
        app_run(name, "cervical_tumor", study, models, ("--backend", backend, *more)) for name, more in OPTIONS.items()
    ]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = parser_of(__doc__, "folder of a pelvic MR study (default: the embedded sample)")
    parser.add_argument(
        "--backend", choices=("auto", "torch", "openvino"), default="openvino", help="library (%(default)s)"
    )
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
    text = app_tables(TITLES[bool(options.study)], found, AIMS)
    report_and_exit(options.output, found, runs, text, missed(found, AIMS))


if __name__ == "__main__":
    main()
