"""Memory and time of each application on studies as large as clinics send, against the limits that hosts are given.

    python benchmarks/large_studies.py --models models              # as a bare process
    python benchmarks/large_studies.py --image TAG [--smallest]     # as hosts run map-suite/APP:TAG, with docker

The studies are synthetic (large_inputs.py). Exits with 1 where a run fails or a limit leaves too little; README.md says
what is measured.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from measure_container import measure_container  # noqa: E402  run as a script from anywhere
from measure_process import measure_process  # noqa: E402
from report_costs import table  # noqa: E402

from maps.describe_app import AppDescription, describe_app  # noqa: E402
from maps.hosts.container import INPUT, OUTPUT  # noqa: E402
from maps.hosts.docker_run import run_arguments  # noqa: E402
from maps.hosts.hospital_site import Site  # noqa: E402

STUDIES = {
    "chest": "lung_nodule", "head_256": "skull_strip", "head_320": "skull_strip", "lumbar": "spine",
    "pelvis": "cervical_tumor",
}  # fmt: skip
"""The application each study is for."""
EVERYTHING = {
    "cervical_tumor": ("--register", "--full-grid", "--votes", "--derived-adc", "--nifti", "--page-dicom"),
    "lung_nodule": ("--operating-point", "sensitive", "--at-most", "50", "--parametric-map", "--page-dicom"),
    "skull_strip": ("--nifti", "--page-dicom"),
    "spine": ("--nifti", "--votes", "--mirror", "--page-dicom"),
}
"""Options that cost: all that can be written, the finest grid, the most candidates."""
MEMORY_MARGIN, TIME_MARGIN = 1.5, 4.0
"""Limits should be at least so many times what was measured."""
STEP_MIB = 64
HEAD = (
    "study", "options", "wall, s", "CPU, s", "peak, MiB", "smallest limit, MiB", "stated, MiB", "stated, s",
)  # fmt: skip
NOBODY = "4321:4321"


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one run took; ``peak_mib`` is what cannot be dropped."""

    exit_code: int
    wall_s: float
    cpu_s: float
    peak_mib: float
    said: str


@dataclass(frozen=True, kw_only=True)
class Bench:
    """How applications are run."""

    models: Path
    tag: str  # of images; empty: bare processes
    work: Path

    def run(self, app: AppDescription, study: Path, options: Sequence[str]) -> Taken:
        """Run an application once, into an empty folder."""
        with self._output() as out:
            return self._in_image(app, study, out, options) if self.tag else self._bare(app, study, out, options)

    @contextmanager
    def _output(self) -> Iterator[Path]:
        out = self.work / "out"
        out.mkdir()
        out.chmod(0o777)
        try:
            yield out
        finally:
            shutil.rmtree(out)

    def _bare(self, app: AppDescription, study: Path, out: Path, options: Sequence[str]) -> Taken:
        log = self.work / "log"
        command = [sys.executable, "-m", "cli.main", "exec", app.name, "-i", str(study), "-o", str(out)]
        cost = measure_process(
            [*command, "-m", str(self.models), *options], folder=ROOT, environment=os.environ, log=log
        )
        said = log.read_text(errors="replace")
        return Taken(exit_code=cost.exit_code, wall_s=cost.wall_s, cpu_s=cost.cpu_s, peak_mib=cost.peak_mib, said=said)

    def _in_image(self, app: AppDescription, study: Path, out: Path, options: Sequence[str]) -> Taken:
        site = Site(tag=self.tag)
        limits = [argument for argument in run_arguments(app, site) if argument != "--rm"]
        mounts = ["--volume", f"{study}:{INPUT}:ro", "--volume", f"{out}:{OUTPUT}"]
        command = ["docker", "run", "--detach", *limits, "--user", NOBODY, "--env", "MAP_EMPTY_ON_FAILURE=0"]
        cost = measure_container([*command, *mounts, site.image(app), *options])
        return Taken(
            exit_code=cost.exit_code, wall_s=cost.wall_s, cpu_s=cost.cpu_s, peak_mib=cost.peak_mib, said=cost.said
        )


def smallest_limit(bench: Bench, app: AppDescription, study: Path, options: Sequence[str], peak_mib: float) -> int:
    """Return the smallest limit of memory, in MiB and in steps, with which a run still ends well."""
    enough, little = app.deployment.memory_mib, int(peak_mib // STEP_MIB // 2 * STEP_MIB)
    while enough - little > STEP_MIB:
        limit = (enough + little) // 2 // STEP_MIB * STEP_MIB
        tried = replace(app, deployment=replace(app.deployment, memory_mib=limit))
        ended = bench.run(tried, study, options).exit_code
        print(f"  {limit} MiB: exit code {ended}", file=sys.stderr)
        enough, little = (limit, little) if ended == 0 else (enough, limit)
    return enough


def variants(app: str, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the options of each way of running an application."""
    found = {"default": (), "everything": EVERYTHING[app], "torch": (*EVERYTHING[app], "--backend", "torch")}
    return {name: found[name] for name in names}


def measure(bench: Bench, name: str, study: Path, options: argparse.Namespace) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield a row for each variant, and what is wrong with the limits of the application."""
    app = describe_app(STUDIES[name])
    stated = (str(app.deployment.memory_mib), str(app.deployment.timeout_s))
    for variant, arguments in variants(app.name, options.variants).items():
        taken = bench.run(app, study, arguments)
        if taken.exit_code:
            print(taken.said[-2000:], file=sys.stderr)
            yield (name, variant, *["-"] * 4, *stated), f"{name} {variant}: exit code {taken.exit_code}"
            continue
        least = smallest_limit(bench, app, study, arguments, taken.peak_mib) if options.smallest else 0
        costs = (f"{taken.wall_s:.0f}", f"{taken.cpu_s:.0f}", f"{taken.peak_mib:.0f}", str(least or "-"))
        short = list(too_little(app, taken, least))
        yield (name, variant, *costs, *stated), f"{name} {variant}: {' and '.join(short)}" if short else ""


def too_little(app: AppDescription, taken: Taken, least_mib: int) -> Iterator[str]:
    """Yield each limit of an application that leaves too little."""
    needs = app.deployment
    if max(taken.peak_mib, least_mib) * MEMORY_MARGIN > needs.memory_mib:
        yield f"{needs.memory_mib} MiB are too little"
    if taken.wall_s * TIME_MARGIN > needs.timeout_s:
        yield f"{needs.timeout_s} s are too little"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("studies", metavar="STUDY", nargs="*", help=f"which of {', '.join(STUDIES)} (default: all)")
    add("--models", type=Path, default=ROOT / "models", help="folder of models, for bare processes")
    add("--image", metavar="TAG", default="", help="run map-suite/APP:TAG with docker")
    add("--given", metavar="STUDY=FOLDER", action="append", default=[], help="a folder in place of a synthetic study")
    add("--variants", nargs="+", default=["default"], choices=("default", "everything", "torch"), help="options to try")
    add("--smallest", action="store_true", help="also look for the smallest limit of memory that is enough (images)")
    options = parser.parse_args(arguments)
    options.given = dict(each.split("=", 1) for each in options.given)
    if unknown := sorted({*options.studies, *options.given} - STUDIES.keys()):
        parser.error(f"there is no study {unknown[0]!r}")
    if options.smallest and not options.image:
        parser.error("--smallest needs --image")
    return options


def main() -> None:
    """Measure, and print a table."""
    options = parse()
    wrong = []
    print(table(HEAD, []))
    with tempfile.TemporaryDirectory(prefix="large_") as folder:
        work = Path(folder)
        bench = Bench(models=options.models, tag=options.image, work=work)
        for name in options.studies or list(options.given) or STUDIES:
            study = Path(options.given.get(name) or work / name)
            if name not in options.given:
                subprocess.run(
                    [sys.executable, HERE / "large_inputs.py", name, study], check=True, stdout=subprocess.DEVNULL
                )
            for row, fault in measure(bench, name, study, options):
                print(f"| {' | '.join(row)} |", flush=True)
                wrong += filter(None, [fault])
    raise SystemExit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
