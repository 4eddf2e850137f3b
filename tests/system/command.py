"""The command as a process of its own, on small synthetic studies."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging.write_sample import write_head_study

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "cli.main"]
SMALL = {"shape": (40, 48, 44), "spacing_mm": (5.0, 4.75, 4.25)}
"""A head in few slices: the whole way in two seconds."""
IDENTITY = {
    "PatientName": "ZZTESTNAME^Grep",
    "PatientID": "ZZID4711",
    "PatientBirthDate": "19010203",
    "AccessionNumber": "ZZACC9",
    "InstitutionName": "ZZHOSP",
}
SECRETS = ("ZZTESTNAME", "ZZID4711", "19010203", "ZZACC9", "ZZHOSP")


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it left in its output folder."""

    code: int
    stdout: str
    stderr: str
    output: Path

    @property
    def record(self) -> dict[str, Any]:
        """The content of metadata.json."""
        return json.loads((self.output / "metadata.json").read_text())

    @property
    def files(self) -> set[str]:
        """Relative paths of the files in the output folder."""
        return {path.relative_to(self.output).as_posix() for path in self.output.rglob("*") if path.is_file()}


def environment(extra: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without the variables the command reads, and some more."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("HOLOSCAN_", "MONAI_"))}
    return {**ours, "PYTHONPATH": str(ROOT), **(extra or {})}


def monai_deploy(*arguments: object, output: Path = Path("no output"), env=None, cwd: Path = ROOT) -> Ended:
    """Run the command to its end."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], cwd=cwd, env=environment(env), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    return Ended(done.returncode, done.stdout, done.stderr, output)


def execute(study: Path, output: Path, models: Path, *more: object, app: object = "skull_strip") -> Ended:
    """Run an application on a study."""
    return monai_deploy("exec", app, "-i", study, "-o", output, "-m", models, *more, output=output)


def start(*arguments: object) -> subprocess.Popen:
    """Start the command; SIGINT is as in a terminal, also where the tests themselves run in the background."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], cwd=ROOT, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def small_study(folder: Path, seed: int = 0) -> Path:
    """Write a small head study."""
    return write_head_study(folder, **SMALL, seed=seed)


def copy_of(study: Path, folder: Path) -> Path:
    """Copy a study, to be changed."""
    return Path(shutil.copytree(study, folder))
