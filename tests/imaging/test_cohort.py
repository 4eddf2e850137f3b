import json

import numpy as np
import pytest

from imaging.cohort import LEAST_RUNS, LIMIT, cohort_of, measure_of, measures_of, read_cohort, run_of
from tests.cohort_samples import FLAGGED, LOST_ML, OUTLIER, brains, failure, put, record, write_cohort


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return read_cohort(write_cohort(tmp_path_factory.mktemp("cohort"), 60))


def app(cohort, name):
    (found,) = [one for one in cohort.apps if one.app == name]
    return found


def test_every_run_is_counted_once(cohort):
    assert (len(app(cohort, "skull_strip").runs), len(app(cohort, "spine").runs), len(cohort.failed)) == (60, 20, 7)
    assert cohort.count == 87


def test_what_does_not_belong_comes_first_then_what_is_flagged(cohort):
    first, second, *others = app(cohort, "skull_strip").runs

    assert (first.run.name, second.run.name) == (f"brain/{OUTLIER}", f"brain/{FLAGGED}")
    assert first.outliers[0].value == LOST_ML
    assert not second.outliers
    assert [one.run.name for one in others] == sorted(one.run.name for one in others)


@pytest.mark.parametrize("seed", range(5))
def test_the_score_is_that_of_iglewicz_and_hoaglin(seed):
    values = np.random.default_rng(seed).normal(size=50)
    off = np.abs(values - np.median(values))

    measure = measure_of("x", values.tolist())

    assert [measure.z(value) for value in values] == pytest.approx(
        0.6745 * (values - np.median(values)) / np.median(off)
    )


def test_where_most_values_are_alike_the_mean_distance_counts():
    values = [5.0] * 9 + [6.0]

    assert measure_of("x", values).z(6.0) == pytest.approx(1 / (1.253314 * 0.1))


def test_where_all_values_are_alike_nothing_stands_out():
    assert measure_of("x", [5.0] * 20).z(5.0) == 0.0


@pytest.mark.parametrize(("count", "found"), [(LEAST_RUNS - 1, 0), (LEAST_RUNS, 1)])
def test_few_values_say_nothing(count, found):
    values = [*range(1, count), 1000.0]
    runs = [run_of(record(measurements={"volume_ml": value}), str(value)) for value in values]

    assert sum(bool(one.outliers) for one in cohort_of(runs).apps[0].runs) == found


def test_one_run_is_a_cohort():
    (only,) = brains(1)
    found = cohort_of([run_of(only[1], only[0])])

    assert found.count == 1
    assert found.apps[0].runs[0].outliers == ()


def test_applications_are_judged_apart():
    many = [run_of(facts, name) for name, facts in brains(20) if name != OUTLIER]
    other = run_of(record("other", measurements={"brain_volume_ml": LOST_ML}), "other")

    assert not any(one.outliers for one in app(cohort_of([*many, other]), "other").runs)


def test_vertebral_bodies_are_compared_with_their_own_level():
    bodies = [{"level": "L5", "volume_ml": 20.0, "height": {"anterior_mm": 27.0}}, {"level": None, "volume_ml": 1.0}]

    assert dict(measures_of({"bodies": bodies})) == {
        "number of bodies": 2.0, "L5 volume (mL)": 20.0, "L5 height anterior (mm)": 27.0,
    }  # fmt: skip


def test_what_is_no_quantity_is_left_out():
    facts = {"tumour": {"segment": 1, "volume_ml": 2.5, "flags": [], "centre_lps_mm": [1.0, 2.0, 3.0], "sure": True}}

    assert dict(measures_of(facts)) == {"volume (mL)": 2.5}
    assert dict(measures_of({"mean_adc_1e-6_mm2_per_s": 900.0})) == {"mean ADC (µm²/s)": 900.0}


def test_null_measurements_are_absent():
    assert dict(measures_of({"tumour": None, "other_objects": 0})) == {"other objects": 0.0}


@pytest.mark.parametrize("text", ["{", "[]", "3", json.dumps({"made_by": "another"}), json.dumps({"name": "model"})])
def test_other_files_of_that_name_are_no_runs(tmp_path, text):
    (tmp_path / "metadata.json").write_text(text)

    found = read_cohort(tmp_path)

    assert found.count == 0
    assert found.unreadable == (text == "{")


def test_a_run_that_goes_on_is_passed_over(tmp_path):
    put(tmp_path, "out/.partial", failure())

    assert read_cohort(tmp_path).count == 0


def test_the_limit_is_the_published_one():
    assert LIMIT == 3.5
