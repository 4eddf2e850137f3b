import base64
import hashlib
import json
from dataclasses import replace

import pytest

from imaging.build_page import report_page
from imaging.coarse_image import Target
from imaging.page_html import page_html
from imaging.page_viewer import LICENCES, NIIVUE_SHA256, SCRIPT, niivue_source, viewer
from tests.html_judge import Judge, assert_accessible, assert_asks_for_nothing
from tests.page_samples import WISH, content_of, ct_source, facts, nodules


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    source = ct_source(tmp_path_factory.mktemp("ct"))
    return content_of(source, nodules(source), replace(WISH, viewer=True))


@pytest.fixture(scope="module")
def judge(content):
    return Judge(page_html(report_page(facts(), content, (), ())))


def test_a_page_with_a_viewer_is_well_formed_and_asks_for_nothing(judge):
    assert_accessible(judge)
    assert_asks_for_nothing(judge)


def test_the_script_of_niivue_is_the_published_one():
    assert hashlib.sha256(niivue_source()).hexdigest() == NIIVUE_SHA256


def test_the_page_allows_its_two_scripts_and_no_other(judge):
    (policy,) = [one["content"] for one in judge.all("meta") if one.get("http-equiv")]
    allowed = policy.partition("script-src ")[2].split()

    digests = [hashlib.sha256(code).digest() for code in (SCRIPT.encode(), niivue_source())]
    assert allowed == [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def test_its_licences_go_along(judge):
    said = " ".join(judge.said.split())

    assert "Copyright (c) 2021, Niivue" in said
    for name in ("gl-matrix", "nifti-reader-js", "fflate", "zarrita"):
        assert name in LICENCES.read_text(encoding="utf-8")


def test_there_is_a_button_for_each_finding(judge, content):
    buttons = [one for one in judge.all("button") if "data-to" in one]
    (text,) = [text for inside, text in judge.texts if inside == "script" and text.startswith('{"colours"')]

    assert len(buttons) == len(content.findings) == len(json.loads(text)["places"])


def test_every_control_has_a_name(judge):
    inside_labels = [within for name, _, within in judge.elements if name == "input"]

    assert len(inside_labels) == 4
    assert all("label" in within for within in inside_labels)


def test_a_name_cannot_leave_its_element(content):
    evil = Target(name="</script><script>alert(1)</script>", rgb=(1, 2, 3), centre_ras_mm=(0.0, 0.0, 0.0))
    judge = Judge(str(viewer(replace(content.coarse, targets=(evil,)))))

    assert len(judge.all("script")) == 5


def test_without_findings_there_is_nothing_to_switch_off(content):
    judge = Judge(str(viewer(replace(content.coarse, targets=()))))

    assert len(judge.all("input")) == 3
    assert not [one for one in judge.all("button") if "data-to" in one]


def test_without_the_wish_there_is_no_script(content):
    judge = Judge(page_html(report_page(facts(), replace(content, coarse=None), (), ())))

    assert judge.all("script") == []
