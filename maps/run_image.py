"""Run an image on this machine as a careful host does: no network, no rights, nothing written but the results."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imaging.outcome import OutputError, UsageError
from maps.engine import Engine, check_engine
from maps.failures import BuildError

RUNNERS = ("docker", "podman")
NOBODY = "65534:65534"
"""Who the container is for root on this machine when nothing has to be written: root's own number is no protection."""


@dataclass(frozen=True)
class Folders:
    """Folders of this machine that a container sees."""

    input: Path
    output: Path
    models: Path | None = None


def run_image(
    image: str,
    arguments: Sequence[str],
    *,
    folders: Folders | None = None,
    engine: str | None = None,
    gpu: bool = False,
) -> int:
    """Run an image with arguments and return its exit code; what it says goes to this process's streams."""
    runner = choose_runner(engine)
    if runner.inspect(image) is None:
        raise UsageError(f"{runner.name} has no image {image!r}. Build it with: monai-deploy package")
    if folders is not None:
        prepare(folders)
    command = run_command(runner, image, arguments, folders, gpu=gpu)
    return subprocess.run(command, check=False).returncode  # noqa: S603


def choose_runner(name: str | None) -> Engine:
    """Return docker or podman: the named one, or the first on the PATH; BuildError when it does not work."""
    there = [each for each in RUNNERS if shutil.which(each)]
    if name is None and not there:
        raise BuildError("docker or podman is needed to run an image; neither is on the PATH.")
    engine = Engine(name or there[0])
    check_engine(engine)
    return engine


def prepare(folders: Folders) -> None:
    """Make the output folder; the messages say which folder is at fault."""
    for folder in (folders.input, folders.models):
        if folder is not None and not folder.is_dir():
            raise UsageError(f"The folder {folder} does not exist.")
    try:
        folders.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The output folder {folders.output} cannot be made ({error.strerror}).") from error
    if not os.access(folders.output, os.W_OK):
        raise OutputError(f"The output folder {folders.output} cannot be written. Choose another one with -o.")


def run_command(
    engine: Engine, image: str, arguments: Sequence[str], folders: Folders | None, *, gpu: bool
) -> list[str]:
    """Return the command that runs an image; the container is whoever owns the output folder."""
    command = [engine.name, "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108
    if engine.name == "podman":
        limits = [f"--ulimit={name}={count}:{count}" for name, count in (("nofile", 1024), ("nproc", 4096))]
        runtime = ["--runtime", "runc"] if shutil.which("runc") else []
        command = ["podman", "--cgroup-manager", "cgroupfs", *runtime, *command[1:], *limits]
    command += ["--security-opt", "no-new-privileges"]
    if gpu:
        command += ["--device", "nvidia.com/gpu=all"] if engine.name == "podman" else ["--gpus", "all"]
    if folders is None:
        return [*command, "--user", NOBODY, image, *arguments]
    owner = folders.output.stat()
    command += ["--user", f"{owner.st_uid}:{owner.st_gid}"]
    command += ["--mount", f"{bind(folders.input, '/var/holoscan/input')},readonly"]
    command += ["--mount", bind(folders.output, "/var/holoscan/output")]
    if folders.models is not None:
        command += ["--mount", f"{bind(folders.models, '/opt/holoscan/models')},readonly"]
    return [*command, "--env", "MAP_EMPTY_ON_FAILURE=0", image, *arguments]


def bind(folder: Path, target: str) -> str:
    """Return a mount as docker and podman read it: a row of CSV, so that a path may hold commas, colons and quotes."""
    source = str(folder.resolve()).replace('"', '""')
    return f'type=bind,"source={source}",target={target}'
