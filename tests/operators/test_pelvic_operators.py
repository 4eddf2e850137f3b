"""The operators that select and align sequences and write a fitted map, without a graph around them."""

import numpy as np
import pytest

from imaging.geometry import STRICT
from imaging.outcome import NothingEligibleError
from imaging.pelvic_sequences import PELVIS
from imaging.run_record import RunRecord
from tests.operators.run_operator import Ports, operator_module, ran
from tests.pelvic_series import ADC, T2, adc, affine_about, diffusion, loaded, study, t2w, write_diffusion, write_mr
from tests.series_samples import PROVENANCE

B_VALUES = (0, 800)
SHAPE = (8, 24, 20)


RULES = {"rules": PELVIS, "allow_missing": False, "other_frame": False}


def selected(parts, **attributes):
    select = operator_module("select_sequences").SelectSequences
    return ran(select, Ports(study=parts), **RULES, **attributes)


def test_the_verdicts_of_all_three_rules_are_recorded():
    ports, record = selected(study(adc(), diffusion(), t2w()))

    assert ports["sequences"].b_value == 800
    assert [row["series_number"] for row in record.series if row["taken"]] == [2, 4, 5]
    assert len(record.series) == 3 * 5  # T2w, three b-values and the map, under each rule


def test_the_verdicts_are_recorded_of_a_study_that_is_refused_as_well():
    record = RunRecord()

    with pytest.raises(NothingEligibleError):
        selected(study(t2w(), adc()), record=record)

    assert [row["taken"] for row in record.series] == [False] * 6


@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "map"])
def test_a_map_is_written_where_it_was_fitted_and_nowhere_else(tmp_path, fitted):
    source, results = tmp_path / "study", tmp_path / "results"
    results.mkdir()
    truth = np.linspace(500, 2500, np.prod(SHAPE)).reshape(SHAPE)
    affine = affine_about(SHAPE, (4.5, 6.0, 7.5))
    write_mr(source, 2, T2, truth / 4, affine)
    write_diffusion(source, 4, B_VALUES, [20000 * np.exp(-b * truth * 1e-6) for b in B_VALUES], affine)
    if not fitted:
        write_mr(source, 5, ADC, truth, affine)
    sequences = selected(loaded(source))[0]["sequences"]

    ports, _ = ran(
        operator_module("align_sequences").AlignSequences, Ports(sequences=sequences), policy=STRICT, register=False
    )
    _, record = ran(operator_module("write_adc").WriteAdc, ports, folder=results / "adc", provenance=PROVENANCE)

    assert ports["source"] is ports["aligned"].source
    np.testing.assert_allclose(ports["aligned"].adc.array, truth, rtol=0.02)
    assert len(list(results.rglob("*.dcm*"))) == (SHAPE[0] if fitted else 0)
    assert record.notes == ([] if fitted else ["no ADC map was written: none was fitted"])
