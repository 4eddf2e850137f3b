"""The demonstration starts, listens on loopback alone, works on what it is sent, and leaves nothing behind."""

import os
import re
import shutil
import signal
import subprocess
import urllib.request

import pytest

from pacs.ports import LOOPBACK
from tests.system.pacs_demo import running_demo, value

pytestmark = [
    pytest.mark.system,
    pytest.mark.servers,
    pytest.mark.skipif(not shutil.which("Orthanc"), reason="needs orthanc and orthanc-dicomweb"),
]


@pytest.fixture(scope="module")
def demo(small, tmp_path_factory):
    """A demonstration with a small head study, when its results are stored."""
    with running_demo(small, folder=tmp_path_factory.mktemp("demo")) as demo:
        demo.wait_for(r"skull_strip: success, (\d+) objects", 120)
        yield demo


def listening():
    """Local address of each socket that listens, and the process that has it."""
    said = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    return [(line.split()[3].rpartition(":")[0], line) for line in said.splitlines()]


def descendants(process):
    said = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = dict(map(int, line.split()) for line in said.splitlines())
    found = {process}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def test_it_listens_on_loopback_alone(demo):
    ours = descendants(demo.process.pid)

    places = [place for place, line in listening() if ours & set(map(int, re.findall(r"pid=(\d+)", line)))]

    assert places == [LOOPBACK] * 3  # viewer, DICOM and HTTP of the PACS


def test_the_pacs_asks_for_a_password(demo):
    (place,) = re.findall(r"(http://\S+) \(Orthanc", demo.said)

    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{place}studies", timeout=10)  # noqa: S310  ours


def test_the_results_are_in_the_study_of_their_source(demo):
    (study,) = demo.query("studies")
    series = demo.query(f"studies/{value(study, '0020000D')}/series")

    assert {value(each, "00080060") for each in series} >= {"MR", "SEG", "SR"}


def test_it_says_it_is_for_research_and_names_no_patient(demo):
    assert "Research use only" in demo.said
    assert "Synthetic" not in demo.said
    assert "2.25" not in demo.said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_with_its_children_and_leaves_no_data(small, tmp_path, number):
    with running_demo(small, folder=tmp_path) as demo:
        demo.wait_for("Sent +1 studies", 120)
        ours = descendants(demo.process.pid)
        assert len(ours) > 1
        assert list(tmp_path.iterdir()) != []

        code = demo.stop(number)

    assert code == 0, demo.said
    assert [process for process in ours if os.path.exists(f"/proc/{process}")] == []  # noqa: PTH110
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use_is_said(demo, tmp_path):
    taken = demo.address.rstrip("/").rpartition(":")[2]

    with running_demo("--port", taken, folder=tmp_path) as second:
        second.wait_for(f"Port {taken} is in use", 60)
        assert second.process.wait(60) == 1

    assert list(tmp_path.iterdir()) == []
