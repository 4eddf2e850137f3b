"""Debian's registry of images on the loopback interface, where engines do without TLS or can be told to."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.emulation.processes import free_port, server

CONFIGURATION = """\
version: 0.1
log: {{accesslog: {{disabled: false}}}}
storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}
http: {{addr: {address}}}
"""
INSECURE = """\
[[registry]]
location = "{address}"
insecure = true
"""


@dataclass(frozen=True)
class Registry:
    """A running registry."""

    address: str
    folder: Path

    def asked(self, path: str, program: str) -> bool:
        """Whether something was asked for by a program, by the name that it gives itself."""
        line = rf'"(GET|HEAD) /v2/{re.escape(path)} HTTP/1.1" 200 .*" "{program}'
        return re.search(line, (self.folder / "log").read_text()) is not None

    @property
    def trusted(self) -> dict[str, str]:
        """Settings by which buildah, podman and skopeo use it without TLS; docker does so for this interface."""
        return {"CONTAINERS_REGISTRIES_CONF": str(self.folder / "registries.conf")}


@contextlib.contextmanager
def running_registry() -> Iterator[Registry]:
    """A registry without an image; what it was given is removed in the end."""
    if shutil.which("docker-registry") is None:
        pytest.skip("needs docker-registry")
    folder, port = Path(tempfile.mkdtemp(prefix="map-registry-")), free_port()
    address = f"127.0.0.1:{port}"
    (folder / "config.yml").write_text(CONFIGURATION.format(folder=folder, address=address))
    (folder / "registries.conf").write_text(INSECURE.format(address=address))
    try:
        with server(["docker-registry", "serve", str(folder / "config.yml")], folder / "log", [port]):
            yield Registry(address, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
