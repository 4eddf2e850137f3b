"""What the pictures with outlines cost: python benchmarks/pictures.py --models models [--repeats 3] [APP=STUDY ...].

Runs each application with and without them, in turns, on its synthetic sample or on a study of yours. Prints a table:
medians of CPU seconds (user and system, whole process), number and size of the pictures.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

APPS = ("skull_strip", "spine", "lung_nodule", "cervical_tumor")
COMMAND = [sys.executable, "-m", "cli.main"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("studies", nargs="*", help="APP=STUDY; the sample of each application when there is none")
    given = parser.parse_args()
    studies = dict(one.split("=", 1) for one in given.studies)
    print("| application | slices | pictures | MB | CPU s without | CPU s with | of that, drawing |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for app in studies or APPS:
            study = Path(studies[app]) if studies else sample(app, Path(folder) / app)
            print(row(app, study, given.models, Path(folder) / "out", given.repeats), flush=True)


def sample(app: str, folder: Path) -> Path:
    """Write the synthetic study of an application."""
    subprocess.run([*COMMAND, "sample", app, str(folder)], check=True, capture_output=True)
    return folder


def row(app: str, study: Path, models: Path, output: Path, repeats: int) -> str:
    """Return the row of an application."""
    cost: dict[bool, list[float]] = {True: [], False: []}
    drawing = []
    for turn in range(-1, repeats):  # the first fills the page cache
        for drawn in (True, False) if turn % 2 else (False, True):
            seconds = run(app, study, models, output, drawn=drawn)
            if turn >= 0:
                cost[drawn].append(seconds)
            if drawn:
                record = json.loads((output / "metadata.json").read_text())
                drawing.append(record["cpu_seconds"]["write_overlays"])
                files = list((output / "overlays").glob("*.dcm"))
                size, shape = sum(path.stat().st_size for path in files) / 1e6, record["source_shape"]
    without, with_them, own = (statistics.median(values) for values in (cost[False], cost[True], drawing))
    slices = f"{shape[0]} of {shape[1]} x {shape[2]}"
    return f"| `{app}` | {slices} | {len(files)} | {size:.1f} | {without:.2f} | {with_them:.2f} | {own:.2f} |"


def run(app: str, study: Path, models: Path, output: Path, *, drawn: bool) -> float:
    """Return the CPU seconds of a run."""
    before = os.times()
    more = [] if drawn else ["--no-overlays"]
    arguments = ["exec", app, "-i", str(study), "-o", str(output), "-m", str(models), *more]
    subprocess.run([*COMMAND, *arguments], check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
