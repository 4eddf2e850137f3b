"""Compare the skull-stripping app with the stock App SDK pipeline, on the CPU, process start to exit.

    python benchmarks/skull_strip.py --models models [--study DICOM_FOLDER]

README.md says how to set up the stock environment, what is measured and how to read it.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measure_process import Cost, measure_process
from report_costs import markdown, summarise

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OURS = "{ours_python} -m cli.main exec skull_strip -i {study} -o {out} -m {models}"
STOCK = "{stock_python} {here}/stock_skull_strip.py -i {study} -o {out} -m {network}"
STAGE_FILES = ("stages.json", "metadata.json")
WRITE_HEAD = """
import pathlib, sys
from imaging.write_sample import write_head_study
write_head_study(pathlib.Path(sys.argv[1]), shape=(192, 256, 256), spacing_mm=(1.0, 1.0, 1.0), seed=0)
"""
VERSIONS = """
import importlib.metadata, json, platform, sys
names = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
print(json.dumps({"python": platform.python_version(), **{n: names[n] for n in sys.argv[1:] if n in names}}))
"""
PACKAGES = (
    *("torch", "openvino", "monai", "monai-deploy-app-sdk"),
    *("holoscan-cu13", "highdicom", "pydicom", "numpy"),
)


@dataclass(frozen=True)
class Contender:
    """One of the two pipelines."""

    name: str
    python: Path
    command: tuple[str, ...]  # {out} stands for the output folder
    environment: Mapping[str, str]


def run_once(contender: Contender, work: Path) -> tuple[Cost, dict[str, Any]]:
    """Run into a fresh folder of the contender's name; return the cost and the stages it reports."""
    out = work / contender.name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    command = [part.replace("{out}", str(out)) for part in contender.command]
    log = work / f"{contender.name}.log"
    cost = measure_process(command, folder=ROOT, environment=contender.environment, log=log)
    if cost.exit_code:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise SystemExit(f"{contender.name}: exit code {cost.exit_code}\n{shlex.join(command)}\n{end}")
    return cost, read_stages(out)


def read_stages(out: Path) -> dict[str, Any]:
    """Return the mappings ``seconds`` and ``cpu_seconds`` that a run wrote, empty where it wrote none."""
    for path in (out / name for name in STAGE_FILES):
        if path.exists():
            record = json.loads(path.read_text())
            stages = {key: dict(record.get(key, {})) for key in ("seconds", "cpu_seconds")}
            for seconds in stages.values():
                seconds.pop("total", None)  # the app's own sum
            return stages
    return {"seconds": {}, "cpu_seconds": {}}


def alternate(contenders: list[Contender], repeat: int, work: Path) -> list[dict[str, Any]]:
    """Run each once unmeasured, then both ``repeat`` times, the first of a pair taking turns."""
    runs = []
    for number in range(repeat + 1):
        for contender in contenders[:: -1 if number % 2 else 1]:
            load = os.getloadavg()[0]
            cost, stages = run_once(contender, work)
            words = f"{cost.cpu_s:.2f} CPU s, {cost.wall_s:.2f} s, {cost.peak_mib:.0f} MiB"
            print(f"{contender.name} {number or 'warm-up'}: {words}", file=sys.stderr)
            if number:
                measured = {**asdict(cost), "cpu_s": cost.cpu_s, "load_before": load}
                runs.append({"name": contender.name, **measured, **stages})
    return runs


def compare(contenders: list[Contender], work: Path) -> dict[str, Any]:
    """Return the comparison of the last two segmentations, by an interpreter that has highdicom."""
    ours = contenders[-1].python
    command = [ours, HERE / "compare_segs.py", *(work / contender.name for contender in contenders)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def versions(python: Path) -> dict[str, str]:
    """Return the versions in an environment."""
    command = [python, "-c", VERSIONS, *PACKAGES]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def write_head(folder: Path, python: Path) -> Path:
    """Write a synthetic T1-weighted head: 192 slices of 256 x 256, 1 mm."""
    subprocess.run([python, "-c", WRITE_HEAD, folder], check=True, cwd=ROOT)
    return folder


def pin(cpus: int) -> None:
    """Keep this process, and what it starts, on so many CPUs."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus])


def set_up(options: argparse.Namespace, study: Path) -> list[Contender]:
    """Return the stock pipeline and ours, both bound to the study, the models and as many threads."""
    threads = {"OMP_NUM_THREADS": str(len(os.sched_getaffinity(0))), "CUDA_VISIBLE_DEVICES": ""}
    cudart = map(str, options.stock_python.parents[1].glob("lib/python*/site-packages/nvidia/cu13/lib"))
    libraries = ":".join([*cudart, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
    places = {
        "study": study,
        "models": options.models,
        "network": options.network or find_network(options.models),
        "here": HERE,
        "ours_python": options.ours_python,
        "stock_python": options.stock_python,
        "out": "{out}",
    }
    stock, ours = (tuple(part.format(**places) for part in shlex.split(template)) for template in (STOCK, options.ours))
    environment = {**os.environ, **threads}
    return [
        Contender("stock", options.stock_python, stock, {**environment, "LD_LIBRARY_PATH": libraries}),
        Contender("ours", options.ours_python, ours, environment),
    ]


def find_network(models: Path) -> Path:
    """Return the one TorchScript file below the folder of models."""
    found = sorted(models.rglob("*.ts"))
    if len(found) != 1:
        raise SystemExit(f"one .ts file is needed below {models}, found {len(found)}: name it with --network")
    return found[0]


def describe(contenders: list[Contender], study: Path, repeat: int) -> dict[str, Any]:
    """Return what the numbers depend on."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    sizes = [path.stat().st_size for path in study.rglob("*") if path.is_file()]
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else "unknown",
        "cpus": len(os.sched_getaffinity(0)),
        "study": {"files": len(sizes), "mib": round(sum(sizes) / 2**20, 1)},
        "repeat": repeat,
        "versions": {contender.name: versions(contender.python) for contender in contenders},
    }


def path_of(text: str) -> Path:
    """Return an absolute path; links are kept, a virtual environment's interpreter is one."""
    path = Path(text).absolute()
    if not path.exists():
        raise argparse.ArgumentTypeError(f"{text} does not exist")
    return path


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the options."""
    verbatim = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=verbatim)
    add = parser.add_argument
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--study", type=path_of, help="folder of a DICOM study with one MR series")
    what.add_argument("--synthetic", action="store_true", help="a synthetic head (default without --study)")
    add("--models", type=path_of, required=True, help="folder of models, as the app takes it")
    add("--network", type=path_of, help="TorchScript file for stock (default: the one in --models)")
    add("--ours", default=OURS, metavar="COMMAND", help="ours, run in the repository root (%(default)s)")
    add("--ours-python", type=path_of, default=path_of(sys.executable), help="our interpreter (this one)")
    add("--stock-python", type=path_of, default=str(ROOT / ".venv-stock/bin/python"), help="(%(default)s)")
    add("--repeat", type=int, default=3, help="measured runs of each (%(default)s), after one that is not")
    add("--cpus", type=int, default=2, help="CPUs and threads for both (%(default)s)")
    add("--output", type=Path, default=Path("report.json"), help="report (%(default)s), and a .md beside it")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure both, compare their masks, report."""
    options = parse()
    pin(options.cpus)
    with tempfile.TemporaryDirectory(prefix="skull_strip_") as folder:
        work = Path(folder)
        study = options.study or write_head(work / "study", options.ours_python)
        contenders = set_up(options, study)
        report = describe(contenders, study, options.repeat)
        runs = alternate(contenders, options.repeat, work)
        report |= {"summary": summarise(runs), "comparison": compare(contenders, work), "runs": runs}
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    options.output.with_suffix(".md").write_text(markdown(report))
    print(markdown(report))


if __name__ == "__main__":
    main()
