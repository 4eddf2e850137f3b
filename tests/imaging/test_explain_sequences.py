import json
from types import SimpleNamespace

import pytest

from cli import explain
from imaging.explain_sequences import explain_sequences
from imaging.image_kind import Plane, Weighting
from imaging.pelvic_sequences import PELVIS
from imaging.select_series import SeriesRule
from tests.pelvic_series import adc, diffusion, study, t2w

COMPANIONS = (PELVIS.dwi, PELVIS.adc)


def taken(found):
    return [(row["sequence"], row["series_number"]) for row in found.rows if row["taken"]]


def test_the_choice_and_the_runners_up_of_each_sequence_are_named():
    found = explain_sequences(study(t2w(), t2w(3), diffusion(), adc()), PELVIS.t2w, COMPANIONS)

    assert found.together
    assert taken(found) == [(PELVIS.t2w.title, 2), (PELVIS.dwi.title, 4), (PELVIS.adc.title, 5)]
    t2w_rows = [row for row in found.rows if row["sequence"] == PELVIS.t2w.title]
    assert [(row["series_number"], row["eligible"]) for row in t2w_rows[:2]] == [(2, True), (3, True)]
    assert "covers" in found.said


def test_what_the_adc_is_fitted_to_is_named():
    found = explain_sequences(study(t2w(), diffusion()), PELVIS.t2w, COMPANIONS)

    assert sum(row["fitted_from"] for row in found.rows) == 3
    assert "fitted to 3 b-values" in found.said
    assert found.flags


def test_why_nothing_goes_together_is_said():
    found = explain_sequences(study(t2w(), diffusion(4, [50]), adc()), PELVIS.t2w, COMPANIONS)

    assert not found.together
    assert not taken(found)
    assert "the study holds none" in found.said


def test_any_other_pair_of_rules_is_explained_as_well():
    rules = [
        SeriesRule(title="T2w", modality="MR", weighting=Weighting.T2W, plane=Plane.AXIAL),
        SeriesRule(title="map", modality="MR", weighting=Weighting.ADC),
    ]

    assert taken(explain_sequences(study(t2w(), adc()), rules[0], rules[1:])) == [("T2w", 2), ("map", 5)]
    assert not explain_sequences(study(t2w()), rules[0], rules[1:]).together


@pytest.mark.parametrize("as_json", [True, False], ids=["json", "text"])
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "incomplete"])
def test_the_command_prints_it(monkeypatch, capsys, complete, as_json):
    card = SimpleNamespace(name="pelvis", rule=PELVIS.t2w, companions=COMPANIONS)
    parts = study(t2w(), adc(), *([diffusion()] if complete else []))

    code = explain._explain_together(parts, card, as_json=as_json)

    said = capsys.readouterr().out
    assert code == (0 if complete else 3)
    if as_json:
        facts = json.loads(said)
        assert (facts["together"], len(facts["needs"])) == (complete, 3)
    else:
        assert ("TOGETHER: series 2" in said) is complete
        assert ("REFUSED: With series 2" in said) is not complete
        assert ("TAKEN" in said) is complete
