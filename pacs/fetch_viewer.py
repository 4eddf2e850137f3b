"""The ready-made OHIF viewer, as its package at npm holds it."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from pacs.failure import DemoError
from pacs.orthanc import find_program

PACKAGE = "@ohif/app"
WANTED = json.loads(Path(__file__).with_name("package.json").read_text())
FETCH_S = 900


def fetch_viewer(folder: Path, say: Callable[[str], object] = lambda _: None) -> Path:
    """Return the folder with the viewer's index.html; it is downloaded into a folder when it is not there yet.

    say  is told before a download

    The package alone is taken, not what it was built from: the packages it names are in its bundles.
    """
    version = WANTED["dependencies"][PACKAGE]
    kept = folder / f"ohif-{version}"
    if not (kept / "dist" / "index.html").exists():
        say("Fetching the viewer from npm, once: 50 MB")
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            _unpack(_download(f"{PACKAGE}@{version}", Path(place)), Path(place))
            (Path(place) / "package").rename(kept)
    return kept / "dist"


def _download(name: str, folder: Path) -> Path:
    """Return the file of a package, whose hash is the one that is known."""
    done = subprocess.run(
        [find_program("npm"), "pack", "--silent", name], cwd=folder, timeout=FETCH_S, check=False,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    files = list(folder.glob("*.tgz"))
    if done.returncode or not files:
        raise DemoError(f"npm could not fetch {name}. It says:\n{done.stderr[-1000:]}")
    found = "sha512-" + base64.b64encode(hashlib.sha512(files[0].read_bytes()).digest()).decode()
    if found != WANTED["integrity"][PACKAGE]:
        raise DemoError(f"{name} is not the package that is known: {found}, needed {WANTED['integrity'][PACKAGE]}.")
    return files[0]


def _unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as content:
        content.extractall(folder)  # noqa: S202  its hash is known
