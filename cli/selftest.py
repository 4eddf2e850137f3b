"""``monai-deploy selftest APP|IMAGE``: run an application on its sample and compare with what is known of it."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from imaging.outcome import ExitCode, OutputError

SECONDS = 300


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add TARGET and --engine."""
    parser.add_argument("target", metavar="APP|IMAGE", help="name or folder of an application, or an image")
    parser.add_argument(
        "--engine", choices=("docker", "podman"), help="program that runs the image (default: what is there)"
    )
    parser.add_argument("-m", "--model", type=Path, help="folder of models (default: those of the application)")


def run(options: argparse.Namespace) -> int:
    """Test an application here, or in its image; return 0, or 1 after saying what is wrong."""
    folder = _folder(options.target)
    if folder is None:
        from maps.run_image import run_image

        return run_image(options.target, ["selftest"], engine=options.engine)
    return _test(folder, options.model)


def _folder(target: str) -> Path | None:
    """Return the folder of an application; None for what must be an image."""
    from cli.find_app import app_names, apps_folder

    if (Path(target) / "app.py").exists():
        return Path(target)
    return apps_folder() / target if "/" not in target and ":" not in target and target in app_names() else None


def _test(folder: Path, models: Path | None) -> int:
    from cli.defer_imports import defer_imports
    from cli.environment import prepare_process
    from cli.run import load_app

    started = time.perf_counter()
    prepare_process("ERROR")
    defer_imports()
    name = load_app(folder).CARD.name
    wrong = [*_decoders(), *_run_sample(folder, name, models)]
    seconds = time.perf_counter() - started
    if wrong:
        sys.stderr.write("".join(f"selftest {name}: {each}\n" for each in wrong))
        return int(ExitCode.INTERNAL)
    sys.stdout.write(
        f"selftest {name}: passed in {seconds:.1f} s (a phantom; research use only, not a medical device)\n"
    )
    return int(ExitCode.DONE)


def _decoders() -> Iterator[str]:
    """Decode with each decoder what its encoder makes of a small image."""
    import numpy as np

    try:
        import imagecodecs
    except ImportError as error:
        yield f"the decoders of compressed images cannot be loaded ({type(error).__name__})"
        return
    image = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    for codec, options in (("jpeg8", {"lossless": True}), ("jpegls", {}), ("jpeg2k", {"reversible": True, "level": 0})):
        try:
            stream = getattr(imagecodecs, f"{codec}_encode")(image, **options)
            if not np.array_equal(getattr(imagecodecs, f"{codec}_decode")(stream), image):
                yield f"the decoder {codec} gives other pixels than were encoded"
        except BROKEN as error:
            yield f"the decoder {codec} does not work ({type(error).__name__})"
    try:
        if imagecodecs.dicomrle_decode(RUN_LENGTHS, np.dtype("u1"))[:4] != b"\7\7\7\1":
            yield "the decoder of run lengths gives other pixels than were encoded"
    except BROKEN as error:
        yield f"the decoder of run lengths does not work ({type(error).__name__})"


BROKEN = (ImportError, AttributeError, RuntimeError, ValueError)
"""What calling a codec raises whose library is missing or damaged."""
RUN_LENGTHS = (1).to_bytes(4, "little") + (64).to_bytes(4, "little") + bytes(56) + b"\xfe\x07\x00\x01"
"""One segment (PS3.5 Annex G): three times 7, then 1."""


def _run_sample(folder: Path, name: str, models: Path | None) -> Iterator[str]:
    """Write the sample, run the application on it in a process of its own, and compare what it measured."""
    from cli.expectations import CHECKS
    from cli.sample import SAMPLES

    place = _scratch()
    try:
        SAMPLES[name][1](place / "input")
        command = [sys.executable, str(folder), "-i", str(place / "input"), "-o", str(place / "output")]
        command += ["--no-empty-on-failure", *(["-m", str(models)] if models else [])]
        path = os.pathsep.join([str(Path(__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env={**os.environ, "PYTHONPATH": path},
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()
            yield f"the run ended in {done.returncode}: {said[-1] if said else 'without a word'}"
            return
        yield from CHECKS[name](json.loads((place / "output" / "metadata.json").read_text())["measurements"])
    except subprocess.TimeoutExpired:
        yield f"the run did not end within {SECONDS} s"
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _scratch() -> Path:
    """Return a new folder for input and output; OutputError when none can be made."""
    try:
        return Path(tempfile.mkdtemp(prefix="selftest-"))
    except OSError as error:
        raise OutputError(
            f"A temporary folder is needed and cannot be made ({error.strerror}). In a container with a read-only "
            "root: --tmpfs /tmp."
        ) from error
