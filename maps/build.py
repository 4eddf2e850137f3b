"""Build container images of applications: ``build_maps.sh``, ``monai-deploy package``, ``python3 -m maps.build``."""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from imaging.outcome import OutputError, SuiteError, UsageError
from maps.base import Base, find_base, write_context
from maps.describe_app import ROOT, AppDescription, app_names
from maps.engine import ENGINES, Engine, check_engine, check_space, choose_engine
from maps.failures import BuildError
from maps.imports import imported_modules
from maps.run_build import Leftovers, interruptible, run_logged, say
from maps.save import check_saver, save_image
from maps.stage_app import stage_app
from maps.wheelhouse import LOCKS, TOOL, fill, find_wheels

EPOCH = 1_700_000_000
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
IMAGE_FILES = ROOT / "maps" / "image"
SPACE_GB = {"cpu": 4.0, "gpu": 25.0}
LICENCE = "Apache-2.0"


@dataclass(frozen=True)
class Job:
    """What is to be built, and how."""

    engine: Engine
    base: Base
    kind: str  # cpu or gpu
    wheelhouse: Path
    work: Path  # folder for contexts and logs
    epoch: int
    build: str  # number of this build, on what it may leave behind


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of a build."""
    parser.add_argument(
        "apps", metavar="APP", nargs="*", help=f"applications to build (default: {', '.join(app_names())})"
    )
    parser.add_argument("--engine", choices=ENGINES, help="program that builds (default: the first that is there)")
    parser.add_argument("--gpu", action="store_true", help="images with the CUDA build of torch")
    parser.add_argument("--base", metavar="IMAGE", help="image, or root file system in a .tar file, with Python 3.11")
    parser.add_argument("--wheelhouse", type=Path, metavar="DIR", help="folder with the locked wheels")
    parser.add_argument(
        "--offline", action="store_true", help="no network at all: needs --wheelhouse and a local --base"
    )
    parser.add_argument("--tag", help="tag of the images (default: the application's version)")
    parser.add_argument(
        "--save", type=Path, metavar="DIR", help="also write each image as an OCI archive with its SHA-256"
    )
    parser.add_argument("--stage-only", action="store_true", help="write the images' files to build/maps and stop")
    parser.add_argument(
        "-m", "--model", type=Path, metavar="DIR", help="folder of models to pack (default: the checkout's)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Build from a command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="build_maps.sh", description="Build the container images of applications.")
    add_arguments(parser)
    try:
        return run(parser.parse_args(argv))
    except SuiteError as error:
        sys.stderr.write(f"build_maps.sh: {error}\n")
        return int(error.exit_code)


def run(options: argparse.Namespace) -> int:
    """Stage and build what the options ask for."""
    apps = options.apps or app_names()
    unknown = sorted(set(apps) - set(app_names()))
    if unknown:
        raise UsageError(f"There is no application {unknown[0]!r}. There are: {', '.join(app_names())}.")
    if options.tag is not None and not TAG.fullmatch(options.tag):
        raise UsageError(
            f"A tag has up to 128 letters, digits, '_', '.' and '-', the first no '.' or '-'; got {options.tag!r}"
        )
    if options.offline and options.wheelhouse is None:
        raise UsageError("--offline needs --wheelhouse DIR; fill one with: python3 -m maps.wheelhouse DIR")
    kind = "gpu" if options.gpu else "cpu"
    with interruptible(), locked_folder(ROOT / "build" / "maps") as work:
        staged = [(_stage(work, name, kind, options.model)) for name in apps]
        if options.stage_only:
            return 0
        job = prepare(options, kind, work)
        leftovers = Leftovers(job.engine, job.build)
        try:
            runtime = build_runtime(job)
            for app in staged:
                image = build_app(job, app, runtime, options.tag or app.version)
                if options.save:
                    save_image(job.engine, image, options.save)
        finally:
            leftovers.remove()
    return 0


def prepare(options: argparse.Namespace, kind: str, work: Path) -> Job:
    """Check all that a build needs before it begins; the message of the error names what is missing."""
    if options.wheelhouse is not None:
        find_wheels(options.wheelhouse, _locks(kind))
    engine = choose_engine(options.engine, offline=options.offline)
    check_space(check_engine(engine), SPACE_GB[kind])
    if options.save:
        check_saver(engine, options.save)
    epoch = read_epoch(os.environ.get("SOURCE_DATE_EPOCH", str(EPOCH)))
    base = find_base(options.base, engine)
    wheelhouse = options.wheelhouse or _fetched(work.parent / "wheels", kind)
    job = Job(engine, base, kind, wheelhouse, work, epoch, uuid.uuid4().hex)
    if options.base and options.base.endswith(".tar") and engine.inspect(base.image) is None:
        folder = _fresh(work / "base")
        say(f"importing {options.base}")
        _build(job, folder, write_context(Path(options.base), folder / "context"), base.image, {}, {})
    return job


def read_epoch(text: str) -> int:
    """Return the time that files of an image get, in seconds since 1970; UsageError for what is none."""
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise UsageError(f"SOURCE_DATE_EPOCH is a number of seconds since 1970, such as {EPOCH}; got {text!r}")
    return int(text)


def build_runtime(job: Job) -> str:
    """Return the image all applications stand on; it is built unless one of the same inputs is there."""
    context = _fresh(job.work / f"runtime-{job.kind}")
    for name in ("install.py", "slim.py"):
        shutil.copyfile(IMAGE_FILES / name, context / name)
    shutil.copytree(IMAGE_FILES / "stubs", context / "stubs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(LOCKS / f"{job.kind}.txt", context / "lock.txt")
    (context / "imports.txt").write_text("\n".join(imported_modules(ROOT)) + "\n")
    inputs = digest_of_folder(context, IMAGE_FILES / "runtime.Dockerfile", job.base.digest, str(job.epoch))
    image = job.engine.full_name(f"map-runtime:{job.kind}-{inputs[:12]}")
    if job.engine.labels(image).get("map.inputs") == inputs:
        say(f"{image} is there")
        return image
    _add_wheels(job, context, [TOOL, LOCKS / f"{job.kind}.txt"])
    say(f"building {image}")
    arguments = {"BASE": job.base.image, "BUILD": job.build, "SOURCE_DATE_EPOCH": str(job.epoch)}
    labels = {"map.inputs": inputs, "org.opencontainers.image.base.name": job.base.image}
    _build(job, context, IMAGE_FILES / "runtime.Dockerfile", image, arguments, labels)
    return image


def build_app(job: Job, app: AppDescription, runtime: str, tag: str) -> str:
    """Return the image of an application, built."""
    context = job.work / app.name
    facts = {"name": app.name, "version": app.version, "licence": LICENCE}
    (context / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    shutil.copyfile(IMAGE_FILES / "finish.py", context / "finish.py")
    image = job.engine.full_name(f"map-suite/{app.name}:{tag}")
    say(f"building {image}")
    arguments = {"RUNTIME": runtime, "BUILD": job.build, "SOURCE_DATE_EPOCH": str(job.epoch)}
    _build(job, context, IMAGE_FILES / "app.Dockerfile", image, arguments, labels_of(app, job.base))
    return image


def labels_of(app: AppDescription, base: Base) -> dict[str, str]:
    """Return the labels of an application's image."""
    return {
        "org.opencontainers.image.title": app.title,
        "org.opencontainers.image.version": app.version,
        "org.opencontainers.image.revision": revision(),
        "org.opencontainers.image.licenses": LICENCE,
        "org.opencontainers.image.description": f"{app.inputs}. Research use only, not a medical device.",
        "org.opencontainers.image.base.name": base.image,
        "org.opencontainers.image.base.digest": base.digest,
        "org.monai.deploy.app-sdk": "4.0.0",
        "map.app": app.name,
    }


def revision() -> str:
    """Return the commit of the checkout, marked when files differ from it."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError:  # a host that got the sources as an archive
        return "unknown"
    return done.stdout.strip() or "unknown"


@contextmanager
def locked_folder(folder: Path) -> Iterator[Path]:
    """Hold the folder of contexts for one build; BuildError when another works there, OutputError when nobody may."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise OutputError(
            f"The folder {folder}, in which images are prepared, cannot be written ({error.strerror}). Build from a "
            "checkout of your own."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BuildError(f"Another build works in {folder}. Wait for its end.") from error
        yield folder


def digest_of_folder(folder: Path, *more: Path | str) -> str:
    """Return a SHA-256 over the names and contents of a folder's files, and of what else is given."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            whole.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes() + b"\0")
    for item in more:
        whole.update(item.read_bytes() if isinstance(item, Path) else item.encode())
    return whole.hexdigest()


def _stage(work: Path, name: str, kind: str, models: Path | None) -> AppDescription:
    context = _fresh(work / name)
    platform = "dgpu" if kind == "gpu" else "cpu"
    for folder in ("output", "logs"):
        (context / "own" / folder).mkdir(parents=True)
    return stage_app(ROOT, name, context / "tree", platform, models)


def _locks(kind: str) -> list[Path]:
    return [TOOL, LOCKS / f"{kind}.txt"]


def _fetched(folder: Path, kind: str) -> Path:
    """Return a wheelhouse with all that the locks list; what is missing is downloaded by this machine's pip."""
    try:
        find_wheels(folder, _locks(kind))
    except BuildError:
        say(f"fetching the locked packages into {folder}")
        fill(folder, _locks(kind))
    return folder


def _add_wheels(job: Job, context: Path, locks: Iterable[Path]) -> None:
    """Put the wheels that the locks list into a context."""
    (context / "wheels").mkdir()
    for wheel in find_wheels(job.wheelhouse, locks):
        try:
            (context / "wheels" / wheel.name).hardlink_to(wheel.resolve())
        except OSError:  # another file system
            shutil.copyfile(wheel, context / "wheels" / wheel.name)


def _build(
    job: Job, folder: Path, file: Path, tag: str, arguments: Mapping[str, str], labels: Mapping[str, str]
) -> None:
    log = job.work / f"{folder.name}.log"
    log.unlink(missing_ok=True)
    context = folder / "context" if (folder / "context").is_dir() else folder
    command = job.engine.build_command(context, file, tag, arguments, labels, job.epoch)
    run_logged(command, log, job.engine.environment())


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
