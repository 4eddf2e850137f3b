"""Containers through the Engine API, created as the Workflow Manager's Docker plug-in creates them."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom


class _OverSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=600)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(600)
        self.sock.connect(self.path)


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


def ask(path: str, verb: str, where: str, body: dict[str, Any] | None = None) -> tuple[int, bytes]:
    """Send one request to a daemon."""
    connection = _OverSocket(path)
    text = None if body is None else json.dumps(body)
    with contextlib.closing(connection):
        connection.request(verb, f"/v1.41{where}", text, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()


def run_as_plug_in(
    daemon: str, image: str, study: Path, place: Path, *, user: str = "1000:1000", environment: tuple[str, ...] = (),
    host: dict[str, Any] | None = None,
) -> Exited:  # fmt: skip
    """Run an image as the plug-in does: its own command past the entry point, runtime nvidia, input read-only.

    host  more of HostConfig: what the plug-in does not say, to test limits
    """
    given, output = place / "inputs" / "input-dicom", place / "outputs" / "out"
    given.parent.mkdir(parents=True)
    if not (place / "inputs" / "input-dicom").exists():
        shutil.copytree(study, given)
    output.mkdir(parents=True)
    owner, group = map(int, user.split(":"))
    for path in (output, given, *given.rglob("*")):
        os.chown(path, owner, group)
    name = str(uuid.uuid4())
    body = {
        "Image": image,
        "Entrypoint": ["/bin/bash", "-c"],
        "Cmd": ["python3 -u /opt/holoscan/app/"],
        "Env": ["HOLOSCAN_INPUT_PATH=/var/holoscan/input", "HOLOSCAN_OUTPUT_PATH=/var/holoscan/output", *environment],
        "User": user,
        "HostConfig": {
            "Runtime": "nvidia",
            "Mounts": [
                {"Type": "bind", "Source": str(given), "Target": "/var/holoscan/input", "ReadOnly": True},
                {"Type": "bind", "Source": str(output), "Target": "/var/holoscan/output", "ReadOnly": False},
            ],
            **(host or {}),
        },
    }
    status, answer = ask(daemon, "POST", f"/containers/create?name={name}", body)
    assert status == 201, answer
    try:
        assert ask(daemon, "POST", f"/containers/{name}/start")[0] == 204
        code = json.loads(ask(daemon, "POST", f"/containers/{name}/wait")[1])["StatusCode"]
        said = ask(daemon, "GET", f"/containers/{name}/logs?stdout=1&stderr=1")[1].decode(errors="replace")
    finally:
        ask(daemon, "DELETE", f"/containers/{name}?force=1")
    return Exited(code, said, output)


def as_gateway(study: Path, folder: Path) -> Path:
    """Write a study as the Informatics Gateway stores it: STUDY/SERIES/SOP.dcm, and its header as JSON beside it."""
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        header = pydicom.dcmread(path)
        target = folder / header.StudyInstanceUID / header.SeriesInstanceUID / f"{header.SOPInstanceUID}.dcm"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        del header.PixelData
        target.with_name(f"{target.name}.json").write_text(header.to_json())
    return folder
