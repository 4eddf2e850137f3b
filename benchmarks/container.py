"""Seconds from `docker run` to the result, against the same application as a bare process, on the embedded samples.

    python benchmarks/container.py [APP...] [--tag TAG] [--repeat 3]

The two alternate, after one unmeasured run of each; the least of all repeats is compared, as other work on the machine
only adds. Exits with 1 when a container takes more than 1.2 times the process.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
APPS = ("skull_strip", "spine", "lung_nodule", "cervical_tumor")
AIM = 1.2


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("apps", nargs="*", default=APPS)
    parser.add_argument("--tag", default="0.1.0")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    print("| sample of | process, s | container, s | ratio |\n| --- | ---: | ---: | ---: |")
    ratios = [compare(app, f"map-suite/{app}:{options.tag}", options.repeat) for app in options.apps]
    return int(max(ratios) > AIM)


def compare(app: str, image: str, repeat: int) -> float:
    """Print a row for an application; return container over process."""
    work = Path(tempfile.mkdtemp(prefix="container-"))
    study, out = work / "study", work / "out"
    cli = [sys.executable, "-m", "cli.main"]
    mounts = ["-v", f"{study}:/var/holoscan/input:ro", "-v", f"{out}:/var/holoscan/output"]
    commands = {
        "process": [*cli, "exec", app, "-i", str(study), "-o", str(out), "-m", str(ROOT / "models")],
        "container": ["docker", "run", "--rm", "--network", "none", "--user", "0:0", *mounts, image],
    }
    subprocess.run([*cli, "sample", app, str(study)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    best = dict.fromkeys(commands, float("inf"))
    for number in range(repeat + 1):
        for name, command in commands.items():
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
            if number:
                best[name] = min(best[name], time.perf_counter() - started)
    shutil.rmtree(work)
    ratio = best["container"] / best["process"]
    print(f"| {app} | {best['process']:.2f} | {best['container']:.2f} | {ratio:.2f} |", flush=True)
    return ratio


if __name__ == "__main__":
    sys.exit(main())
