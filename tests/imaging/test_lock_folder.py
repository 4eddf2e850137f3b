import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imaging.lock_folder import lock_folder, read_owner, write_owner
from imaging.outcome import OutputError
from imaging.publish import OWNER, discard, open_stage

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from imaging.lock_folder import lock_folder
lock = lock_folder(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def without_locks(monkeypatch):
    def refuse(*_args):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_folder_is_locked_for_one_process_at_a_time(tmp_path, holder):
    assert lock_folder(tmp_path) is None


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.kill()
    holder.wait()

    assert lock_folder(tmp_path).exclusive


def test_a_lock_leaves_nothing_in_the_folder(tmp_path):
    lock_folder(tmp_path).release()

    assert list(tmp_path.iterdir()) == []


def test_a_released_lock_is_free(tmp_path):
    lock_folder(tmp_path).release()

    assert lock_folder(tmp_path) is not None


def test_a_lock_released_twice_closes_no_other_file(tmp_path):
    lock = lock_folder(tmp_path)
    lock.release()
    (tmp_path / "file").write_text("open")
    with (tmp_path / "file").open() as file:  # takes the number of the lock's descriptor
        lock.release()

        assert file.read() == "open"


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch):
    without_locks(monkeypatch)

    assert not lock_folder(tmp_path).exclusive


def test_the_owner_is_this_process_and_runs(tmp_path):
    write_owner(tmp_path / "owner")

    owner = read_owner(tmp_path / "owner")
    assert owner.process == os.getpid()
    assert owner.may_be_running()


def changed(path, **facts):
    path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))


@pytest.mark.parametrize("fact", [{"process": 2**22 + 1}, {"ticks": 1}])
def test_an_owner_that_has_ended_does_not_run_even_if_its_number_was_given_away(tmp_path, fact):
    write_owner(tmp_path / "owner")
    changed(tmp_path / "owner", **fact)

    assert not read_owner(tmp_path / "owner").may_be_running()


def test_an_owner_on_another_host_may_run(tmp_path):
    write_owner(tmp_path / "owner")
    changed(tmp_path / "owner", host="elsewhere", process=1)

    assert read_owner(tmp_path / "owner").may_be_running()


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}"])
def test_an_owner_that_cannot_be_read_is_nobody(tmp_path, text):
    if text is not None:
        (tmp_path / "owner").write_text(text)

    assert read_owner(tmp_path / "owner") is None


def test_where_there_are_no_locks_a_running_owner_keeps_its_folder(tmp_path, monkeypatch):
    without_locks(monkeypatch)
    open_stage(tmp_path)

    with pytest.raises(OutputError, match="one run at a time"):
        open_stage(tmp_path)


def test_where_there_are_no_locks_the_folder_of_an_ended_owner_is_taken_over(tmp_path, monkeypatch):
    without_locks(monkeypatch)
    stage = open_stage(tmp_path)
    changed(stage.folder / OWNER, ticks=1)

    discard(open_stage(tmp_path))
