"""What a user at a terminal sees while a run lasts."""

import os
import pty
import shutil
import subprocess

import pytest

from tests.system.command import COMMAND, ROOT, environment, execute

pytestmark = pytest.mark.system


def test_a_terminal_shows_each_stage_and_clears_its_line(small, models, tmp_path):
    terminal, stream = pty.openpty()
    command = [*COMMAND, "exec", "skull_strip", "-i", small, "-o", tmp_path / "out", "-m", models]

    with subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=subprocess.DEVNULL, stderr=stream) as process:
        os.close(stream)
        shown = b""
        while process.poll() is None or not shown.endswith(b"\x1b[K"):
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
    os.close(terminal)

    assert process.returncode == 0
    positions = [shown.index(stage) for stage in (b"] load", b"] segment", b"] write_seg")]
    assert positions == sorted(positions)
    assert shown.endswith(b"\r\x1b[K")


def test_nothing_but_the_summary_is_said_where_there_is_no_terminal(small_run):
    assert small_run.stderr == ""
    assert small_run.stdout.count("\n") == 1


def test_the_first_header_is_read_within_one_second_of_cpu_time(small_run):
    assert 0 < small_run.record["first_header_cpu_s"] < 1


def test_a_damaged_file_beside_the_series_is_said(small, models, tmp_path):
    study = tmp_path / "study"
    shutil.copytree(small, study)
    (study / "damaged.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x08\0\x05\0CS")

    ended = execute(study, tmp_path / "out", models)

    assert ended.code == 0
    assert "1 damaged DICOM files" in ended.stdout
    assert any("damaged" in flag for flag in ended.record["flags"])
