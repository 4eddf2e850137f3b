"""Write an image as an OCI archive with its SHA-256, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from imaging.outcome import OutputError
from maps.engine import Engine
from maps.failures import BuildError
from maps.run_build import run_logged, say
from maps.wheelhouse import digest_of

PART = ".part"


def check_saver(engine: Engine, folder: Path) -> None:
    """Raise OutputError or BuildError when an archive could not be written into a folder; it is made if need be."""
    if engine.name == "docker" and shutil.which("skopeo") is None:
        raise BuildError("docker writes no OCI archives: install skopeo, or build with --engine buildah or podman.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder for archives cannot be made: {folder} ({error.strerror}).") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"The folder for archives cannot be written: {folder}. Name another with --save.")
    for rest in folder.glob(f"map-*{PART}"):
        rest.unlink()  # of a build that was killed


def save_image(engine: Engine, image: str, folder: Path) -> Path:
    """Write ``map-NAME-TAG.oci.tar`` and a file with its SHA-256 beside it; return the archive."""
    name, _, tag = image.rpartition("/")[2].partition(":")
    target = folder / f"map-{name}-{tag}.oci.tar"
    part, log = target.with_name(target.name + PART), folder / f".{target.name}.log"
    place = f"in {folder} or for temporary files"
    say(f"saving {target}")
    try:
        for command in commands(engine, image, part, f"map-suite/{name}:{tag}"):
            run_logged(command, log, engine.environment(), place)
        digest = digest_of(part)
        part.rename(target)
        target.with_name(target.name + ".sha256").write_text(f"{digest}  {target.name}\n")
        log.unlink()
    finally:
        for rest in (part, part.with_suffix(".docker")):
            rest.unlink(missing_ok=True)
    return target


def commands(engine: Engine, image: str, target: Path, name: str) -> list[list[str]]:
    """Return what makes the archive."""
    if engine.name == "buildah":
        return [["buildah", "push", "--quiet", image, f"oci-archive:{target}:{name}"]]
    if engine.name == "podman":
        return [["podman", "save", "--quiet", "--format", "oci-archive", "--output", str(target), image]]
    whole = target.with_suffix(".docker")
    return [
        ["docker", "save", "--output", str(whole), image],
        ["skopeo", "copy", "--quiet", f"docker-archive:{whole}:{image}", f"oci-archive:{target}:{name}"],
    ]
