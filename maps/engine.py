"""The programs that build, store and run images, told apart in one place."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maps.failures import BuildError

ENGINES = ("docker", "podman", "buildah")
SECONDS_TO_ANSWER = 20
SUBUID = Path("/etc/subuid")


@dataclass(frozen=True)
class Engine:
    """One of docker, podman and buildah on this machine."""

    name: str
    offline: bool = False

    @property
    def storage_command(self) -> list[str]:
        """The command that prints where images are kept, as JSON."""
        return [self.name, "info", *(["--format", "{{json .}}"] if self.name != "buildah" else [])]

    def build_command(
        self, folder: Path, file: Path, tag: str, arguments: Mapping[str, str], labels: Mapping[str, str], epoch: int
    ) -> list[str]:
        """Return the command that builds an image from a folder and a Dockerfile."""
        head = [self.name, "bud"] if self.name == "buildah" else [self.name, "build"]
        if self.name == "podman":
            head = ["podman", "--cgroup-manager", "cgroupfs", "build"]
        command = [*head, "--file", str(file), "--tag", tag, *self._limits(), "--force-rm"]
        if self.name != "docker":
            command += ["--timestamp", str(epoch), "--layers=false", *(["--pull-never"] if self.offline else [])]
        command += [f"--build-arg={key}={value}" for key, value in arguments.items()]
        command += [f"--label={key}={value}" for key, value in labels.items()]
        return [*command, str(folder)]

    def _limits(self) -> list[str]:
        """Return how the steps of a build are cut off from the network and the machine: no step needs either."""
        if self.name == "docker":
            return ["--network", "none"]
        if shutil.which("runc") is None or os.geteuid() != 0:
            return ["--isolation", "chroot"]  # shares the host's network; pip is told to use none
        limits = [f"--ulimit={name}={count}:{count}" for name, count in (("nofile", 1024), ("nproc", 4096))]
        return ["--isolation", "oci", "--runtime", "runc", "--network", "none", *limits]

    def environment(self) -> dict[str, str]:
        """Return the environment of the engine: docker's builder that needs no plug-in."""
        return {**os.environ, "DOCKER_BUILDKIT": "0", "BUILDAH_FORMAT": "oci"}

    def ask(self, *arguments: str, seconds: float = SECONDS_TO_ANSWER) -> subprocess.CompletedProcess[str]:
        """Run a short command to its end; BuildError when the engine is missing or does not answer."""
        try:
            return subprocess.run(  # noqa: S603
                [self.name, *arguments], capture_output=True, text=True, check=False, timeout=seconds,
                env=self.environment(),
            )  # fmt: skip
        except FileNotFoundError as error:
            there = [name for name in ENGINES if shutil.which(name)]
            raise BuildError(
                f"{self.name} is needed and not on the PATH; found: {', '.join(there) or 'no engine'}. "
                "Install one of docker, podman, buildah, or name another with --engine."
            ) from error
        except subprocess.TimeoutExpired as error:
            raise BuildError(
                f"{self.name} did not answer within {seconds:.0f} s ({self.name} {' '.join(arguments)}). "
                f"Restart its daemon, or name another engine with --engine."
            ) from error

    def inspect(self, image: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image; None when it has none of that name."""
        verb = ("inspect", "--type", "image") if self.name == "buildah" else ("image", "inspect")
        done = self.ask(*verb, image)
        if done.returncode:
            return None
        found = json.loads(done.stdout)
        return dict(found[0] if isinstance(found, list) else found)

    def labels(self, image: str) -> dict[str, str]:
        """Return the labels of an image; none when it does not exist."""
        found = self.inspect(image) or {}
        config = found.get("Config") or found.get("OCIv1", {}).get("config") or {}
        if isinstance(config, str):  # buildah prints the configuration as text as well
            config = found.get("OCIv1", {}).get("config", {})
        return dict(config.get("Labels") or {})

    def remove(self, *names: str) -> None:
        """Remove images by name, if they are there."""
        for name in names:
            self.ask("rmi", name, seconds=120)

    def full_name(self, tag: str) -> str:
        """Return a name as this engine stores it: without a registry it is localhost's for podman and buildah."""
        return tag if self.name == "docker" else f"localhost/{tag}"


def choose_engine(name: str | None, *, offline: bool) -> Engine:
    """Return the engine to build with: the named one, or the first on the PATH; BuildError when it cannot work."""
    there = [each for each in ENGINES if shutil.which(each)]
    if name is None and not there:
        raise BuildError(
            "One of docker, podman, buildah is needed; none is on the PATH. Install one (Debian: buildah)."
        )
    engine = Engine(name or there[0], offline)
    check_engine(engine)
    return engine


def check_engine(engine: Engine) -> Path:
    """Return where the engine keeps images; BuildError when it is missing, does not answer, or needs more rights."""
    if engine.name != "docker" and os.geteuid() != 0 and not has_ranges(SUBUID):
        raise BuildError(_why_not(engine, f"{SUBUID} has no line for this user"))
    done = engine.ask(*engine.storage_command[1:])
    if done.returncode:
        raise BuildError(_why_not(engine, done.stderr))
    facts = json.loads(done.stdout)
    place = (
        facts.get("DockerRootDir") or facts.get("store", {}).get("GraphRoot") or facts.get("store", {}).get("graphRoot")
    )
    if engine.name == "docker" and not place:  # the client prints what it knows, and the daemon's silence as an error
        raise BuildError(_why_not(engine, "; ".join(facts.get("ServerErrors") or ["the daemon said nothing"])))
    return Path(place or "/")


def has_ranges(file: Path) -> bool:
    """Return whether a file of ranges gives this user some, by name or number (subuid(5))."""
    user = os.geteuid()
    try:
        names = {str(user), pwd.getpwuid(user).pw_name}
        lines = file.read_text().splitlines()
    except (KeyError, OSError):
        return False
    return any(line.partition(":")[0] in names for line in lines)


def _why_not(engine: Engine, stderr: str) -> str:
    said = f"It said: {' '.join(stderr.split())[-300:]}"
    if os.geteuid() != 0:
        ranges = f"give this user ranges in /etc/subuid and /etc/subgid, which {engine.name} needs,"
        remedy = "join the group docker" if engine.name == "docker" else ranges
        return f"{engine.name} does not work for this user, who is not root: {remedy} or run as root. {said}"
    if engine.name == "docker":
        return f"The Docker daemon does not answer. Start it, or name another engine with --engine. {said}"
    return f"{engine.name} does not work. {said}"


def check_space(place: Path, needed_gb: float) -> None:
    """Raise BuildError when less than so many gigabytes are free where images are kept."""
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free / 1e9
    if free < needed_gb:
        raise BuildError(
            f"{needed_gb:.0f} GB are needed below {place}, {free:.1f} GB are free. Make room and try again."
        )


def words(command: Sequence[str]) -> str:
    """Return a command as one would type it, shortened."""
    return " ".join(command)[:200]
