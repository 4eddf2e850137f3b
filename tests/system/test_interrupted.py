"""Runs that are ended by the host or by a full disk: nothing is left behind."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.command import ROOT, Ended, environment, execute, start

pytestmark = pytest.mark.system

AT_PUBLISHING = """\
import os, signal, sys, time
from cli.main import main

rename = os.replace
def replace(source, target):
    rename(source, target)
    if str(target).endswith("seg.dcm"):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
os.replace = replace
sys.exit(main(sys.argv[1:]))
"""


def left_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) if folder.exists() else []


def interrupt(study, output, models, number, ready) -> Ended:
    """Start a run, send it a signal as soon as it is ready, and wait for its end."""
    process = start("exec", "skull_strip", "-i", study, "-o", output, "-m", models)
    deadline = time.monotonic() + 60
    while not ready(output) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=60)
    return Ended(process.returncode, stdout, stderr, output)


def has_begun(output):
    return (output / ".partial").exists()


def writes_series(output):
    return any(output.glob(".partial/stripped/*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("ready", [has_begun, writes_series])
def test_a_run_that_is_ended_by_a_signal_leaves_nothing_and_ends_in_143(sample, models, tmp_path, number, ready):
    ended = interrupt(sample, tmp_path / "out", models, number, ready)

    assert left_in(ended.output) == []
    assert ended.code == 143


def test_a_run_that_is_ended_by_a_signal_says_so(small, models, tmp_path):
    ended = interrupt(small, tmp_path / "out", models, signal.SIGTERM, has_begun)

    assert "nothing was written" in ended.stderr


def test_a_signal_among_the_renames_leaves_all_results_or_none(small, small_run, models, tmp_path):
    arguments = ("exec", "skull_strip", "-i", small, "-o", tmp_path / "out", "-m", models)

    subprocess.run(
        [sys.executable, "-c", AT_PUBLISHING, *map(str, arguments)], cwd=ROOT, env=environment(), timeout=60,
        check=False, capture_output=True,
    )  # fmt: skip

    files = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files in (set(), small_run.files)


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a disk of so many bytes and returns its folder."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("mounting a small file system needs the rights of root")
        return folder

    yield mounted
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


def bytes_on_disk(output: Path) -> dict[str, int]:
    """Size of each file in whole pages."""
    return {path.name: -(-path.stat().st_size // 4096) * 4096 for path in output.rglob("*") if path.is_file()}


@pytest.mark.parametrize("room", ["none", "half", "all but the record"])
def test_a_full_disk_ends_in_6_and_leaves_nothing(small, small_run, models, small_disk, room):
    sizes = bytes_on_disk(small_run.output)
    whole = sum(sizes.values())
    disk = small_disk({"none": 4096, "half": whole // 2, "all but the record": whole - sizes["metadata.json"]}[room])

    ended = execute(small, disk / "out", models)

    assert ended.code == 6, ended.stderr
    assert "No space left" in ended.stderr
    assert left_in(disk / "out") == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_disk_too_small_for_the_nifti_files_ends_in_6_and_leaves_nothing(small, models, tmp_path, small_disk, share):
    whole = execute(small, tmp_path / "whole", models, "--nifti", "--no-stripped-series")
    disk = small_disk(int(sum(bytes_on_disk(whole.output).values()) * share))

    ended = execute(small, disk / "out", models, "--nifti", "--no-stripped-series")

    assert ended.code == 6, ended.stderr
    assert left_in(disk / "out") == []
