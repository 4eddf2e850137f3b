"""Runs that are ended by the host or by a full disk: no result is left behind, or all are."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.system.command import ROOT, VERDICT, Ended, copy_of, environment, execute, start

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


def is_owned(output):
    """Whether the run has noted its process: a second one names it."""
    owner = output / ".partial" / "owner"
    return owner.exists() and owner.stat().st_size > 0


def writes_series(output):
    return any(output.glob(".partial/stripped/*"))


def test_a_run_ends_when_nobody_reads_its_messages_any_more(sample, models, tmp_path):
    process = start("exec", "skull_strip", "-i", sample, "-o", tmp_path / "out", "-m", models)
    deadline = time.monotonic() + 60
    while not has_begun(tmp_path / "out") and time.monotonic() < deadline:
        time.sleep(0.005)
    process.stderr.close()
    process.send_signal(signal.SIGTERM)

    assert process.wait(timeout=60) == 143
    process.stdout.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("ready", [has_begun, writes_series])
def test_a_run_that_is_ended_by_a_signal_leaves_a_verdict_and_ends_in_143(sample, models, tmp_path, number, ready):
    ended = interrupt(sample, tmp_path / "out", models, number, ready)

    assert left_in(ended.output) == VERDICT
    assert (ended.record["outcome"], ended.record["reason"]) == ("failed", "terminated")
    assert ended.record["exit_code"] == ended.code == 143


def test_a_run_that_is_ended_by_a_signal_says_so(small, models, tmp_path):
    ended = interrupt(small, tmp_path / "out", models, signal.SIGTERM, has_begun)

    assert "Ended by a signal; no result was written" in ended.stderr


def test_a_signal_takes_no_earlier_results_away(small, small_run, models, tmp_path):
    output = copy_of(small_run.output, tmp_path / "out")
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}

    ended = interrupt(small, output, models, signal.SIGTERM, has_begun)

    assert ended.code == 143
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before


def child_of(process) -> int:
    """The process that does the work where a small one watches over it."""
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())


@pytest.mark.parametrize("earlier", [False, True], ids=["empty folder", "earlier results"])
def test_a_killed_run_leaves_an_empty_folder_where_hosts_go_by_it(sample, sample_run, models, tmp_path, earlier):
    """As the kernel kills the largest process when memory is short, in the middle of writing."""
    output = copy_of(sample_run.output, tmp_path / "out") if earlier else tmp_path / "out"
    process = start("exec", "skull_strip", "-i", sample, "-o", output, "-m", models, "--empty-on-failure")
    while not writes_series(output) and process.poll() is None:
        time.sleep(0.005)

    os.kill(child_of(process), signal.SIGKILL)

    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 137
    assert "Killed by signal 9" in stderr
    assert left_in(output) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_watched_run_gets_the_signals_of_its_host(small, models, tmp_path, number):
    process = start("exec", "skull_strip", "-i", small, "-o", tmp_path / "out", "-m", models, "--empty-on-failure")
    while not has_begun(tmp_path / "out") and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)

    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Ended by a signal" in stderr
    assert left_in(tmp_path / "out") == []


def test_a_watched_run_that_is_stopped_for_a_while_ends_well(small, small_run, models, tmp_path):
    process = start("exec", "skull_strip", "-i", small, "-o", tmp_path / "out", "-m", models, "--empty-on-failure")
    while not has_begun(tmp_path / "out") and process.poll() is None:
        time.sleep(0.005)
    child = child_of(process)
    os.kill(child, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(child, signal.SIGCONT)

    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert Ended(0, stdout, stderr, tmp_path / "out").files == small_run.files


def test_a_run_after_one_that_was_killed_takes_its_place(small, small_run, models, tmp_path):
    killed = interrupt(small, tmp_path / "out", models, signal.SIGKILL, has_begun)
    left = left_in(killed.output)

    ended = execute(small, tmp_path / "out", models)

    assert ".partial" in left
    assert ended.code == 0, ended.stderr
    assert ended.files == small_run.files


def test_a_second_run_into_the_same_folder_is_refused_and_does_the_first_no_harm(small, small_run, models, tmp_path):
    first = start("exec", "skull_strip", "-i", small, "-o", tmp_path / "out", "-m", models)
    while not is_owned(tmp_path / "out") and first.poll() is None:
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)

    second = execute(small, tmp_path / "out", models)

    first.send_signal(signal.SIGCONT)
    _, stderr = first.communicate(timeout=60)
    assert second.code == 6
    assert f"process {first.pid} on" in second.stderr
    assert first.returncode == 0, stderr
    assert second.files == small_run.files


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
def test_a_full_disk_ends_in_6_and_leaves_no_result(small, small_run, models, small_disk, room):
    sizes = bytes_on_disk(small_run.output)
    whole = sum(sizes.values())
    disk = small_disk({"none": 4096, "half": whole // 2, "all but the record": whole - sizes["metadata.json"]}[room])

    ended = execute(small, disk / "out", models)

    assert ended.code == 6, ended.stderr
    assert "No space left" in ended.stderr
    assert left_in(disk / "out") == ([] if room == "none" else VERDICT)
    assert room == "none" or ended.record["reason"] == "disk_full"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_disk_too_small_for_the_nifti_files_ends_in_6_and_leaves_no_result(
    small, models, tmp_path, small_disk, share
):
    whole = execute(small, tmp_path / "whole", models, "--nifti", "--no-stripped-series")
    disk = small_disk(int(sum(bytes_on_disk(whole.output).values()) * share))

    ended = execute(small, disk / "out", models, "--nifti", "--no-stripped-series")

    assert ended.code == 6, ended.stderr
    assert left_in(disk / "out") == VERDICT
