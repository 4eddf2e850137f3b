"""The locked packages as files in a folder, for builds without a network.

python3 -m maps.wheelhouse DIR [--gpu]      fill DIR; needs pip and an index, or a folder pip is told to look in
"""

from __future__ import annotations

import argparse
import hashlib
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from imaging.outcome import SuiteError
from maps.describe_app import ROOT
from maps.failures import BuildError

LOCKS = ROOT / "maps" / "locks"
TOOL = LOCKS / "tool.txt"
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\]+)")
HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def main(argv: Sequence[str] | None = None) -> int:
    """Fill a wheelhouse."""
    parser = argparse.ArgumentParser(prog="python3 -m maps.wheelhouse", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gpu", action="store_true", help="packages of the GPU images")
    options = parser.parse_args(argv)
    try:
        fill(options.folder, locks("gpu" if options.gpu else "cpu"))
    except SuiteError as error:
        sys.stderr.write(f"wheelhouse: {error}\n")
        return int(error.exit_code)
    return 0


def locks(kind: str) -> list[Path]:
    """Return the locks of a platform: that of pip and that of the runtime."""
    return [TOOL, LOCKS / f"{kind}.txt"]


def fill(folder: Path, wanted: Iterable[Path]) -> None:
    """Download what the locks list into a folder; BuildError with pip's reason when something cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--only-binary",
        ":all:",
    ]
    command += ["--disable-pip-version-check", "--dest", str(folder)]
    for lock in wanted:
        done = subprocess.run([*command, "-r", str(lock)], capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            reason = [line for line in done.stderr.splitlines() if line.strip()][-1:]
            raise BuildError(
                f"pip could not download what {lock.name} lists: {' '.join(reason)}. Give a wheelhouse that was filled "
                "elsewhere, or an index that has it (docs/images.md)."
            )


def locked(lock: Path) -> dict[str, set[str]]:
    """Return the SHA-256 hashes that a lock allows for each ``name==version``."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in lock.read_text().splitlines():
        if match := REQUIREMENT.match(line):
            name = f"{match[1]}=={match[2]}"
            found[name] = set()
        if name:
            found[name].update(HASH.findall(line))
    return found


def find_wheels(folder: Path, wanted: Iterable[Path]) -> list[Path]:
    """Return the wheels of a folder that the locks list; BuildError naming each that is missing or another."""
    if not folder.is_dir():
        raise BuildError(f"The wheelhouse {folder} is no folder. Fill one with: python3 -m maps.wheelhouse {folder}")
    digests = {digest_of(path): path for path in sorted(folder.glob("*.whl"))}
    found, missing = [], []
    for lock in wanted:
        for requirement, allowed in locked(lock).items():
            hit = allowed & digests.keys()
            found += [digests[digest] for digest in sorted(hit)[:1]]
            missing += [] if hit else [_why_missing(requirement, folder)]
    if missing:
        raise BuildError(
            f"The wheelhouse {folder} lacks {'; '.join(missing)}. Fill it with: python3 -m maps.wheelhouse {folder}"
        )
    return found


def _why_missing(requirement: str, folder: Path) -> str:
    name, version = requirement.split("==")
    stem = f"{name.replace('-', '_')}-{version}-"
    there = [path.name for path in folder.glob("*.whl") if path.name.lower().startswith(stem.lower())]
    return f"{requirement} (the file there, {there[0]}, has another SHA-256 than the lock)" if there else requirement


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
