"""Images of the applications for tests, built once by Debian's docker without a network, and a daemon that runs them.

    MAP_IMAGE_CACHE   folder with base.tar and wheels/, filled if need be (default: build/ of the checkout)
    MAP_TEST_TAG      tag of the images (default: test)
    MAP_TEST_GIVEN    1: images of that tag are in the machine's daemon, such as those for GPUs; nothing is built

Needs root, runc, mmdebstrap and Debian's docker, some tests buildah and skopeo; what is missing skips tests.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CACHE = Path(os.environ.get("MAP_IMAGE_CACHE", ROOT / "build"))
TAG = os.environ.get("MAP_TEST_TAG", "test")
GIVEN = os.environ.get("MAP_TEST_GIVEN") == "1"
APPS = ("cervical_tumor", "lung_nodule", "skull_strip", "spine")
PROGRAMS = ("runc", "docker", "dockerd")
SECONDS_TO_BUILD = 1200
DAEMON = ("--iptables=false", "--ip6tables=false", "--bridge=none", "--add-runtime", "nvidia=/usr/sbin/runc")


def image_of(app: str) -> str:
    """Name of an application's image."""
    return f"map-suite/{app}:{TAG}"


def require_programs() -> None:
    """Skip where images cannot be built."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"building images needs root and {', '.join(PROGRAMS)}; missing: {', '.join(missing) or 'root'}")


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock of this machine: what is built or filled once is waited for by others."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def base_tar() -> Path:
    """A Debian root with Python 3.11, made if it is not there."""
    target = CACHE / "base.tar"
    if not target.exists():
        if shutil.which("mmdebstrap") is None:
            pytest.skip("making a base needs mmdebstrap")
        part = CACHE / "base.part.tar"
        subprocess.run([ROOT / "maps/base/make_base.sh", part], check=True, capture_output=True, timeout=600)
        part.rename(target)
    return target


def wheelhouse() -> Path:
    """The locked wheels, downloaded if they are not there."""
    from maps.failures import BuildError
    from maps.wheelhouse import fill, find_wheels, locks

    folder = CACHE / "wheels"
    try:
        find_wheels(folder, locks("cpu"))
    except BuildError:
        fill(folder, locks("cpu"))
    return folder


def build_maps(
    *arguments: object, timeout: float = SECONDS_TO_BUILD, docker_host: str = "", settings: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    """Run build_maps.sh as on a machine that has nothing but Python, and settings of the engine."""
    command = [ROOT / "build_maps.sh", *map(str, arguments)]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/root"), "PYTHON": sys.executable}
    environment |= {"DOCKER_HOST": f"unix://{docker_host}"} if docker_host else {}
    environment |= settings
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, check=False, cwd="/"
    )


@cache
def built_images(socket: str) -> tuple[str, ...]:
    """Build the four images, offline, in a daemon, unless they are given; return their names."""
    if GIVEN:
        return tuple(image_of(app) for app in APPS)
    with locked("images"):
        arguments = ("--engine", "docker", "--offline", "--wheelhouse", wheelhouse(), "--base", base_tar())
        done = build_maps(*APPS, *arguments, "--tag", TAG, docker_host=socket)
    assert done.returncode == 0, done.stderr
    return tuple(image_of(app) for app in APPS)


@dataclass(frozen=True)
class Docker:
    """A Docker daemon and what its client says."""

    socket: str

    def __call__(
        self, *arguments: object, timeout: float = 300, check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the client to its end."""
        command = ["docker", "--host", f"unix://{self.socket}", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=check)

    def inspect(self, image: str) -> dict[str, Any]:
        """What the daemon knows of an image."""
        return dict(json.loads(self("image", "inspect", image, check=True).stdout)[0])

    def load(self, app: str) -> str:
        """Return the name of an application's image in this daemon, built if need be."""
        return next(name for name in built_images(self.socket) if name == image_of(app))

    def runtime(self) -> str:
        """Return the name of the image that all stand on."""
        layers = self.inspect(self.load(APPS[0]))["RootFS"]["Layers"]
        listed = self("images", "--format", "{{.Repository}}:{{.Tag}}", "map-runtime", check=True).stdout.split()
        found = {name: self.inspect(name)["RootFS"]["Layers"] for name in listed}
        return next(name for name, below in found.items() if layers[: len(below)] == below)

    def give_runtime_to_buildah(self) -> None:
        """Copy what all images stand on to buildah's storage, so that it need not build it again."""
        command = ["skopeo", "copy", "--quiet", "--src-daemon-host", f"unix://{self.socket}"]
        source = self.runtime()
        there = subprocess.run(
            ["buildah", "inspect", "--type", "image", f"localhost/{source}"], capture_output=True, check=False
        )
        if there.returncode:
            both = (f"docker-daemon:{source}", f"containers-storage:localhost/{source}")
            subprocess.run([*command, *both], check=True, capture_output=True, timeout=300)


def buildah_layers(image: str) -> list[str]:
    """The digests of the layers of an image."""
    command = ["buildah", "inspect", "--type", "image", image]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout)["OCIv1"]["rootfs"]["diff_ids"])


@contextlib.contextmanager
def docker_daemon() -> Iterator[Docker]:
    """A daemon with a runtime called nvidia: the machine's if it has one, else one of its own, stopped afterwards.

    Where images are given it is the machine's: without that runtime, tests of the plug-in fail.
    """
    require_programs()
    common = Docker("/var/run/docker.sock")
    if GIVEN or common("info", "--format", "{{.Runtimes}}", timeout=30).stdout.count("nvidia"):
        yield common
        return
    with empty_daemon() as own:
        yield own


@contextlib.contextmanager
def empty_daemon() -> Iterator[Docker]:
    """A daemon that has no image yet, as on another machine; it is stopped and all it holds is removed."""
    require_programs()
    place = Path(tempfile.mkdtemp(prefix="map-dockerd-"))
    own = Docker(str(place / "docker.sock"))
    folders = ("--data-root", place / "data", "--exec-root", place / "exec", "--pidfile", place / "pid")
    command = [_daemon(), "--host", f"unix://{own.socket}", *DAEMON, *map(str, folders)]
    with (place / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(own, process, place / "log")
        yield own
    finally:
        process.terminate()
        process.wait(300)
        shutil.rmtree(place, ignore_errors=True)


def _daemon() -> str:
    """Debian's daemon where there is another one before it on the PATH."""
    return "/usr/sbin/dockerd" if Path("/usr/sbin/dockerd").exists() else "dockerd"


def _wait_for(docker: Docker, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(120):
        if docker("info", timeout=30).returncode == 0:
            return
        if process.poll() is not None:
            break
        time.sleep(0.5)
    pytest.skip(f"dockerd does not start here: {log.read_text()[-300:]}")
