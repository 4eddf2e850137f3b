"""Images are built without a network, and run as a careful host runs them."""

import json

import pytest

from tests.system.command import monai_deploy

pytestmark = [pytest.mark.system, pytest.mark.servers]


def run_hardened(docker, image, *arguments, study=None, output=None, user="4321:4321", timeout=300):
    """Run an image read-only, without network and capabilities, as a user nobody knows."""
    command = [
        "run",
        "--rm",
        "--network",
        "none",
        "--read-only",
        "--tmpfs",
        "/tmp",  # noqa: S108
        "--cap-drop",
        "ALL",
        "--user",
        user,
    ]
    for folder, place in ((study, "/var/holoscan/input:ro"), (output, "/var/holoscan/output")):
        command += ["--volume", f"{folder}:{place}"] if folder else []
    return docker(*command, image, *arguments, timeout=timeout)


def test_an_image_runs_read_only_for_an_unknown_user(docker, small, tmp_path):
    image = docker.load("skull_strip")
    tmp_path.chmod(0o777)

    ended = run_hardened(docker, image, study=small, output=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "metadata.json").read_text())["outcome"] == "success"
    assert {path.name for path in tmp_path.glob("*.dcm")} == {"seg.dcm", "sr.dcm"}


def test_the_command_tests_an_image(docker, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker.socket}")

    ended = monai_deploy("selftest", docker.load("skull_strip"), "--engine", "docker")

    assert ended.code == 0, ended.stderr
    assert "passed" in ended.stdout
