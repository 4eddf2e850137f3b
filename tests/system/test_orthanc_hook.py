"""The hook and the script of deploy/orthanc in Debian's Orthanc: a study sent to an AE title, and its results."""

import json
import shutil
import subprocess
import sys

import pytest

from imaging.write_sample import write_head_study
from maps.describe_app import ROOT

pytest.importorskip("pynetdicom", reason="make system-test installs the extra")

from tests.emulation.head_study import HEAD, TOO_FEW
from tests.emulation.orthanc import PASSWORD, USER, running_orthanc
from tests.emulation.processes import wait_for

pytestmark = [pytest.mark.system, pytest.mark.servers]
RESULTS = {"SEG", "SR"}  # of every success; there may be others


@pytest.fixture
def home(tmp_path):
    """The folder of hook, script and configuration, which is completed when Orthanc runs."""
    folder = tmp_path / "map-suite"
    shutil.copytree(ROOT / "deploy" / "orthanc", folder)
    (folder / "credentials").write_text(f"{USER}:{PASSWORD}\n")
    return folder


@pytest.fixture
def pacs(home, skull_strip_image, tmp_path):
    """Orthanc with the hook; of the shipped configuration paths, ports and the image's name are changed."""
    env = {"MAP_SUITE_HOME": str(home), "MAP_SUITE_LOG": str(tmp_path / "map-suite.log")}
    with running_orthanc(tmp_path / "orthanc", lua=[home / "map_suite.lua"], env=env) as running:
        config = json.loads((home / "map_suite.json").read_text())
        config |= {"orthanc": running.url, "credentials": str(home / "credentials"), "spool": str(tmp_path / "spool")}
        for app in config["applications"]:
            app["image"] = skull_strip_image  # the others' images need not be built for this
        (home / "map_suite.json").write_text(json.dumps(config))
        yield running


@pytest.fixture
def said(tmp_path):
    """What the script has written to its log."""
    log = tmp_path / "map-suite.log"
    return lambda: log.read_text() if log.exists() else ""


def send(pacs, study, called):
    command = ["storescu", "-aet", "MODALITY", "-aec", called, "127.0.0.1", str(pacs.dicom), "+sd", str(study)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def stable_events(pacs):
    return sum(change["ChangeType"] == "StableStudy" for change in pacs.get("/changes?limit=100000")["Changes"])


def test_a_study_sent_to_the_ae_title_comes_back_once(pacs, home, said, tmp_path):
    send(pacs, write_head_study(tmp_path / "study", **HEAD), "SKULL-STRIP")

    wait_for(lambda: "results stored" in said(), 90, "results")
    wait_for(lambda: stable_events(pacs) > 1, 30, "the study is stable again, with its results")
    once_more = subprocess.run(
        [sys.executable, home / "run_map.py", *pacs.studies()], capture_output=True, text=True, timeout=60, check=False
    )  # waits for the one that Orthanc has started

    assert (once_more.returncode, once_more.stdout) == (0, "")
    assert pacs.modalities() >= RESULTS
    assert said().count("skull_strip") == 2, said()
    assert "spine" not in said()
    assert not any((tmp_path / "spool").glob("map-*"))


def test_a_study_for_the_archive_is_left_alone_until_somebody_asks(pacs, home, said, tmp_path):
    send(pacs, write_head_study(tmp_path / "study", **HEAD), "ORTHANC")
    wait_for(lambda: stable_events(pacs), 30, "the study is stable")

    [study] = pacs.studies()
    by_hand = [sys.executable, home / "run_map.py", study]
    as_the_hook = subprocess.run(by_hand, capture_output=True, text=True, timeout=60, check=False)

    assert (as_the_hook.returncode, as_the_hook.stdout) == (0, "")
    assert said() == ""
    assert pacs.modalities() == {"MR"}

    asked = subprocess.run([*by_hand, "--app", "skull_strip"], capture_output=True, text=True, timeout=120, check=False)

    assert asked.returncode == 0, asked.stderr
    assert pacs.modalities() >= RESULTS


def test_a_study_that_is_refused_leaves_nothing_but_a_line(pacs, said, tmp_path):
    study = write_head_study(tmp_path / "study", **TOO_FEW)
    send(pacs, study, "SKULL-STRIP")

    wait_for(lambda: "nothing stored" in said(), 90, "refusal")

    assert "exit code 3" in said()
    assert "at least 20 needed" in said()
    assert pacs.modalities() == {"MR"}
    wait_for(lambda: not any((tmp_path / "spool").glob("map-*")), 30, "its folder is gone")
