"""What Chromium and the OHIF viewer show of the four synthetic studies and their results, judged by pixels.

Screenshots are kept in build/screenshots/pacs.
"""

import json
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from cli.sample import SAMPLES
from tests.system.command import ROOT
from tests.system.pacs_demo import running_demo, value
from tests.system.pacs_viewport import Canvas, Plane, colours, masks_by_image, most_lopsided, overlap

BROWSER = ROOT / "tests" / "browser"
SCREENSHOTS = ROOT / "build" / "screenshots" / "pacs"
NEEDED = {
    "orthanc": shutil.which("Orthanc"),
    "chromium": shutil.which("chromium"),
    "the Node packages of tests/browser (cd tests/browser && npm ci)": (BROWSER / "node_modules").is_dir(),
}
pytestmark = [
    pytest.mark.system,
    pytest.mark.servers,
    pytest.mark.skipif(not all(NEEDED.values()), reason="needs " + ", ".join(k for k, v in NEEDED.items() if not v)),
]
STUDIES = ("head", "chest", "pelvis", "spine")


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demonstration, when the results of all samples are stored."""
    with running_demo(folder=tmp_path_factory.mktemp("demo")) as demo:
        demo.wait_for(r"(\w+): success, \d+ objects stored", 600, count=len(SAMPLES))
        yield demo


@pytest.fixture(scope="module")
def results(demo):
    """For each study its UID, its SEG and SR."""
    found = {}
    for study in demo.query("studies"):
        uid, objects = value(study, "0020000D"), {}
        for series in demo.query(f"studies/{uid}/series"):
            if value(series, "00080060") in ("SEG", "SR"):
                (instance,) = demo.query(f"studies/{uid}/series/{value(series, '0020000E')}/instances")
                objects[value(series, "00080060")] = demo.retrieve(
                    uid, value(series, "0020000E"), value(instance, "00080018")
                )
        name = value(study, "00100010")["Alphabetic"].partition("^")[2].lower()
        found[name] = (uid, objects["SEG"], objects["SR"])
    assert set(found) == set(STUDIES)
    return found


@pytest.fixture(scope="module")
def planes(demo, results):
    """Of each study the source image on which a mirrored mask would show most, and the masks on it."""
    found = {}
    for name, (study, seg, _) in results.items():
        masks = masks_by_image(seg)
        image = most_lopsided(masks)
        source = demo.retrieve(study, seg.ReferencedSeriesSequence[0].SeriesInstanceUID, image)
        found[name] = Plane(source, masks[image], colours(seg))
    return found


@pytest.fixture(scope="module")
def shown(demo, results, planes, tmp_path_factory):
    """What the viewer said and drew."""
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    plan = tmp_path_factory.mktemp("plan") / "plan.json"
    studies = [
        {"name": name, "study": uid, "image": planes[name].image.SOPInstanceUID}
        for name, (uid, _, _) in results.items()
    ]
    plan.write_text(json.dumps({"address": demo.address, "studies": studies}))
    done = subprocess.run(
        ["node", "view_pacs.mjs", plan, SCREENSHOTS], cwd=BROWSER, capture_output=True, text=True, timeout=600,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=STUDIES)
def name(request):
    return request.param


@pytest.fixture
def facts(shown, name):
    (found,) = (each for each in shown["studies"] if each["name"] == name)
    return found


@pytest.fixture
def canvas(facts, name):
    overlaid, plain = (
        np.asarray(Image.open(SCREENSHOTS / f"{name}_{kind}.png").convert("RGB")).astype(int)
        for kind in ("overlaid", "plain")
    )
    origin, right, down = (np.array(facts[key]) for key in ("origin_mm", "right_mm", "down_mm"))
    return Canvas(overlaid, plain, origin, (right - origin) / 100, (down - origin) / 100)


def test_the_study_list_shows_every_study(shown):
    assert sorted(shown["listed"]) == ["Synthetic, Chest", "Synthetic, Head", "Synthetic, Pelvis", "Synthetic, Spine"]


def test_no_request_leaves_and_nothing_is_complained_of(shown):
    assert shown["outside"] == []
    assert shown["complaints"] == []


def test_the_page_is_isolated_so_that_its_workers_share_memory(shown):
    assert shown["isolated"] is True


def test_the_image_is_the_one_asked_for_and_its_pixels_are_where_the_file_has_them(facts, canvas, planes, name):
    assert planes[name].image.SOPInstanceUID in facts["image"]
    assert canvas.image_agreement(planes[name]) > 0.99
    assert canvas.image_agreement(planes[name], mirrored=True) < 0.95


def test_the_image_is_shown_as_it_is_stored_so_that_left_is_left(facts, canvas, planes, name):
    along_row, along_column = np.array(planes[name].image.ImageOrientationPatient, float).reshape(2, 3)

    assert canvas.right_mm @ along_row == pytest.approx(np.linalg.norm(canvas.right_mm), rel=1e-3)
    assert canvas.down_mm @ along_column == pytest.approx(np.linalg.norm(canvas.down_mm), rel=1e-3)
    assert (facts["left"][:1], facts["top"][:1]) == planes[name].letters


def test_the_overlay_is_where_the_mask_is_and_a_mirrored_one_would_not_do(canvas, planes, name):
    def agreement(plane):
        return overlap(canvas.drawn, canvas.expected(plane).any(axis=0))

    assert agreement(planes[name]) > 0.98
    for axis in (1, 2):
        assert agreement(replace(planes[name], masks=np.flip(planes[name].masks, axis))) < 0.9


def test_each_segment_is_outlined_in_its_own_colour(canvas, planes, name):
    expected = canvas.expected(planes[name])

    for mask, rgb in zip(expected, planes[name].rgb, strict=True):
        alike = np.abs(canvas.overlaid - rgb).max(axis=-1) <= 8
        others = ndimage.binary_dilation(expected.any(axis=0) & ~mask, iterations=3)
        assert alike[mask & ~ndimage.binary_erosion(mask)].mean() > 0.8 if mask.any() else True
        assert not (alike & ~ndimage.binary_dilation(mask, iterations=3) & ~others).any()


def test_the_report_is_shown_with_every_number_and_what_it_is(facts, results, name):
    _, _, report = results[name]
    measured = list(numbers(report))

    assert measured
    for meaning, number in measured:
        assert f"{meaning}: {number}" in facts["report"]
    assert "Research use only" in facts["report"]


def numbers(item):
    """Name and value of every measurement of a report."""
    for child in item.get("ContentSequence", []):
        if child.ValueType == "NUM":
            yield child.ConceptNameCodeSequence[0].CodeMeaning, f"{child.MeasuredValueSequence[0].NumericValue:g}"
        yield from numbers(child)
