"""The operators that select and align sequences and write a fitted map, without a graph around them."""

import importlib
import warnings

import numpy as np
import pytest

from cli.environment import preload_cuda_runtime
from imaging.geometry import STRICT
from imaging.outcome import NothingEligibleError
from imaging.pelvic_sequences import PELVIS
from imaging.run_record import RunRecord
from tests.pelvic_series import ADC, T2, adc, affine_about, diffusion, loaded, study, t2w, write_diffusion, write_mr
from tests.series_samples import PROVENANCE

B_VALUES = (0, 800)
SHAPE = (8, 24, 20)


@pytest.fixture(scope="module", name="operators")
def _operators():
    """The classes; Holoscan warns of the stack size when it is imported."""
    preload_cuda_runtime()
    names = {"SelectSequences": "select_sequences", "AlignSequences": "align_sequences", "WriteAdc": "write_adc"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: getattr(importlib.import_module(f"operators.{file}"), name) for name, file in names.items()}


class Ports(dict):
    """Input and output of an operator in one: what it emits is found under the name of the port."""

    receive = dict.__getitem__

    def emit(self, value, port):
        self[port] = value


def ran(operator, ports, **attributes):
    """The ports and the record after an operator ran."""
    step = operator.__new__(operator)
    step.record = RunRecord()
    for name, value in attributes.items():
        setattr(step, name, value)
    step.step(ports, ports)
    return ports, step.record


def selected(operators, parts, **options):
    options = {"rules": PELVIS, "allow_missing": False, "other_frame": False} | options
    return ran(operators["SelectSequences"], Ports(study=parts), **options)


def test_the_verdicts_of_all_three_rules_are_recorded(operators):
    ports, record = selected(operators, study(adc(), diffusion(), t2w()))

    assert ports["sequences"].b_value == 800
    assert [row["series_number"] for row in record.series if row["taken"]] == [2, 4, 5]
    assert len(record.series) == 3 * 5  # T2w, three b-values and the map, under each rule


def test_the_verdicts_are_recorded_of_a_study_that_is_refused_as_well(operators):
    step = operators["SelectSequences"].__new__(operators["SelectSequences"])
    step.record, step.rules, step.allow_missing, step.other_frame = RunRecord(), PELVIS, False, False

    with pytest.raises(NothingEligibleError):
        step.step(Ports(study=study(t2w(), adc())), Ports())

    assert [row["taken"] for row in step.record.series] == [False] * 6


@pytest.mark.parametrize("fitted", [True, False], ids=["fitted", "map"])
def test_a_map_is_written_where_it_was_fitted_and_nowhere_else(operators, tmp_path, fitted):
    source, results = tmp_path / "study", tmp_path / "results"
    results.mkdir()
    truth = np.linspace(500, 2500, np.prod(SHAPE)).reshape(SHAPE)
    affine = affine_about(SHAPE, (4.5, 6.0, 7.5))
    write_mr(source, 2, T2, truth / 4, affine)
    write_diffusion(source, 4, B_VALUES, [20000 * np.exp(-b * truth * 1e-6) for b in B_VALUES], affine)
    if not fitted:
        write_mr(source, 5, ADC, truth, affine)
    sequences = selected(operators, loaded(source))[0]["sequences"]

    ports, _ = ran(operators["AlignSequences"], Ports(sequences=sequences), policy=STRICT, register=False)
    _, record = ran(operators["WriteAdc"], ports, folder=results / "adc", provenance=PROVENANCE)

    assert ports["source"] is ports["aligned"].source
    np.testing.assert_allclose(ports["aligned"].adc.array, truth, rtol=0.02)
    assert len(list(results.rglob("*.dcm*"))) == (SHAPE[0] if fitted else 0)
    assert record.notes == ([] if fitted else ["no ADC map was written: none was fitted"])
