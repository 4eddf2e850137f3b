#!/usr/bin/env python3
"""Run applications on a study of Orthanc and store their results beside it: run_map.py STUDY [--app NAME].

Standard library alone: Orthanc's host needs Python 3 and docker. STUDY is Orthanc's identifier. An application runs on
the series that were sent to its AE title, or with --app on all series but results. What has run on the same instances
is not run again: storing results makes the study stable once more.
"""

from __future__ import annotations

import argparse
import base64
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

HAS_RUN, RESULT_OF = "4716", "4717"  # user-defined metadata of Orthanc: on studies and on series
VERDICTS = (0, 3, 4)  # done, nothing eligible, refused: the same instances would end in the same way
HERE = Path(__file__).resolve().parent


class Orthanc:
    """The REST API of one Orthanc."""

    def __init__(self, url: str, credentials: Path) -> None:
        self.url = url.rstrip("/")
        self.headers = {}
        if credentials.exists():  # one line USER:PASSWORD
            self.headers["Authorization"] = "Basic " + base64.b64encode(credentials.read_bytes().strip()).decode()

    def call(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        """Return the answer to a request."""
        request = urllib.request.Request(self.url + path, body, self.headers, method=method)  # noqa: S310  from the configuration
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return bytes(answer.read())

    def json(self, path: str, body: bytes | None = None) -> Any:
        """Return the parsed answer to a request."""
        return json.loads(self.call(path, body))

    def metadata(self, path: str) -> str:
        """Return a metadata entry, empty where there is none."""
        try:
            return self.call(path).decode()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return ""
            raise

    def put(self, path: str, text: str) -> None:
        """Write a metadata entry."""
        self.call(path, text.encode(), "PUT")


def say(text: str) -> None:
    """Write a line to the log."""
    sys.stdout.write(f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S} {text}\n")
    sys.stdout.flush()


def input_instances(orthanc: Orthanc, study: str, ae_title: str | None) -> list[str]:
    """Return the instances of the series that were sent to an AE title, or of all series but results."""
    found: list[str] = []
    for series in orthanc.json(f"/studies/{study}")["Series"]:
        instances = orthanc.json(f"/series/{series}")["Instances"]
        if orthanc.metadata(f"/series/{series}/metadata/{RESULT_OF}"):
            continue
        if ae_title in (None, orthanc.metadata(f"/instances/{instances[0]}/metadata/CalledAET")):
            found += instances
    return sorted(found)


def run_if_new(orthanc: Orthanc, study: str, app: Mapping[str, Any], config: Mapping[str, Any], asked: bool) -> None:
    """Run an application on what a study holds for it, unless it has run on just that."""
    instances = input_instances(orthanc, study, None if asked else app["ae_title"])
    if not instances:
        return
    at = f"/studies/{study}/metadata/{HAS_RUN}"
    has_run = json.loads(orthanc.metadata(at) or "{}")
    now = hashlib.sha256("\n".join((app["image"], *instances)).encode()).hexdigest()
    if has_run.get(app["name"]) == now and not asked:
        return
    folder = Path(tempfile.mkdtemp(prefix="map-", dir=config["spool"]))
    try:
        say(f"{app['name']} {study}: {len(instances)} instances")
        if run(orthanc, study, app, instances, folder, config) in VERDICTS:
            orthanc.put(at, json.dumps({**has_run, app["name"]: now}))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(
    orthanc: Orthanc, study: str, app: Mapping[str, Any], instances: list[str], folder: Path, config: Mapping[str, Any]
) -> int:
    """Download, run the image, store results; nothing is stored unless it ends in 0. Return the exit code."""
    source, output = folder / "input", folder / "output"
    source.mkdir()
    output.mkdir()
    for number, instance in enumerate(instances):
        (source / f"{number:06d}.dcm").write_bytes(orthanc.call(f"/instances/{instance}/file"))
    code = run_image(app, folder, config)
    if code:
        say(f"{app['name']} {study}: exit code {code}, nothing stored")
        return code
    results = sorted(output.rglob("*.dcm"))
    for file in results:
        stored = orthanc.json("/instances", file.read_bytes())
        orthanc.put(f"/series/{stored['ParentSeries']}/metadata/{RESULT_OF}", app["name"])
    say(f"{app['name']} {study}: {len(results)} results stored")
    return 0


def run_image(app: Mapping[str, Any], folder: Path, config: Mapping[str, Any]) -> int:
    """Run an image on a folder and return its exit code; as root it runs as the configured user, never as root."""
    user = f"{os.getuid()}:{os.getgid()}" if os.getuid() else config["user"]
    if not os.getuid():
        subprocess.run(["chown", "-R", user, str(folder)], check=True)  # noqa: S603, S607
        folder.chmod(0o755)
    name = f"{app['name']}-{folder.name}"
    mounts = [
        f"--mount=type=bind,source={folder / 'input'},target=/var/holoscan/input,readonly",
        f"--mount=type=bind,source={folder / 'output'},target=/var/holoscan/output",
    ]
    command = ["docker", "run", f"--name={name}", *app["run"], f"--user={user}", *mounts, app["image"]]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, timeout=app["timeout_s"], check=False).returncode  # noqa: S603
    except subprocess.TimeoutExpired:
        subprocess.run(["docker", "stop", "--time=30", name], check=False)  # noqa: S603, S607
        return 143


def main() -> int:
    """Run what is new for a study, one run at a time."""
    os.closerange(3, 4096)  # Orthanc's sockets: its ports would stay taken while an image runs
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("study", help="Orthanc's identifier of the study")
    parser.add_argument("--app", help="run this application on all series, also if it has run")
    parser.add_argument("--config", type=Path, default=HERE / "map_suite.json")
    options = parser.parse_args()
    config = json.loads(options.config.read_text())
    orthanc = Orthanc(config["orthanc"], Path(config["credentials"]))
    Path(config["spool"]).mkdir(parents=True, exist_ok=True)
    with (Path(config["spool"]) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for app in config["applications"]:
            if options.app in (None, app["name"]):
                run_if_new(orthanc, options.study, app, config, options.app is not None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
