"""The page of a run in a real browser, without network: Chromium of Debian, judged by axe-core."""

import json
import shutil
import subprocess
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.cohort_samples import write_cohort
from tests.html_judge import Judge, assert_accessible, assert_asks_for_nothing
from tests.system.command import ROOT, execute, monai_deploy

pytestmark = [pytest.mark.system, pytest.mark.servers]

BROWSER = ROOT / "tests" / "browser"


@pytest.fixture(scope="module", autouse=True)
def tools():
    """Chromium and Node with the packages of tests/browser; skips clearly where they are missing."""
    for name in ("chromium", "node"):
        if shutil.which(name) is None:
            pytest.skip(f"needs {name} (Debian package {'nodejs' if name == 'node' else name})")
    if not (BROWSER / "node_modules").is_dir():
        pytest.skip("needs the Node packages of tests/browser: (cd tests/browser && npm ci)")


@pytest.fixture(scope="module")
def shots():
    """Where screenshots and prints go, and stay."""
    folder = ROOT / "build" / "screenshots" / "page"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def seen(page: Path, folder: Path) -> dict:
    """What Chromium and axe-core say of a page."""
    folder.mkdir(exist_ok=True)
    command = ["node", BROWSER / "check_page.mjs", page, folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def report(small_run):
    return small_run.output / "report.html"


@pytest.fixture(scope="module")
def report_seen(report, shots):
    return seen(report, shots / "report")


@pytest.fixture(scope="module")
def cohort(small_run, tmp_path_factory):
    """The page of a mixed cohort, the real run among them."""
    folder = write_cohort(tmp_path_factory.mktemp("cohort") / "runs", 30)
    shutil.copytree(small_run.output, folder / "real")
    ended = monai_deploy("cohort", folder, "-o", folder / "cohort.html")
    assert ended.code == 0, ended.stderr
    return folder / "cohort.html"


@pytest.fixture(scope="module")
def cohort_seen(cohort, shots):
    return seen(cohort, shots / "cohort")


def assert_good_page(found: dict, page: Path) -> None:
    """No request but for the page itself, nothing on the console, no fault, nothing beyond the screen."""
    assert {url for url in found["requests"] if not url.startswith("data:")} == {page.as_uri()}
    assert found["complaints"] == []
    assert len(found["views"]) == 4
    for view in found["views"]:
        assert view["faults"] == [], view["size"]
        assert view["overflow_px"] <= 0, view["size"]
        assert all(view["images"])
    grounds = {view["colorScheme"]: view["background"] for view in found["views"]}
    assert grounds["light"] != grounds["dark"]


def test_the_page_is_well_formed_and_asks_for_nothing(report):
    judge = Judge(report.read_text(encoding="utf-8"))

    assert_accessible(judge)
    assert_asks_for_nothing(judge)


def test_a_browser_without_network_shows_the_page_without_fault(report, report_seen):
    assert_good_page(report_seen, report)


def test_the_page_shows_its_pictures(report_seen):
    assert all(len(view["images"]) == 3 for view in report_seen["views"])  # three planes of the brain


def test_the_page_can_be_used_without_a_mouse(report_seen):
    visited = report_seen["keyboard"]

    assert visited[0]["text"] == "Skip to the findings"
    assert all(one["ring"] for one in visited)
    assert {"Findings", "Series", "Model"} <= {one["text"] for one in visited}


def orange(picture: str) -> float:
    """Fraction of a screenshot that has the hue of the brain's segment, (230, 160, 60), over grey."""
    red, green, blue = np.moveaxis(np.asarray(Image.open(BytesIO(b64decode(picture))).convert("RGB"), int), -1, 0)
    return float(np.mean((red > green + 15) & (green > blue + 20)))


def test_the_viewer_opens_under_the_policy_of_the_page_and_shows_image_and_segment(report_seen):
    shown = report_seen["viewer"]

    assert orange(shown["first"]) > 0.05
    assert orange(shown["plain"]) < 0.01
    grey = np.asarray(Image.open(BytesIO(b64decode(shown["plain"]))).convert("L"))
    assert np.mean(grey > 60) > 0.05
    assert shown["first"] != shown["moved"]


def test_the_viewer_can_be_used_without_a_mouse(report_seen):
    """Five steps of a slider are five slices of 5 mm towards the head."""
    at, higher = (float(report_seen["viewer"][name].split(", ")[2].split()[0]) for name in ("place", "higher"))

    assert abs(abs(higher - at) - 25) <= 3 or abs(abs(higher + at) - 25) <= 3


def test_the_page_can_be_printed(report_seen, shots):
    pdf = shots / "report" / "print.pdf"
    said = subprocess.run(["pdftotext", pdf, "-"], capture_output=True, text=True, timeout=30, check=True).stdout
    size = subprocess.run(["pdfinfo", pdf], capture_output=True, text=True, timeout=30, check=True).stdout

    assert "A4" in size
    pages = [page for page in said.split("\f") if page.strip()]
    assert len(pages) >= 2
    assert all("Research use only" in page for page in pages)
    assert "Brain volume" in said


def test_a_browser_without_network_shows_the_cohort_without_fault(cohort, cohort_seen):
    assert_good_page(cohort_seen, cohort)


def test_the_cohort_is_sorted_by_its_headings(cohort_seen):
    brains = max(cohort_seen["sorted"], key=lambda table: len(table["orders"][0]))
    first, rising, falling = brains["orders"]

    assert first[0].startswith("brain volume (mL): 420 is far below the others")
    assert (rising[0], falling[0]) == ("-", first[0])
    assert sorted(first) == sorted(rising) == sorted(falling)
    assert brains["said"] == "descending"


@pytest.fixture(scope="module")
def in_dicom(small, models, tmp_path_factory):
    """A run that writes the page as DICOM, and says whose images they are."""
    asked = ("--page-dicom", "--identity", "--no-stripped-series", "--no-overlays")
    ended = execute(small, tmp_path_factory.mktemp("in dicom") / "out", models, *asked)
    assert ended.code == 0, ended.stderr
    return ended


def test_the_page_as_dicom_is_valid_and_of_its_run(in_dicom):
    path = in_dicom.output / "report.dcm"
    judged = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=30, check=False)
    document, seg, sr = (dcmread(in_dicom.output / name) for name in ("report.dcm", "seg.dcm", "sr.dcm"))

    assert [line for line in judged.stderr.splitlines() if line.startswith(("Error", "Warning"))] == []
    assert [one.ReferencedSOPInstanceUID for one in document.SourceInstanceSequence[-2:]] == [
        seg.SOPInstanceUID,
        sr.SOPInstanceUID,
    ]
    assert document.StudyInstanceUID == seg.StudyInstanceUID


def test_the_page_as_dicom_says_and_shows_the_same(in_dicom, tmp_path):
    pdf = tmp_path / "page.pdf"
    subprocess.run(["dcm2pdf", in_dicom.output / "report.dcm", pdf], capture_output=True, timeout=30, check=True)
    said = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, timeout=30, check=True)
    listed = subprocess.run(["pdfimages", "-list", pdf], capture_output=True, text=True, timeout=30, check=True)
    pages = said.stdout.split("\f")[:-1]
    letters = "".join(said.stdout.split())  # lines break elsewhere
    judge = Judge((in_dicom.output / "report.html").read_text(encoding="utf-8"))

    assert len(listed.stdout.splitlines()) - 2 == len(judge.all("img")) == 3
    assert all("Research use only" in page for page in pages)
    (measured,) = [row for row in judge.rows if row[0] == "Brain"]
    for text in (*measured, in_dicom.record["finding"], in_dicom.record["model"]["sha256"], "Intended use", "Limits"):
        assert "".join(text.split()) in letters, text
    for reason in in_dicom.record["series"][0]["reasons"]:
        assert "".join(reason.split()) in letters, reason
    patient = str(dcmread(in_dicom.output / "seg.dcm", stop_before_pixels=True).PatientID)
    assert patient
    assert f"PatientID:{patient}" in letters
    assert patient in judge.said


def test_no_page_is_written_where_none_is_wanted(small, models, tmp_path):
    ended = execute(small, tmp_path / "out", models, "--no-page", "--no-stripped-series")

    assert ended.code == 0, ended.stderr
    assert "report.html" not in ended.files
    assert "write_page" not in ended.record["seconds"]


def test_a_page_costs_little(small_run):
    cpu = small_run.record["cpu_seconds"]

    assert cpu["draw_findings"] + cpu["write_page"] < 0.2 * cpu["total"]
    assert (small_run.output / "report.html").stat().st_size < 5_000_000
