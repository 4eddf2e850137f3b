import json

import pytest

from imaging.outcome import ExitCode
from pacs import receive
from pacs.orthanc import Orthanc
from pacs.receive import Receiver


class Pacs(Orthanc):
    """An Orthanc of dictionaries: one study, whose series hold instances."""

    series: dict[str, list[str]]
    stable: list[str]

    def request(self, method, path, body=None):
        if method == "POST":
            self.series.setdefault("result", []).append(body.decode())
            return json.dumps({"ParentSeries": "result"}).encode()
        if path.startswith("/changes"):
            since = int(path.partition("since=")[2].partition("&")[0])
            changes = [{"ID": study, "ChangeType": "StableStudy"} for study in self.stable[since:]]
            return json.dumps({"Last": len(self.stable), "Changes": changes}).encode()
        if path.startswith("/series/"):
            return json.dumps(self._series(path.removeprefix("/series/"))).encode()
        if path.startswith("/studies/"):
            return json.dumps([self._series(name) for name in self.series]).encode()
        return path.encode()

    def _series(self, name):
        return {"MainDicomTags": {"SeriesInstanceUID": f"uid of {name}"}, "Instances": self.series[name]}


@pytest.fixture
def pacs():
    server = Pacs(0, 0, "")
    object.__setattr__(server, "series", {"t1": ["a", "b"]})
    object.__setattr__(server, "stable", ["study"])
    return server


@pytest.fixture
def runs(monkeypatch):
    """The runs of applications, each with the files it was given; skull_strip alone finds something to do."""
    seen = []

    def execute(app, study, output):
        seen.append((app, {file.read_text() for file in study.iterdir()}))
        if app != "skull_strip":
            return ExitCode.NOTHING_ELIGIBLE
        output.mkdir()
        (output / "seg.dcm").write_text("seg")
        (output / "metadata.json").write_text("{}")
        return ExitCode.DONE

    monkeypatch.setattr(receive, "_execute", execute)
    return seen


def test_a_stable_study_is_given_to_every_application_and_results_are_stored(pacs, runs, tmp_path):
    (ended,) = Receiver(pacs, tmp_path).poll()

    assert {app for app, _ in runs} == {"cervical_tumor", "lung_nodule", "skull_strip", "spine"}
    assert all(files == {"/instances/a/file", "/instances/b/file"} for _, files in runs)
    assert (ended.study, ended.app, ended.outcome, ended.stored) == (1, "skull_strip", "success", 1)
    assert pacs.series["result"] == ["seg"]
    assert list(tmp_path.iterdir()) == []


def test_results_do_not_start_a_run(pacs, runs, tmp_path):
    receiver = Receiver(pacs, tmp_path)
    list(receiver.poll())
    runs.clear()

    pacs.stable.append("study")  # as storing results makes it
    ended = list(receiver.poll())

    assert (ended, runs) == ([], [])


def test_images_that_come_later_start_another_run_on_all_of_them_without_the_results(pacs, runs, tmp_path):
    receiver = Receiver(pacs, tmp_path)
    list(receiver.poll())
    runs.clear()

    pacs.series["t1"].append("c")
    pacs.stable.append("study")
    (ended,) = receiver.poll()

    assert ended.study == 1
    assert all(files == {f"/instances/{name}/file" for name in "abc"} for _, files in runs)


def test_a_change_is_seen_once(pacs, runs, tmp_path):
    receiver = Receiver(pacs, tmp_path)
    list(receiver.poll())

    pacs.series["t1"].append("c")  # not stable yet

    assert list(receiver.poll()) == []


def test_a_run_without_results_says_why_and_stores_nothing(pacs, monkeypatch, tmp_path):
    def refuse(app, study, output):
        if app != "spine":
            return ExitCode.NOTHING_ELIGIBLE
        output.mkdir()
        (output / "metadata.json").write_text('{"outcome": "refused", "exception_message": "A slice is missing."}')
        return ExitCode.REFUSED

    monkeypatch.setattr(receive, "_execute", refuse)

    (ended,) = Receiver(pacs, tmp_path).poll()

    assert (ended.outcome, ended.stored) == ("refused: A slice is missing.", 0)
    assert set(pacs.series) == {"t1"}


def test_a_run_that_leaves_no_record_has_failed(pacs, monkeypatch, tmp_path):
    monkeypatch.setattr(receive, "_execute", lambda *_: -9)

    ended = list(Receiver(pacs, tmp_path).poll())

    assert {each.outcome for each in ended} == {"failed"}
