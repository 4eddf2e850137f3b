"""Each engine builds, and a build that is killed leaves nothing; equal inputs give equal layers."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.system import map_images
from tests.system.command import monai_deploy
from tests.system.map_images import ROOT, base_tar, build_maps, buildah_layers, wheelhouse

pytestmark = [pytest.mark.system, pytest.mark.servers]


def offline(engine):
    return ("--engine", engine, "--offline", "--wheelhouse", wheelhouse(), "--base", base_tar())


def buildah(*arguments):
    return set(subprocess.run(["buildah", *arguments], capture_output=True, text=True, check=True).stdout.split())


@pytest.fixture(scope="module")
def with_runtime(docker):
    """What all images stand on, in buildah's storage; what tests build besides is removed."""
    missing = [name for name in ("buildah", "skopeo") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    docker.load("skull_strip")
    docker.give_runtime_to_buildah()
    yield
    for name in ("one", "again", "podman"):
        subprocess.run(["buildah", "rmi", f"localhost/map-suite/skull_strip:{name}"], capture_output=True, check=False)


def test_equal_inputs_give_equal_layers(with_runtime):
    """By buildah, twice."""
    for tag in ("one", "again"):
        with map_images.locked("images"):
            done = build_maps("skull_strip", *offline("buildah"), "--tag", tag)
        assert done.returncode == 0, done.stderr

    one, again = (buildah_layers(f"localhost/map-suite/skull_strip:{tag}") for tag in ("one", "again"))
    assert one == again


def test_podman_builds_and_runs(with_runtime, small, tmp_path):
    if shutil.which("podman") is None:
        pytest.skip("needs podman")
    with map_images.locked("images"):
        done = build_maps("skull_strip", *offline("podman"), "--tag", "podman")
    assert done.returncode == 0, done.stderr

    ended = monai_deploy(
        "run", "localhost/map-suite/skull_strip:podman", "--engine", "podman", "-i", small, "-o", tmp_path / "out"
    )

    assert ended.code == 0, ended.stderr
    assert (tmp_path / "out" / "seg.dcm").exists()


def test_debians_docker_builds_without_a_plug_in_and_leaves_no_stage(docker):
    """F: what all tests run was built by its own builder with no network; unnamed images of stages are gone."""
    name = docker.load("skull_strip")

    version = docker("version", "--format", "{{.Server.Version}}", check=True).stdout
    stages = docker("images", "--quiet", "--filter", "dangling=true", "--filter", "label=map.build", check=True)

    assert docker.inspect(name)["RepoTags"] == [name]
    assert version
    assert stages.stdout == ""


def test_a_build_that_is_killed_leaves_nothing(with_runtime, tmp_path):
    """SIGTERM while the packages are installed, in a build of other inputs than those that are there."""
    names, containers = buildah("images", "--quiet", "--all"), buildah("containers", "--quiet")
    command = [ROOT / "build_maps.sh", "skull_strip", *map(str, offline("buildah")), "--tag", "killed"]
    command += ["--save", str(tmp_path)]
    environment = {**os.environ, "PYTHON": sys.executable, "SOURCE_DATE_EPOCH": "1600000000"}
    log = ROOT / "build/maps/runtime-cpu.log"
    log.unlink(missing_ok=True)  # an earlier build's
    with map_images.locked("images"):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 120
        while time.monotonic() < until and not (log.exists() and "install.py" in log.read_text()):
            time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=120)

    assert process.returncode == 143
    assert "Ended by SIGTERM" in said
    assert buildah("containers", "--quiet") <= containers
    assert buildah("images", "--quiet", "--all") <= names
    assert list(tmp_path.iterdir()) == []


def test_the_command_runs_an_image_without_rights(docker, small, tmp_path, monkeypatch):
    """As root on this machine, into a folder of somebody else, whose the results are."""
    name, output = docker.load("skull_strip"), tmp_path / "out"
    output.mkdir()
    os.chown(output, 4711, 4712)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker.socket}")

    ended = monai_deploy("run", name, "--engine", "docker", "-i", small, "-o", output, "--", "--no-stripped-series")

    assert ended.code == 0, ended.stderr
    assert {(path.stat().st_uid, path.stat().st_gid) for path in output.rglob("*")} == {(4711, 4712)}
    assert not (output / "stripped").exists()


def test_an_image_that_is_not_there_is_a_wrong_command(docker, small, tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker.socket}")

    ended = monai_deploy("run", "map-suite/nothing:1", "--engine", "docker", "-i", small, "-o", tmp_path / "out")

    assert ended.code == 2
    assert "monai-deploy package" in ended.stderr
    assert not (tmp_path / "out").exists()
