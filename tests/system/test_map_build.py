"""Images are built without a network, and run as a careful host runs them."""

import json

import pytest

from tests.system import map_images
from tests.system.map_images import image_of

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


@pytest.mark.parametrize("app", map_images.APPS)
def test_the_selftest_of_an_image_passes(docker, app):
    ended = run_hardened(docker, docker.load(app), "selftest")

    assert ended.returncode == 0, ended.stderr
    assert "passed" in ended.stdout


def test_images_are_called_as_they_are_built():
    assert map_images.built_images()[0] == f"localhost/{image_of('cervical_tumor')}"
