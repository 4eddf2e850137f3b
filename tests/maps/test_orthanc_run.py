"""Which instances the script of Orthanc works on, and when not again; Orthanc and docker are stood in for."""

import json
import subprocess

import pytest

from maps.hosts import orthanc_run

APP = {"name": "spine", "ae_title": "SPINE", "image": "map-suite/spine:1", "timeout_s": 9, "run": ["--rm"]}
STUDY = "study"


class Orthanc:
    """One study: instances of each series, and metadata by path."""

    def __init__(self, **series):
        self.series = {name: list(instances) for name, instances in series.items()}
        self.entries = {}
        self.stored = []

    def sent_to(self, title, *series):
        for name in series:
            self.entries |= {f"/instances/{one}/metadata/CalledAET": title for one in self.series[name]}
        return self

    def json(self, path, body=None):
        if body is not None:
            self.stored.append(body)
            return {"ParentSeries": "new"}
        kind, name = path.strip("/").split("/")
        return {"Series": list(self.series)} if kind == "studies" else {"Instances": self.series[name]}

    def call(self, path):
        return path.encode()

    def metadata(self, path):
        return self.entries.get(path, "")

    def put(self, path, text):
        self.entries[path] = text


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the application on a study; its image writes a result and ends as told. Return what it was given."""
    given = []

    def run_image(app, folder, config):
        given.append(sorted(path.read_text() for path in (folder / "input").iterdir()))
        (folder / "output" / "seg.dcm").write_bytes(b"seg")
        (folder / "output" / "metadata.json").write_bytes(b"{}")
        return run_once.code

    def run_once(orthanc, app=APP, *, asked=False, code=0):
        given.clear()
        run_once.code = code
        orthanc_run.run_if_new(orthanc, STUDY, app, {"spool": str(tmp_path)}, asked)
        assert not list(tmp_path.iterdir()), "something was left"
        return [[path.split("/")[2] for path in paths] for paths in given]

    monkeypatch.setattr(orthanc_run, "run_image", run_image)
    return run_once


def test_it_works_on_what_was_sent_to_the_ae_title(run):
    orthanc = Orthanc(a="12", b="3").sent_to("SPINE", "a").sent_to("ORTHANC", "b")

    assert run(orthanc) == [["1", "2"]]


def test_it_does_nothing_where_nothing_was_sent_to_it(run):
    assert run(Orthanc(a="12").sent_to("ORTHANC", "a")) == []


def test_somebody_who_asks_gets_all_but_results(run):
    orthanc = Orthanc(a="12", b="3", result="4").sent_to("ORTHANC", "a")
    orthanc.entries[f"/series/result/metadata/{orthanc_run.RESULT_OF}"] = "spine"

    assert run(orthanc, asked=True) == [["1", "2", "3"]]
    assert run(orthanc, asked=True) == [["1", "2", "3"]], "again, as often as asked"


def test_results_are_stored_and_marked_and_nothing_else(run):
    orthanc = Orthanc(a="1").sent_to("SPINE", "a")

    run(orthanc)

    assert orthanc.stored == [b"seg"]
    assert orthanc.entries[f"/series/new/metadata/{orthanc_run.RESULT_OF}"] == "spine"


@pytest.mark.parametrize("code", orthanc_run.VERDICTS)
def test_the_same_instances_are_not_worked_on_again(run, code):
    orthanc = Orthanc(a="12").sent_to("SPINE", "a")

    assert run(orthanc, code=code) == [["1", "2"]]
    assert run(orthanc) == []

    orthanc.series["a"].append("3")

    assert run(orthanc) == [["1", "2", "3"]]
    assert run(orthanc, {**APP, "image": "map-suite/spine:2"}) == [["1", "2", "3"]], "another version"


@pytest.mark.parametrize("code", [1, 125, 137, 143])
def test_a_failure_is_no_verdict_on_the_study(run, code):
    orthanc = Orthanc(a="1").sent_to("SPINE", "a")

    assert run(orthanc, code=code) == [["1"]]
    assert orthanc.stored == []
    assert run(orthanc) == [["1"]]


def test_two_applications_do_not_forget_each_other(run):
    orthanc = Orthanc(a="1").sent_to("SPINE", "a")
    other = {**APP, "name": "other"}

    assert [run(orthanc), run(orthanc, other), run(orthanc), run(orthanc, other)] == [[["1"]], [["1"]], [], []]
    assert set(json.loads(orthanc.entries[f"/studies/{STUDY}/metadata/{orthanc_run.HAS_RUN}"])) == {"spine", "other"}


def test_a_run_that_takes_too_long_is_stopped(tmp_path, monkeypatch):
    commands = []

    def run(command, **options):
        commands.append(command)
        if options.get("timeout"):
            raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(orthanc_run.subprocess, "run", run)
    monkeypatch.setattr(orthanc_run.os, "getuid", lambda: 4321)

    assert orthanc_run.run_image(APP, tmp_path, {"user": "1000:1000"}) == 143
    assert commands[-1][:2] == ["docker", "stop"]
    assert commands[-1][-1] in commands[0][2]


def test_root_runs_images_as_somebody_else(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(
        orthanc_run.subprocess,
        "run",
        lambda command, **_: commands.append(command) or subprocess.CompletedProcess(command, 0),
    )
    monkeypatch.setattr(orthanc_run.os, "getuid", lambda: 0)

    orthanc_run.run_image(APP, tmp_path, {"user": "1000:1000"})

    assert commands[0] == ["chown", "-R", "1000:1000", str(tmp_path)]
    assert "--user=1000:1000" in commands[1]
