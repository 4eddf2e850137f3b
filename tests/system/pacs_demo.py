"""The demonstration as a process of its own, as `make pacs-demo` starts it."""

import io
import json
import re
import select
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from pacs.fetch_viewer import fetch_viewer
from tests.system.command import ROOT, environment

VIEWER = ROOT / ".viewer"


class Demo:
    """A running demonstration, and what it says."""

    def __init__(self, *arguments: object, folder: Path) -> None:
        fetch_viewer(VIEWER)  # outside of what is timed
        self.folder, self.said = folder, ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pacs", "--port", "0", "--dicom-port", "0", *map(str, arguments)], cwd=ROOT,
            env=environment({"TMPDIR": str(folder)}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def wait_for(self, pattern: str, seconds: float, count: int = 1) -> list[str]:
        """Return what a pattern finds when it is said so often; fail with what was said when it is not."""
        until = time.monotonic() + seconds
        while len(found := re.findall(pattern, self.said)) < count:
            left = until - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(left, 0))
            chunk = self.process.stdout.read1() if ready else b""
            assert chunk, f"{pattern!r} was not said in {seconds} s, but:\n{self.said}"
            self.said += chunk.decode()
        return found

    @property
    def address(self) -> str:
        """Where the viewer is."""
        (found,) = re.findall(r"Viewer +(\S+)", self.said)
        return found

    def query(self, path: str) -> list[dict[str, Any]]:
        """Return what DICOMweb says at a path below its root, through the viewer's server."""
        return json.loads(self._get(f"dicom-web/{path}"))

    def retrieve(self, study: str, series: str, instance: str) -> Dataset:
        """Return a stored object."""
        query = f"studyUID={study}&seriesUID={series}&objectUID={instance}&contentType=application/dicom"
        return dcmread(io.BytesIO(self._get(f"wado?requestType=WADO&{query}")))

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.address + path, timeout=60) as answer:  # noqa: S310  ours
            return answer.read()

    def stop(self, number: int = signal.SIGINT) -> int:
        """Stop it as Ctrl-C does; return the exit code."""
        self.process.send_signal(number)
        rest, _ = self.process.communicate(timeout=60)
        self.said += rest.decode()
        return self.process.returncode


@contextmanager
def running_demo(*arguments: object, folder: Path):
    """Start a demonstration; it is stopped however the test ends."""
    demo = Demo(*arguments, folder=folder)
    try:
        yield demo
    finally:
        if demo.process.poll() is None:
            demo.stop(signal.SIGTERM)
        demo.process.stdout.close()


def value(attributes: dict[str, Any], tag: str) -> Any:
    """Return the first value of an attribute of DICOM's JSON."""
    return attributes[tag]["Value"][0]
