import re
from urllib.parse import unquote

import pytest

from imaging.cohort import cohort_of, read_cohort, run_of
from imaging.cohort_html import RULE, cohort_html
from imaging.suite import RESEARCH_USE
from tests.cohort_samples import LOST_ML, OUTLIER, failure, record, write_cohort
from tests.html_judge import Judge, assert_accessible, assert_asks_for_nothing

ATTACK = '"><script>alert(1)</script>'


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_cohort(tmp_path_factory.mktemp("runs of the week"), 40)


def page_of(folder, page, **more):
    return Judge(cohort_html(read_cohort(folder), folder, page, **more))


@pytest.fixture(scope="module")
def judge(folder):
    return page_of(folder, folder / "cohort.html")


def test_the_page_is_well_formed_and_asks_for_nothing(judge):
    assert_accessible(judge)
    assert_asks_for_nothing(judge)


def test_the_only_script_is_the_one_the_policy_names(judge):
    (policy,) = [one["content"] for one in judge.all("meta") if one.get("http-equiv")]

    assert len(judge.all("script")) == 1
    assert judge.all("script")[0] == {}
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]{44}';", policy)


def test_research_use_and_the_rule_are_said(judge):
    assert RESEARCH_USE in judge.said
    assert RULE in judge.said


def test_what_stands_out_is_said_first_with_its_number(judge):
    rows = [row for row in judge.rows if row[0].startswith("brain/")]

    assert rows[0][0] == f"brain/{OUTLIER}"
    assert f"brain volume (mL): {LOST_ML:.0f} is far below the others" in rows[0][1]


def test_runs_without_results_are_counted_by_reason(judge):
    assert ["skull_strip", "refused", "tilt", "4"] in judge.rows
    assert ["skull_strip", "nothing eligible", "no dicom", "1"] in judge.rows
    assert "The stack leans." in judge.said


def test_each_distribution_is_told(judge):
    told = [one["aria-label"] for one in judge.all("svg")]

    assert all(one["role"] == "img" for one in judge.all("svg"))
    assert any(re.match(r"Brain volume \(mL\): 40 runs, median 1[34]\d\d, .*, 1 standing out$", text) for text in told)
    assert any(text.startswith("L5 volume (mL): 13 runs") for text in told)


@pytest.mark.parametrize("place", ["cohort.html", "pages/deep/cohort.html"])
def test_links_lead_to_the_page_of_a_run_or_to_its_record(folder, place):
    page = folder.parent / place
    links = [one["href"] for one in page_of(folder, page).all("a") if not one["href"].startswith("#")]

    assert len(links) == 40 + 13 + 5
    for link in links:
        assert (page.parent / unquote(link)).resolve().is_file(), link


def test_runs_can_be_numbered_where_folders_name_patients(folder):
    judge = page_of(folder, folder / "cohort.html", named=False)

    assert "case 0" not in judge.said
    assert [one for one in judge.all("a") if not one["href"].startswith("#")] == []
    assert "run 12" in judge.said


def test_several_versions_are_said(tmp_path):
    runs = [run_of(record(app_version=version), version) for version in ("0.1.0", "0.1.0", "0.2.0")]
    judge = Judge(cohort_html(cohort_of(runs), tmp_path, tmp_path / "c.html"))

    assert "0.1.0, model 0.1.0 (2), 0.2.0, model 0.1.0 (1)" in judge.said


def test_one_run_alone_has_a_page(tmp_path):
    judge = Judge(cohort_html(cohort_of([run_of(record(), ".")]), tmp_path, tmp_path / "c.html"))

    assert_accessible(judge)
    assert "this folder" in judge.said


def test_texts_are_escaped_wherever_they_come_from(tmp_path):
    good = record(ATTACK, finding=ATTACK, flags=[ATTACK], app_version=ATTACK, measurements={f"{ATTACK}_ml": 1})
    bad = failure(ATTACK, message=ATTACK)
    runs = [run_of(good, f"{ATTACK}1"), run_of(good, f"{ATTACK}2"), run_of(bad, ATTACK)]
    judge = Judge(cohort_html(cohort_of(runs), tmp_path, tmp_path / "c.html"))

    assert_asks_for_nothing(judge)
    assert len(judge.all("script")) == 1


def test_thousands_of_runs_are_one_page(tmp_path):
    runs = [run_of(record(measurements={"brain_volume_ml": 1000 + at}), f"case {at}") for at in range(5000)]
    document = cohort_html(cohort_of(runs), tmp_path, tmp_path / "c.html")

    assert len([row for row in Judge(document).rows if row[0].startswith("case ")]) == 5000
    assert len(document) < 2_500_000
