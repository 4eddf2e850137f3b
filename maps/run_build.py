"""Run an engine's build to its end, and leave nothing behind that it would not have kept."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from imaging.outcome import TerminatedError
from maps.engine import Engine, words
from maps.failures import BuildError

NO_SPACE = "no space left on device"
NO_SHELL = re.compile(r"/bin/sh\W+(stat /bin/sh: )?no such file or directory")
MARK = "map-build: "
SECONDS_TO_END = 20
LONGEST = 300
ATTEMPTS, PAUSE_S = 10, 1.0
ENDING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGINT end what is inside with a TerminatedError, so that it is cleaned up."""

    def end(number: int, _frame: FrameType | None) -> NoReturn:
        raise TerminatedError(f"Ended by {signal.Signals(number).name}; what was begun is removed.")

    before = {number: signal.signal(number, end) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_logged(
    command: Sequence[str], log: Path, environment: dict[str, str], place: str = "where images are kept"
) -> None:
    """Run a command with its output in a file; BuildError with the line that says why when it fails.

    place  where space may be lacking, as a message says it
    """
    with log.open("a") as file:
        file.write(f"$ {words(command)}\n")
        file.flush()
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # until the process is known, which else nobody would end
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True, preexec_fn=_unblock,
        )  # fmt: skip
        try:
            _unblock()
            code = process.wait()
        except BaseException:
            end_group(process)
            raise
    if code:
        raise BuildError(explain(log, code, place))


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children, with force when it does not go."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)
            return


def explain(log: Path, code: int, place: str) -> str:
    """Return one message for a failed build: what its steps said, else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = [line.partition(MARK)[2] for line in lines if MARK in line and "echo" not in line]
    if any(NO_SPACE in line.lower() for line in lines):
        return f"No space is left {place}. Make room and try again. (log: {log})"
    if any(NO_SHELL.search(line) for line in lines):
        said = ["the base has no shell, and no Python"]
    if said:
        return f"The build failed: {said[-1]}. Name another base with --base. (log: {log})"
    return f"The build failed with exit code {code}: {lines[-1][:LONGEST] if lines else 'no output'} (log: {log})"


class Leftovers:
    """What a build leaves when it does not end by itself, or with an engine that keeps the images of its stages."""

    def __init__(self, engine: Engine, build: str) -> None:
        self.engine, self.build = engine, build
        self.before = self._containers()

    def remove(self) -> None:
        """Remove containers that were begun, and unnamed images that this build made."""
        for _ in range(ATTEMPTS):  # a step that was just ended may hold its container for a moment
            begun = sorted(self._containers() - self.before)
            for container in begun:
                self.engine.ask("rm", *(["-f"] if self.engine.name != "buildah" else []), container, seconds=120)
            if not begun:
                break
            time.sleep(PAUSE_S)
        label = f"label=map.build={self.build}"
        if self.engine.name == "buildah":
            done = self.engine.ask("images", "--quiet", "--no-trunc", "--filter", label, "--filter", "dangling=true")
            for image in done.stdout.split():
                self.engine.ask("rmi", image, seconds=120)
        else:
            self.engine.ask("image", "prune", "--force", "--filter", label, seconds=300)

    def _containers(self) -> set[str]:
        """Return the containers of builds; those of docker's steps have no name of their own, but a label."""
        command = {
            "buildah": ("containers", "--quiet", "--notruncate"),
            "podman": ("ps", "--all", "--external", "--quiet", "--no-trunc", "--filter", "status=unknown"),
            "docker": ("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label=map.build={self.build}"),
        }[self.engine.name]
        done = self.engine.ask(*command)
        if done.returncode:
            raise BuildError(f"{self.engine.name} cannot list its containers: {done.stderr.strip()[:LONGEST]}")
        return set(done.stdout.split())


def say(text: str) -> None:
    """Say what is being done, on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
