"""The image that the others stand on: a public one pinned by its digest, a local one, or a root file system."""

from __future__ import annotations

import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from imaging.outcome import UsageError
from maps.engine import Engine
from maps.failures import BuildError
from maps.wheelhouse import digest_of

PUBLIC = (
    "docker.io/library/python:3.11.16-slim-bookworm"
    "@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b"
)
"""Docker's official image; the digest is that of the index of all platforms."""
DOCKERFILE = "FROM scratch\nADD base.tar /\nENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"
REFERENCE = re.compile(r"[\w][\w.:/@-]{0,254}")


@dataclass(frozen=True)
class Base:
    """What to build on."""

    image: str  # as the engine is told
    digest: str  # SHA-256 that pins it


def find_base(given: str | None, engine: Engine) -> Base:
    """Return the base that a user asks for, the public one when none is asked for; import a .tar file is the caller's.

    UsageError for a name no engine takes; BuildError when a file is missing, or there is no network to pull from.
    """
    if given is not None and given.endswith(".tar"):
        path = Path(given)
        if not path.is_file():
            raise BuildError(f"The base {given} is missing. Make one with: maps/base/make_base.sh {given}")
        check_root(path)
        digest = digest_of(path)
        return Base(engine.full_name(f"map-base:{digest[:12]}"), f"sha256:{digest}")
    image = PUBLIC if given is None else given
    if not REFERENCE.fullmatch(image):
        raise UsageError(f"--base takes the name of an image or a root file system in a .tar file; got {image!r}")
    found = engine.inspect(image)
    if found is None and engine.offline:
        raise BuildError(
            f"The base {image} is not on this machine, and --offline forbids to fetch it. Load it, or give --base "
            "FILE.tar as maps/base/make_base.sh makes it."
        )
    if "@" in image:
        return Base(image, image.partition("@")[2])
    identity = str((found or {}).get("Id") or (found or {}).get("FromImageID") or "")
    if not identity:
        raise BuildError(f"The base {image} is not on this machine. Pull it first, or name it with its digest.")
    return Base(image, identity if identity.startswith("sha256:") else f"sha256:{identity}")


def check_root(path: Path) -> None:
    """Raise BuildError for a file that is no root file system with Python 3.11 and a shell; nothing is imported yet."""
    remedy = f"Make one with: maps/base/make_base.sh {path}"
    try:
        with tarfile.open(path) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()}
    except (tarfile.TarError, EOFError) as error:
        raise BuildError(f"The base {path} is no whole .tar file. {remedy}") from error
    for program, folders in (("python3.11", ("usr/bin", "usr/local/bin")), ("sh", ("usr/bin", "bin"))):
        if names.isdisjoint(f"{folder}/{program}" for folder in folders):
            raise BuildError(f"The base {path} holds no {program}. {remedy}")


def write_context(tar: Path, folder: Path) -> Path:
    """Write the folder that a root file system is imported from; return its Dockerfile."""
    folder.mkdir(parents=True)
    try:
        (folder / "base.tar").hardlink_to(tar.resolve())
    except OSError:  # another file system
        shutil.copyfile(tar, folder / "base.tar")
    file = folder / "Dockerfile"
    file.write_text(DOCKERFILE)
    return file
