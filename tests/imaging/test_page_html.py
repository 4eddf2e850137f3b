import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from imaging.build_page import report_page
from imaging.model_card import CardSection
from imaging.page_content import identity_of
from imaging.page_html import NO_FLAGS, page_html
from tests.html_judge import Judge, assert_accessible, assert_asks_for_nothing, without_pictures
from tests.nodule_samples import BALLS_MM
from tests.page_samples import WISH, content_of, ct_source, facts, nodules, series

CARD = (CardSection("Intended use", "Research on chests.", cut=False), CardSection("Limits", "Many.", cut=True))
ATTACK = '"><script>alert(1)</script><img src=x onerror=alert(2)>&amp;'


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return ct_source(tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def report(source):
    return nodules(source)


@pytest.fixture(scope="module")
def content(source, report):
    return content_of(source, report)


def judged(content, card=CARD, files=("seg.dcm", "sr.dcm"), **more):
    return Judge(page_html(report_page(facts(**more), content, card, files)))


@pytest.fixture(scope="module")
def judge(content):
    return judged(content)


def test_the_page_is_well_formed_and_can_be_used_by_all(judge):
    assert_accessible(judge)


def test_the_page_asks_for_nothing_and_runs_nothing(judge):
    assert_asks_for_nothing(judge)
    assert judge.all("script") == []


def test_research_use_is_said_first(judge):
    texts = [text for inside, text in judge.texts if inside == "p"]

    assert texts[0] == "Research use only. Not a medical device: do not use for diagnosis or treatment."


def test_every_nodule_has_a_row_with_its_true_size(judge):
    (heads,) = [row for row in judge.rows if row[0] == "Finding"]
    rows = {row[0]: dict(zip(heads, row, strict=True)) for row in judge.rows if row[0].startswith("Nodule ")}

    assert len(rows) == len(BALLS_MM)
    radius_mm = BALLS_MM[2][1]  # the most suspicious one comes first
    assert float(rows["Nodule 1"]["Long axis"].removesuffix(" mm")) == pytest.approx(2 * radius_mm, abs=1)
    assert float(rows["Nodule 1"]["Volume"].removesuffix(" mm³")) == pytest.approx(4.18879 * radius_mm**3, rel=0.1)
    assert rows["Nodule 1"]["Probability of cancer"] == "87.5 %"
    assert rows["Nodule 1"]["Attenuation coefficient, mean"].endswith(" HU")


def test_each_finding_is_shown_in_three_planes_and_told_to_who_cannot_see(judge):
    told = [image["alt"] for image in judge.all("img")]

    for plane in ("axial", "coronal", "sagittal"):
        assert sum(f"lose-up of {plane}" in text or text.lower().startswith(plane) for text in told) >= len(BALLS_MM)
    assert all("Nodule " in text for text in told)


def test_pictures_are_in_the_page_and_can_be_read(judge):
    for image in judge.all("img"):
        assert image["src"].startswith("data:image/jpeg;base64,")
        picture = Image.open(io.BytesIO(base64.b64decode(image["src"].partition(",")[2])))
        assert picture.size == (int(image["width"]), int(image["height"]))
        assert np.ptp(np.asarray(picture)) > 100


def test_series_are_taken_or_refused_with_reasons(judge):
    rows = {row[0]: row for row in judge.rows if "eries " in row[0]}

    assert rows["Series 4"][-2:] == ["taken", "thin"]
    assert rows["Series 3"][-2:] == ["fits, another was better", "too thick"]
    assert rows["Series without number"][-2:] == ["does not fit", "too thick"]


def test_series_of_several_kinds_are_told_apart(content):
    wanted = [
        series(4, sequence="pelvic T2w", taken=True, eligible=True),
        series(5, sequence="pelvic ADC", taken=False, eligible=True),
    ]
    said = judged(content, series=wanted).said

    assert "Pelvic T2w" in said
    assert "Pelvic ADC None was taken." in " ".join(said.split())


def test_model_versions_and_times_are_said(judge):
    for text in (
        "0123456789abcdef" * 4,
        "Research on chests.",
        "Many. (The model card says more.)",
        "pydicom 3.0.2",
        "cpu (OpenVINO)",
        "420 MiB",
        "12 x 40 x 48 voxels of 2.50 x 0.70 x 0.90 mm",
        "seg.dcm, sr.dcm",
    ):
        assert text in judge.said, text
    assert ["find", "2.25 s", "4.50 s", ""] in judge.rows


def test_a_model_without_card_is_said(content):
    assert "no model card" in judged(content, card=()).said


def test_flags_come_before_the_findings_and_their_absence_is_no_praise(content):
    said = judged(content, flags=["Implausible brain volume", "Cut by the border"]).said

    assert said.index("Implausible brain volume") < said.index("Nodule 1")
    assert NO_FLAGS in judged(content, flags=[]).said


def test_a_broken_limit_is_said_with_its_source(content):
    limits = [
        {"text": "Too large", "value": 31.25, "unit": "mm", "limits": [None, 30.0], "basis": "Fleischner"},
        {"text": "Too dark", "value": -900.0, "unit": "HU", "limits": [-800, 200], "basis": "our own"},
        {"text": "Cut", "value": None, "unit": None, "limits": None, "basis": ""},
    ]
    rows = judged(content, plausibility=limits).rows

    assert ["Too large", "31.25 mm", "at most 30 mm", "Fleischner"] in rows
    assert ["Too dark", "-900 HU", "-800 to 200 HU", "our own"] in rows
    assert ["Cut", "-", "-", "-"] in rows


def test_no_finding_is_a_page_that_says_so(source):
    none = nodules(source, ())
    page = judged(content_of(source, none), finding="No nodule was found; that is no proof that there is none")

    assert_accessible(page)
    assert "No nodule was found" in page.said
    assert page.all("img") == []


def test_more_findings_than_pictures_are_in_the_table(content):
    many = replace(
        content, findings=tuple(replace(one, pictures=()) for one in content.findings[1:]) + content.findings[:1]
    )

    assert "Pictures of 1 of 3 findings; the table has all of them." in judged(many).said


def test_texts_are_escaped_wherever_they_come_from(source, content):
    evil = replace(content, identity=replace(identity_of(source), name=ATTACK), title=ATTACK, findings=tuple(
        replace(one, label=ATTACK, remarks=(ATTACK,)) for one in content.findings))  # fmt: skip
    card = (CardSection(ATTACK, ATTACK, cut=False),)
    wanted = [
        series(4, eligible=True, reasons=(ATTACK,), modality=ATTACK, traits=[ATTACK], sequence=ATTACK, taken=True)
    ]
    page = judged(
        evil, card=card, series=wanted, flags=[ATTACK], finding=ATTACK, device=ATTACK, versions={ATTACK: ATTACK}
    )

    assert_asks_for_nothing(page)
    assert page.all("script") == []
    assert page.said.count("<script>alert(1)</script>") >= 12  # shown as text


def identified(header, _):
    header.PatientName, header.PatientID, header.StudyDate = "ZZNAME^<b>Anna</b>", "ZZID", "19991231"
    header.StudyInstanceUID = "1.2.826.0.4711.1"


def test_nobody_is_named_unless_asked_for(tmp_path):
    source = ct_source(tmp_path, edit=identified)
    report = nodules(source)
    asked = judged(content_of(source, report, replace(WISH, identity=True)))
    document = without_pictures(page_html(report_page(facts(), content_of(source, report), CARD, ())))

    for secret in ("ZZ", "Anna", "1999", "4711"):
        assert secret not in document
    assert "ZZNAME <b>Anna</b>" in asked.said
    assert "ZZID" in asked.said
    assert "1999-12-31" in asked.said
    assert "4711" not in asked.said
