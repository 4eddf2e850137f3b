"""What a receiver beside a PACS does: run the suite on each study that has arrived, and store what it finds."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.find_app import app_names
from imaging.outcome import ExitCode
from pacs.orthanc import Orthanc, stop

RUN_S = 1800


@dataclass(frozen=True)
class Ended:
    """How an application ended on a study."""

    study: int  # number in order of arrival
    app: str
    outcome: str
    stored: int  # objects


@dataclass
class Receiver:
    """Runs each application whose rule a study matches; results never start a run of their own."""

    orthanc: Orthanc
    folder: Path
    last_change: int = 0
    results: set[str] = field(default_factory=set)  # Series Instance UIDs
    seen: dict[str, frozenset[str]] = field(default_factory=dict)  # instances of each study that were worked on

    def poll(self) -> Iterator[Ended]:
        """Work on the studies that are stable since the last call."""
        changes = self.orthanc.json(f"/changes?since={self.last_change}&limit=1000")
        self.last_change = changes["Last"]
        stable = dict.fromkeys(each["ID"] for each in changes["Changes"] if each["ChangeType"] == "StableStudy")
        for study in stable:
            yield from self.work_on(study)

    def work_on(self, study: str) -> Iterator[Ended]:
        """Run the applications on what of a study is no result, unless that was done already."""
        series = self.orthanc.json(f"/studies/{study}/series")
        sources = [each for each in series if each["MainDicomTags"]["SeriesInstanceUID"] not in self.results]
        instances = frozenset(instance for each in sources for instance in each["Instances"])
        if not instances or self.seen.get(study) == instances:
            return
        self.seen[study] = instances
        number = list(self.seen).index(study) + 1
        place = self.folder / f"study{number}"
        try:
            self._retrieve(instances, place / "input")
            for app in app_names():
                if ended := self._run(number, app, place):
                    yield ended
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _retrieve(self, instances: frozenset[str], folder: Path) -> None:
        folder.mkdir(parents=True)
        for number, instance in enumerate(sorted(instances), start=1):
            (folder / f"{number}.dcm").write_bytes(self.orthanc.request("GET", f"/instances/{instance}/file"))

    def _run(self, number: int, app: str, place: Path) -> Ended | None:
        """Run an application; None when nothing in the study is for it."""
        output = place / app
        code = _execute(app, place / "input", output)
        if code == ExitCode.NOTHING_ELIGIBLE:
            return None
        if code != ExitCode.DONE:
            return Ended(number, app, _verdict(output), 0)
        files = sorted(output.rglob("*.dcm"))
        for file in files:
            self._store(file)
        return Ended(number, app, "success", len(files))

    def _store(self, file: Path) -> None:
        stored = json.loads(self.orthanc.request("POST", "/instances", file.read_bytes()))
        series = self.orthanc.json(f"/series/{stored['ParentSeries']}")
        self.results.add(series["MainDicomTags"]["SeriesInstanceUID"])


def _execute(app: str, study: Path, output: Path) -> int:
    """Run an application as a host does, and return its exit code (docs/outcomes.md)."""
    process: subprocess.Popen[bytes] = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "exec", app, "-i", study, "-o", output],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(RUN_S)
    except subprocess.TimeoutExpired:
        return int(ExitCode.INTERNAL)
    finally:
        stop(process)


def _verdict(output: Path) -> str:
    """Return outcome and message of a run that gave no results."""
    try:
        record: dict[str, Any] = json.loads((output / "metadata.json").read_text())
    except (OSError, ValueError):
        return "failed"
    return f"{record['outcome']}: {record.get('exception_message', '')}"
