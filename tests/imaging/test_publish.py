import errno
import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from imaging.outcome import OutputError, Reason
from imaging.publish import (
    RECORD,
    RESULT,
    discard,
    earlier_results,
    open_stage,
    publish,
    publish_verdict,
    result_names,
    staged,
)
from imaging.suite import SUITE


def fill(stage, names, content="new"):
    """Stage results of the given names and the record that lists them."""
    for name in names:
        path = staged(stage.folder / Path(name).parent, Path(name).name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    record = {"made_by": SUITE, "run": content, "files": result_names(stage)}
    staged(stage.folder, RECORD).write_text(json.dumps(record))


def verdict(files=(RESULT,)):
    """The texts of a run without results."""
    return {RESULT: "{}", RECORD: json.dumps({"made_by": SUITE, "run": "verdict", "files": list(files)})}


def killed(output, names=()):
    """Leave a stage behind, as a process does that is killed: the kernel releases its lock."""
    stage = open_stage(output)
    fill(stage, names)
    stage.lock.release()


def run(output, names, content="new"):
    """Publish results as a whole run does."""
    stage = open_stage(output)
    fill(stage, names, content)
    return publish(stage)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def fail_at(monkeypatch, failing):
    """Let the rename of the given number, from 0, fail as on a full or broken disk."""
    rename, calls = os.replace, []

    def replace(source, target):
        calls.append(target)
        if len(calls) == failing + 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(os, "replace", replace)


def test_a_staged_name_does_not_end_as_a_name_that_hosts_export(tmp_path):
    assert staged(tmp_path, "seg.dcm").suffix != ".dcm"


def test_before_publishing_the_output_folder_holds_no_file_that_hosts_export(tmp_path):
    stage = open_stage(tmp_path / "out")

    fill(stage, ["seg.dcm", "stripped/brain_0001.dcm"])

    assert list((tmp_path / "out").rglob("*.dcm")) == []


def test_published_results_have_their_own_names_and_folders(tmp_path):
    run(tmp_path / "out", ["seg.dcm", "stripped/brain_0001.dcm", "mask.nii.gz"])

    found = set(contents(tmp_path / "out"))
    assert found == {"seg.dcm", "stripped/brain_0001.dcm", "mask.nii.gz", RECORD}


def test_a_result_that_was_staged_under_its_own_name_is_published_too(tmp_path):
    stage = open_stage(tmp_path)
    (stage.folder / "mask.nii.gz").write_text("as its writer must call it")
    fill(stage, ["seg.dcm"])

    publish(stage)

    assert set(contents(tmp_path)) == {"mask.nii.gz", "seg.dcm", RECORD}


def test_publishing_returns_the_new_paths(tmp_path):
    files = run(tmp_path / "out", ["seg.dcm", "stripped/brain_0001.dcm"])

    assert {path.relative_to(tmp_path / "out").as_posix() for path in files} == {
        "seg.dcm", "stripped/brain_0001.dcm", RECORD,
    }  # fmt: skip


def test_publishing_leaves_no_stage(tmp_path):
    run(tmp_path / "out", ["seg.dcm"])

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [RECORD, "seg.dcm"]


def test_the_record_appears_last(tmp_path, monkeypatch):
    rename, order = os.replace, []
    monkeypatch.setattr(os, "replace", lambda source, target: (order.append(target.name), rename(source, target)))

    run(tmp_path / "out", ["seg.dcm", "a.dcm", "stripped/z.dcm"])

    assert order[-1] == RECORD


@pytest.mark.parametrize("failing", range(4))
def test_a_failing_rename_leaves_nothing(tmp_path, monkeypatch, failing):
    stage = open_stage(tmp_path / "out")
    fill(stage, ["seg.dcm", "sr.dcm", "stripped/brain_0001.dcm"])
    fail_at(monkeypatch, failing)

    with pytest.raises(OutputError, match="cannot be moved"):
        publish(stage)

    assert list((tmp_path / "out").rglob("*")) == []


@pytest.mark.parametrize("failing", range(3))
def test_a_failing_rename_leaves_no_part_of_an_earlier_result(tmp_path, monkeypatch, failing):
    run(tmp_path / "out", ["seg.dcm", "sr.dcm"], content="old")
    before = contents(tmp_path / "out")
    stage = open_stage(tmp_path / "out")
    fill(stage, ["seg.dcm", "sr.dcm"])
    fail_at(monkeypatch, failing)

    with pytest.raises(OutputError):
        publish(stage)

    assert contents(tmp_path / "out") in ({}, before)


@pytest.mark.parametrize("foreign", ["notes.txt", "seg.dcm", "deep/down/scan.dcm", ".hidden"])
def test_a_folder_with_a_foreign_file_is_refused(tmp_path, foreign):
    (tmp_path / foreign).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / foreign).write_text("not ours")

    with pytest.raises(OutputError, match=r"must be empty .* 1 other file"):
        open_stage(tmp_path)


def test_a_refused_folder_keeps_its_files_and_gets_no_other(tmp_path):
    (tmp_path / "notes.txt").write_text("not ours")

    with pytest.raises(OutputError):
        open_stage(tmp_path)

    assert [path.name for path in tmp_path.rglob("*")] == ["notes.txt"]


def test_a_foreign_file_beside_earlier_results_is_refused(tmp_path):
    run(tmp_path, ["seg.dcm"])
    (tmp_path / "notes.txt").write_text("not ours")

    with pytest.raises(OutputError, match="1 other file"):
        open_stage(tmp_path)


@pytest.mark.parametrize(
    "record",
    [
        "",
        "[]",
        "{}",
        '{"files": 3}',
        '{"files": null}',
        f'{{"made_by": "{SUITE}", "files": 3}}',
        '{"made_by": "another program", "files": ["mine.txt"]}',
        '{"files": ["mine.txt"]}',
    ],
)
def test_files_beside_a_record_that_does_not_list_them_are_foreign(tmp_path, record):
    (tmp_path / RECORD).write_text(record)

    with pytest.raises(OutputError, match="1 other file"):
        open_stage(tmp_path)


def test_earlier_results_are_replaced(tmp_path):
    run(tmp_path, ["seg.dcm", "sr.dcm"], content="old")

    run(tmp_path, ["seg.dcm", "sr.dcm"], content="new")

    assert contents(tmp_path)["seg.dcm"] == contents(tmp_path)["sr.dcm"] == "new"


def test_files_that_the_new_run_does_not_have_disappear(tmp_path):
    run(tmp_path, ["seg.dcm", "stripped/brain_0001.dcm", "stripped/brain_0002.dcm"])

    run(tmp_path, ["seg.dcm", "stripped/brain_0001.dcm"])

    assert set(contents(tmp_path)) == {"seg.dcm", "stripped/brain_0001.dcm", RECORD}


def test_earlier_results_stay_until_new_ones_are_published(tmp_path):
    run(tmp_path, ["seg.dcm"], content="old")

    discard(open_stage(tmp_path))

    assert contents(tmp_path)["seg.dcm"] == "old"


def test_a_record_cannot_have_a_file_outside_the_folder_removed(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    files = ["../mine.txt", str(tmp_path / "mine.txt"), "link/mine.txt"]
    (tmp_path / "out" / RECORD).write_text(json.dumps({"made_by": SUITE, "files": files}))

    names = earlier_results(tmp_path / "out")

    assert names == [RECORD]


def test_the_stage_of_a_killed_run_is_cleared(tmp_path):
    killed(tmp_path, ["seg.dcm", "stripped/brain_0001.dcm"])

    stage = open_stage(tmp_path)

    assert result_names(stage) == []


def test_a_verdict_that_a_killed_run_was_writing_is_cleared(tmp_path):
    killed(tmp_path)
    (tmp_path / ".partial.verdict").mkdir()
    (tmp_path / ".partial.verdict" / "metadata.json.part").write_text("{")

    run(tmp_path, ["seg.dcm"])

    assert set(contents(tmp_path)) == {"seg.dcm", RECORD}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("not a folder")

    with pytest.raises(OutputError, match="must be writable"):
        open_stage(tmp_path / "out")


@pytest.mark.parametrize("call", ["mkdir", "write_bytes"])
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch, call):
    def read_only(*_args, **_kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, call, read_only)

    with pytest.raises(OutputError, match="Read-only file system"):
        open_stage(tmp_path)


def test_a_folder_found_unwritable_by_its_first_bytes_gets_no_stage(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)

    with pytest.raises(OutputError, match="No space left"):
        open_stage(tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_a_stage_that_is_still_written_into_while_it_is_discarded(tmp_path):
    stage = open_stage(tmp_path)
    fill(stage, [f"stripped/brain_{number:04d}.dcm" for number in range(300)])
    writing = threading.Event()

    def write_on():
        for number in range(3_000):
            try:
                (stage.folder / "stripped" / f"more_{number}").write_text("late")
            except OSError:
                return
            writing.set()

    writer = threading.Thread(target=write_on)
    writer.start()
    writing.wait()

    discard(stage)
    writer.join()

    assert list(tmp_path.rglob("*")) == []


def test_a_second_run_into_the_same_folder_is_refused_and_told_who_works_there(tmp_path):
    open_stage(tmp_path)

    with pytest.raises(OutputError, match=rf"one run at a time; .* .process {os.getpid()} on .* UTC.* -o") as refused:
        open_stage(tmp_path)

    assert refused.value.reason == Reason.OUTPUT_IN_USE


def test_a_refused_second_run_leaves_the_first_its_stage(tmp_path):
    stage = open_stage(tmp_path)
    fill(stage, ["seg.dcm"])

    with pytest.raises(OutputError):
        open_stage(tmp_path)

    assert {path.name for path in publish(stage)} == {"seg.dcm", RECORD}


@pytest.mark.parametrize("end", [publish, discard, lambda stage: publish_verdict(stage, verdict())])
def test_a_run_that_has_ended_lets_the_next_one_in(tmp_path, end):
    end(open_stage(tmp_path))

    discard(open_stage(tmp_path))


def test_a_folder_that_was_refused_is_not_locked(tmp_path):
    (tmp_path / "notes.txt").write_text("not ours")
    with pytest.raises(OutputError):
        open_stage(tmp_path)
    (tmp_path / "notes.txt").unlink()

    discard(open_stage(tmp_path))


@pytest.mark.parametrize("again", [False, True])
def test_results_are_not_published_from_a_folder_that_was_removed_meanwhile(tmp_path, again):
    stage = open_stage(tmp_path / "out")
    fill(stage, ["seg.dcm", "sr.dcm"])
    shutil.rmtree(tmp_path / "out")
    if again:  # as an operator does that makes its own folder
        staged(stage.folder, "sr.dcm").parent.mkdir(parents=True)
        staged(stage.folder, "sr.dcm").write_text("only a part")

    with pytest.raises(OutputError, match="removed"):
        publish(stage)

    assert contents(tmp_path) == {}


def test_a_verdict_is_all_that_is_left_of_a_run_and_of_the_run_before(tmp_path):
    run(tmp_path, ["seg.dcm", "stripped/brain_0001.dcm"], content="old")
    stage = open_stage(tmp_path)
    fill(stage, ["seg.dcm"])

    publish_verdict(stage, verdict())

    assert contents(tmp_path) == verdict()


def test_a_verdict_is_replaced_by_results(tmp_path):
    publish_verdict(open_stage(tmp_path), verdict())

    run(tmp_path, ["seg.dcm"])

    assert set(contents(tmp_path)) == {"seg.dcm", RECORD}


def test_a_verdict_without_texts_leaves_an_empty_folder(tmp_path):
    run(tmp_path, ["seg.dcm"], content="old")

    publish_verdict(open_stage(tmp_path), {})

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", range(2))
def test_where_a_verdict_cannot_be_written_nothing_is_left(tmp_path, monkeypatch, failing):
    run(tmp_path, ["seg.dcm"], content="old")
    stage = open_stage(tmp_path)
    fill(stage, ["seg.dcm"])
    fail_at(monkeypatch, failing)

    publish_verdict(stage, verdict())

    assert list(tmp_path.iterdir()) == []


def test_the_record_of_a_verdict_appears_last(tmp_path, monkeypatch):
    rename, order = os.replace, []
    monkeypatch.setattr(os, "replace", lambda source, target: (order.append(target.name), rename(source, target)))

    publish_verdict(open_stage(tmp_path), dict(reversed(verdict().items())))

    assert order == [RESULT, RECORD]


def test_a_full_disk_has_a_reason_of_its_own(tmp_path, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)

    with pytest.raises(OutputError) as refused:
        open_stage(tmp_path)

    assert refused.value.reason == Reason.DISK_FULL
