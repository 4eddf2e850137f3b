"""Images on their way to another machine: as a file, through a registry; and a base that is pulled by its digest."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from maps.base import write_context
from maps.describe_app import describe_app
from maps.engine import Engine
from maps.hosts.hospital_site import Site
from maps.save import save_image
from tests.emulation import engine, plug_in
from tests.emulation.stored_study import as_gateway
from tests.system import map_images
from tests.system.command import monai_deploy
from tests.system.map_images import TAG, base_tar, build_maps, wheelhouse
from tests.system.registry import running_registry

pytestmark = [pytest.mark.system, pytest.mark.servers]
STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
NEWER = "FROM {image}\nLABEL map.newer=yes\n"


def require(*programs):
    """Skip where a program is missing."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")


@pytest.fixture(scope="module")
def registry():
    with running_registry() as running:
        yield running


@pytest.fixture(scope="module")
def elsewhere(docker):
    """The daemon of another machine, which has none of the images."""
    require("skopeo")
    with map_images.empty_daemon() as other:
        yield other


@pytest.fixture
def run_elsewhere(elsewhere, small, tmp_path, monkeypatch):
    """Run an image on the other machine as the docker plug-in does."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{elsewhere.socket}")
    study = as_gateway(small, tmp_path / "gateway")
    return lambda image, name, **arguments: plug_in.run(image, study, tmp_path / name, **arguments)


@contextlib.contextmanager
def own_storage():
    """Settings of buildah and podman for a storage without an image; it is removed in the end."""
    require("buildah", "podman")
    folder = Path(tempfile.mkdtemp(prefix="map-storage-"))
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    try:
        yield {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def base(registry, tmp_path_factory):
    """A base in the registry, named as the default one is: by the digest of an index of several platforms."""
    digest = tmp_path_factory.mktemp("base") / "digest"
    context = digest.with_name("context")
    file = write_context(base_tar(), context)
    build = ["buildah", "build", "--manifest", "python", "--platform", "linux/arm64,linux/amd64", "--file", file]
    push = ["buildah", "manifest", "push", "--all", "--tls-verify=false", "--digestfile", digest]
    with own_storage() as settings:
        for command in ([*build, context], [*push, "python", f"docker://{registry.address}/python:3.11"]):
            subprocess.run(command, env={**os.environ, **settings}, check=True, capture_output=True, timeout=300)
    shutil.rmtree(context)
    return f"{registry.address}/python@{digest.read_text()}"


def docker_load(image, source, target, folder):
    """Carry an image over as docker does by itself."""
    whole = folder / "image.tar"
    source("save", "--output", whole, image, check=True)
    target("load", "--input", whole, check=True)
    whole.unlink()


def load_archive(image, source, target, folder):
    """Carry an image over as the OCI archive that --save writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{source.socket}")
        archive = save_image(Engine("docker"), image, folder)
    skopeo_load(archive, image, target)


def skopeo_load(archive, image, target):
    subprocess.run(["sha256sum", "--check", f"{archive.name}.sha256"], cwd=archive.parent, check=True, timeout=60)
    command = ["skopeo", "copy", "--dest-daemon-host", f"unix://{target.socket}"]
    both = (f"oci-archive:{archive}", f"docker-daemon:{image}")
    subprocess.run([*command, *both], check=True, capture_output=True, timeout=600)
    archive.unlink()


@pytest.mark.parametrize("carry", [docker_load, load_archive])
def test_a_saved_image_is_the_same_elsewhere_and_runs(docker, elsewhere, run_elsewhere, tmp_path, carry):
    """F: into a daemon that has no layer of it."""
    image = docker.load("skull_strip")

    carry(image, docker, elsewhere, tmp_path)
    try:
        ended = run_elsewhere(image, "task")
        layers = [daemon.inspect(image)["RootFS"]["Layers"] for daemon in (docker, elsewhere)]
    finally:
        elsewhere("rmi", image)

    assert layers[0] == layers[1]
    assert ended.code == 0, ended.said
    assert "seg.dcm" in ended.files


def push(docker, image, name):
    docker("tag", image, name, check=True)
    docker("push", name, timeout=600, check=True)
    docker("rmi", name, check=True)


def test_the_plug_in_pulls_what_the_registry_has(docker, elsewhere, registry, run_elsewhere, tmp_path):
    """F: pushed under the name that deploy-files writes; a newer image of that name is taken with always_pull alone."""
    image = docker.load("skull_strip")
    name = Site(registry=registry.address, tag=TAG).image(describe_app("skull_strip"))
    push(docker, image, name)

    first = run_elsewhere(name, "first", always_pull="true")

    assert first.code == 0, first.said
    assert "seg.dcm" in first.files
    assert registry.asked(f"map-suite/skull_strip/manifests/{TAG}", "docker/")
    assert elsewhere.inspect(name)["RootFS"]["Layers"] == docker.inspect(image)["RootFS"]["Layers"]

    (tmp_path / "newer").mkdir()
    (tmp_path / "newer/Dockerfile").write_text(NEWER.format(image=image))
    docker("build", "--tag", f"{image}-newer", tmp_path / "newer", check=True)
    push(docker, f"{image}-newer", name)
    docker("rmi", f"{image}-newer", check=True)
    labels = []
    for number, arguments in enumerate(({}, {"always_pull": "true"})):
        assert run_elsewhere(name, f"again {number}", **arguments).code == 0
        labels.append(elsewhere.inspect(name)["Config"]["Labels"].get("map.newer"))
    assert labels == [None, "yes"]


def test_an_image_that_no_registry_has_is_not_run(run_elsewhere, registry):
    with pytest.raises(engine.EngineError, match="not found"):
        run_elsewhere(f"{registry.address}/map-suite/nothing:1", "task")


def online(engine_name, base):
    """The options of a build that may fetch its base."""
    return ("skull_strip", "--engine", engine_name, "--wheelhouse", wheelhouse(), "--base", base, "--tag", "online")


def check_labels(labels, base):
    assert labels["org.opencontainers.image.base.name"] == base
    assert labels["org.opencontainers.image.base.digest"] == base.partition("@")[2]


def test_docker_builds_on_a_base_that_it_pulls(elsewhere, registry, base):
    with map_images.locked("images"):
        done = build_maps(*online("docker", base), docker_host=elsewhere.socket)
    assert done.returncode == 0, done.stderr

    image = "map-suite/skull_strip:online"
    tested = monai_deploy("selftest", image, "--engine", "docker", env={"DOCKER_HOST": f"unix://{elsewhere.socket}"})

    assert registry.asked(f"python/manifests/{base.partition('@')[2]}", "docker/")
    check_labels(elsewhere.inspect(image)["Config"]["Labels"], base)
    assert elsewhere.inspect(image)["Architecture"] == "amd64"
    assert tested.code == 0, tested.stderr


def test_buildah_builds_on_a_base_that_it_pulls(elsewhere, run_elsewhere, registry, base, tmp_path):
    """And docker elsewhere runs what it saved."""
    image = "localhost/map-suite/skull_strip:online"
    with own_storage() as storage:
        settings = {**registry.trusted, **storage}
        with map_images.locked("images"):
            done = build_maps(*online("buildah", base), "--save", tmp_path, settings=settings)
        assert done.returncode == 0, done.stderr
        inspect = ["buildah", "inspect", "--type", "image", image]
        found = subprocess.run(inspect, env={**os.environ, **settings}, capture_output=True, text=True, check=True)
        tested = monai_deploy("selftest", image, "--engine", "podman", env=settings)
    skopeo_load(tmp_path / "map-skull_strip-online.oci.tar", image, elsewhere)
    ended = run_elsewhere(image, "task")

    built = json.loads(found.stdout)["OCIv1"]
    assert registry.asked(f"python/manifests/{base.partition('@')[2]}", "Buildah/")
    check_labels(built["config"]["Labels"], base)
    assert built["architecture"] == "amd64"
    assert tested.code == 0, tested.stderr
    assert elsewhere.inspect(image)["RootFS"]["Layers"] == built["rootfs"]["diff_ids"]
    assert ended.code == 0, ended.said
    assert "seg.dcm" in ended.files
