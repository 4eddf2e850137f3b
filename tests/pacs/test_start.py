import socket
import subprocess
from pathlib import Path

import pytest

from pacs import fetch_viewer, orthanc, send
from pacs.failure import DemoError
from pacs.orthanc import Orthanc
from pacs.ports import LOOPBACK, free_port


def test_a_port_in_use_is_refused_by_its_number():
    with socket.create_server((LOOPBACK, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(DemoError, match=f"Port {port} is in use"):
            free_port(port)


def test_a_missing_program_is_named_with_the_packages_to_install():
    with pytest.raises(DemoError, match=r"needs no-such-program.*apt-get install .* orthanc orthanc-dicomweb"):
        orthanc.find_program("no-such-program")


def test_a_missing_plug_in_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(orthanc, "find_program", lambda name: name)
    monkeypatch.setattr(orthanc, "DICOMWEB", tmp_path / "libOrthancDicomWeb.so")

    with pytest.raises(DemoError, match="libOrthancDicomWeb"), orthanc.run_orthanc(tmp_path, 0):
        pass


def test_a_server_that_ends_at_once_is_quoted(monkeypatch, tmp_path):
    program = tmp_path / "Orthanc"
    program.write_text("#!/bin/sh\necho the disk is full >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(orthanc, "find_program", lambda _: str(program))
    monkeypatch.setattr(orthanc, "DICOMWEB", program)
    monkeypatch.setattr(orthanc.subprocess, "run", lambda *_, **__: None)  # no compiler

    with pytest.raises(DemoError, match="the disk is full"), orthanc.run_orthanc(tmp_path, 0):
        pass


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DemoError, match=r"no folder .*study"):
        send.send(tmp_path / "study", Orthanc(0, 0, ""))


@pytest.fixture
def npm(monkeypatch):
    """What npm does when it is asked for a package."""
    done = {"code": 0, "file": b""}

    def run(command, *, cwd, **_):
        if done["code"] == 0:
            (Path(cwd) / "ohif-app.tgz").write_bytes(done["file"])
        return subprocess.CompletedProcess(command, done["code"], "", "no such host")

    monkeypatch.setattr(fetch_viewer, "find_program", lambda name: name)
    monkeypatch.setattr(fetch_viewer.subprocess, "run", run)
    return done


def test_a_viewer_of_another_hash_is_refused_and_not_kept(npm, tmp_path):
    npm["file"] = b"not the package"
    heard = []

    with pytest.raises(DemoError, match="is not the package that is known: sha512-"):
        fetch_viewer.fetch_viewer(tmp_path / "viewer", heard.append)

    assert list((tmp_path / "viewer").iterdir()) == []
    assert len(heard) == 1


def test_without_network_npm_is_quoted(npm, tmp_path):
    npm["code"] = 1

    with pytest.raises(DemoError, match=r"could not fetch @ohif/app@\d.*no such host".replace(".*", "(.|\n)*")):
        fetch_viewer.fetch_viewer(tmp_path / "viewer")
