"""The docker plug-in of the Task Manager: what becomes a container of the arguments of a task."""

import contextlib
import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from tests.emulation import engine

INPUT, OUTPUT = "/var/holoscan/input", "/var/holoscan/output"


def start(name, arguments, mounts, host=None):
    """Create and start a container as the plug-in does; return its id.

    host  more of HostConfig: what the plug-in does not say, to test limits
    """
    image = arguments["container_image"]
    if arguments.get("always_pull", "").lower() == "true" or not engine.has(image):
        engine.pull(image)
    body = specification(arguments, mounts)
    identity = engine.create(name, {**body, "HostConfig": {**body["HostConfig"], **(host or {})}})
    engine.start(identity)
    return identity


def specification(arguments, mounts):
    """The container as the plug-in creates it, and nothing else."""
    body = {
        "Image": arguments["container_image"],
        "Entrypoint": arguments["entrypoint"].split(","),
        "Cmd": arguments["command"].split(","),
        "Env": [f"{key.replace('env_', '')}={value}" for key, value in arguments.items() if key.startswith("env_")],
        "HostConfig": {"Runtime": "nvidia", "Mounts": mounts},
    }
    return {**body, "User": arguments["user"]} if "user" in arguments else body


def bind(host, container, *, read_only):
    """A bind mount of the Engine API."""
    return {"Type": "bind", "Source": os.fspath(Path(host)), "Target": container, "ReadOnly": read_only}


@dataclass(frozen=True)
class Exited:
    """How a container ended."""

    code: int
    said: str
    output: Path

    @property
    def files(self) -> list[str]:
        """Relative paths of the files it left, sorted."""
        return sorted(path.relative_to(self.output).as_posix() for path in self.output.rglob("*") if path.is_file())


def run(image, study, place, *, user="1000:1000", host=None, **arguments):
    """Run an image on a study as the plug-in does, to its end: past the entry point, input read-only.

    arguments  more of the task: always_pull, env_NAME
    """
    given, output = place / "inputs" / "input-dicom", place / "outputs" / "out"
    shutil.copytree(study, given)
    output.mkdir(parents=True)
    owner, group = map(int, user.split(":"))
    for path in (output, given, *given.rglob("*")):
        os.chown(path, owner, group)
    task = {
        "container_image": image,
        "entrypoint": "/bin/bash,-c",
        "command": "python3 -u /opt/holoscan/app/",
        "env_HOLOSCAN_INPUT_PATH": INPUT,
        "env_HOLOSCAN_OUTPUT_PATH": OUTPUT,
        "user": user,
        **arguments,
    }
    name = str(uuid.uuid4())
    try:
        start(name, task, [bind(given, INPUT, read_only=True), bind(output, OUTPUT, read_only=False)], host)
        return Exited(engine.wait(name), engine.output(name), output)
    finally:
        with contextlib.suppress(engine.EngineError):  # where it was refused there is none
            engine.remove(name)
