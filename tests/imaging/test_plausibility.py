import re
from dataclasses import replace
from pathlib import Path

import pytest

from imaging import body_limits, check_brain, check_nodule, check_tumour, lung_mask
from imaging.plausibility import Check, in_brief

BY_APP = {
    "skull_strip": check_brain.CHECKS,
    "spine": body_limits.CHECKS,
    "lung_nodule": (*lung_mask.CHECKS, *check_nodule.CHECKS),
    "cervical_tumor": check_tumour.CHECKS,
}
ALL = [check for checks in BY_APP.values() for check in checks]
LIMITED = [check for check in ALL if check.limits]
CHECK = Check(code="size", brief="size no thing has", basis="measured", low=2.0, high=5.0, unit="mm")


@pytest.mark.parametrize("check", LIMITED, ids=lambda check: check.code)
def test_a_limit_is_kept_on_it_and_broken_beyond_it(check):
    low, high = check.limits
    for limit, beyond in ((low, -1e-6), (high, 1e-6)):
        if limit is not None:
            assert not check.broken_by(limit)
            assert check.broken_by(limit + beyond)
    assert (low is None or high is None) or not check.broken_by((low + high) / 2)
    assert check.unit


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.code)
def test_every_check_has_a_code_of_its_own_a_basis_and_a_few_words(check):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", check.code)
    assert [one.code for one in ALL].count(check.code) == 1
    assert check.basis
    assert 0 < len(check.brief) <= 45


def test_a_value_that_is_no_number_breaks_a_check():
    assert CHECK.broken_by(float("nan"))


def test_the_facts_of_a_flag_are_those_of_its_check():
    flag = replace(CHECK.flag("it is 7 mm", 7), segment=3)

    assert flag.facts == {
        "code": "size", "text": "it is 7 mm", "segment": 3, "value": 7.0, "unit": "mm", "limits": [2.0, 5.0],
        "basis": "measured",
    }  # fmt: skip


def test_limits_that_tell_of_the_person_are_kept():
    assert replace(CHECK, of_person=True).flag("", 7).facts["limits"] is None


def test_a_limit_on_one_side_only_is_said_so():
    assert Check(code="a", brief="", basis="", high=3.0).limits == (None, 3.0)
    assert Check(code="a", brief="", basis="").limits is None


def test_in_brief_names_all_that_a_flag_is_about_once():
    other = replace(CHECK, brief="odd")
    flags = [replace(CHECK.flag(""), name="1"), other.flag(""), replace(CHECK.flag(""), name="3")]

    assert in_brief(flags) == ("1, 3: size no thing has", "odd")


@pytest.mark.parametrize("app", BY_APP)
def test_the_document_lists_every_check_with_its_limits(app):
    text = (Path(__file__).parents[2] / "docs" / "plausibility.md").read_text()
    section = text.split(f"## `{app}`")[1].split("\n## ")[0]
    rows = {row.split("|")[1].strip(" `"): row for row in section.splitlines() if row.startswith("| `")}

    assert set(rows) == {check.code for check in BY_APP[app]}
    for check in BY_APP[app]:
        low, high = check.limits or (None, None)
        said = [cell.strip() for cell in rows[check.code].split("|")[2:4]]
        assert said == ["" if limit is None else f"{limit:g}" for limit in (low, high)]
        assert check.unit in rows[check.code]
