"""Orthanc with DICOMweb on loopback alone, with a password, in a folder that goes with it."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pacs.failure import DemoError
from pacs.ports import LOOPBACK, free_port

INSTALL = "apt-get install --no-install-recommends orthanc orthanc-dicomweb dcmtk gcc libc6-dev nodejs npm"
"""Packages of Debian that the demonstration needs."""
AE_TITLE = "PACS"
USER = "demo"
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
STABLE_AFTER_S = 2
AT_ONCE = {"TCP_NODELAY": "1"}
"""What tells dcmtk to wait for nothing before it sends: each image would take a tenth of a second otherwise."""
START_S = 60.0
STOP_S = 15.0


@dataclass(frozen=True)
class Orthanc:
    """A running server: where it listens on loopback, and how to log in."""

    http_port: int
    dicom_port: int
    password: str = field(repr=False)

    @property
    def authorization(self) -> str:
        """Header of HTTP basic authentication."""
        return "Basic " + base64.b64encode(f"{USER}:{self.password}".encode()).decode()

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the answer of the REST interface; raise ConnectionError when it refuses."""
        connection = http.client.HTTPConnection(LOOPBACK, self.http_port, timeout=60)
        try:
            connection.request(method, path, body, {"Authorization": self.authorization})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise ConnectionError(f"Orthanc answered {answer.status} to {method} {path.partition('/')[0] or '/'}")
        return content

    def json(self, path: str) -> Any:
        """Return what the REST interface says at a path."""
        return json.loads(self.request("GET", path))


def find_program(name: str) -> str:
    """Return the path of a program, or say how to install it."""
    found = shutil.which(name)
    if found is None:
        raise DemoError(f"The demonstration needs {name}, which is not installed. On Debian: {INSTALL}")
    return found


@contextmanager
def run_orthanc(folder: Path, dicom_port: int) -> Iterator[Orthanc]:
    """Start Orthanc with its data in a folder, and end it.

    dicom_port  on loopback; 0 takes a free one
    """
    program, compiler = find_program("Orthanc"), find_program("cc")
    if not DICOMWEB.exists():
        raise DemoError(f"The demonstration needs Orthanc's DICOMweb plug-in, {DICOMWEB}. On Debian: {INSTALL}")
    server = Orthanc(free_port(0), free_port(dicom_port), secrets.token_urlsafe(12))
    settings = folder / "orthanc.json"
    settings.write_text(json.dumps(_settings(server, folder)))
    shim = folder / "loopback.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", shim, Path(__file__).with_name("loopback.c")], check=True)
    log = folder / "orthanc.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [program, settings], env={"LD_PRELOAD": str(shim), "LC_ALL": "C.UTF-8", **AT_ONCE}, cwd=folder,
            stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        _wait(server, process, log)
        yield server
    finally:
        stop(process)


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process that we started: ask first."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
        return
    process.kill()
    process.wait()


def _settings(server: Orthanc, folder: Path) -> dict[str, Any]:
    return {
        "Name": "map-suite demonstration",
        "StorageDirectory": str(folder / "images"),
        "IndexDirectory": str(folder / "images"),
        "HttpPort": server.http_port,
        "DicomPort": server.dicom_port,
        "DicomAet": AE_TITLE,
        "DicomAlwaysAllowStore": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: server.password},
        "OverwriteInstances": True,  # a study that is completed later gives results of the same UIDs again
        "SyncStorageArea": False,  # ten times as fast; nothing here is to outlive a power failure
        "StableAge": STABLE_AFTER_S,
        "Plugins": [str(DICOMWEB)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": True},
    }


def _wait(server: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the server answers."""
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError):
            server.json("/system")
            return
        time.sleep(0.1)
    raise DemoError(f"Orthanc did not start. It says:\n{log.read_text(errors='replace')[-2000:]}")
