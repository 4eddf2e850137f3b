import numpy as np
import pytest
from pydicom import Dataset

from imaging.adc_values import adc_values
from imaging.outcome import Reason, RefusedError
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from tests.pelvic_series import ADC, affine_about, loaded, write_mr

SHAPE = (4, 20, 16)
TRUTH = np.random.default_rng(5).uniform(600, 2400, SHAPE)  # 1e-6 mm2/s


def source_of(folder, values, **attributes):
    """Write values as stored pixels and read them as the applications do."""
    write_mr(folder, 5, ADC, np.rint(values), affine_about(SHAPE, (3, 2, 2)), **attributes)
    ((stack,),) = [split_series(series) for series in loaded(folder).series]
    return to_volume(stack)


def mapping(unit, slope=1.0, intercept=0.0):
    item, code = Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = unit, "UCUM", unit
    item.MeasurementUnitsCodeSequence = [code]
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    return [item]


@pytest.mark.parametrize(
    ("stored", "attributes", "stated"),
    [
        (TRUTH, {}, False),
        (TRUTH, {"Manufacturer": "SIEMENS"}, False),
        (TRUTH, {"RescaleType": "10^-6 mm2/s"}, True),
        (TRUTH, {"RescaleSlope": "0.001", "RescaleIntercept": "0"}, False),  # 1e-3 mm2/s, not stated
        (TRUTH, {"RescaleSlope": "0.001", "RescaleIntercept": "0", "RescaleType": "10^-3 mm2/s"}, True),
        (TRUTH, {"RescaleSlope": "0.000001", "RescaleIntercept": "0", "RescaleType": "mm2/s"}, True),
        (TRUTH * 10, {"RescaleSlope": "0.1", "RescaleIntercept": "0"}, False),
        (TRUTH, {"RealWorldValueMappingSequence": mapping("um2/s")}, True),
        (TRUTH, {"RealWorldValueMappingSequence": mapping("mm2/s", 1e-6)}, True),
        (TRUTH * 4, {"RealWorldValueMappingSequence": mapping("um2/s", 0.25), "RescaleSlope": "2"}, True),
        (TRUTH + 500, {"RealWorldValueMappingSequence": mapping("um2/s", 1.0, -500.0), "RescaleIntercept": "7"}, True),
    ],
)
def test_values_are_in_1e_6_mm2_per_s_whatever_the_maker_counts_in(tmp_path, stored, attributes, stated):
    found = adc_values(source_of(tmp_path, stored, **attributes))

    np.testing.assert_allclose(found.volume.array, TRUTH, atol=0.6)
    assert found.facts["stated"] is stated
    assert found.volume.array.dtype == np.float32
    assert found.facts["median_of_the_middle"] == pytest.approx(np.median(TRUTH), rel=0.1)


def test_a_unit_that_only_the_values_tell_is_said(tmp_path):
    (flag,) = adc_values(source_of(tmp_path, TRUTH)).flags

    assert "not stated" in flag


def test_the_habit_of_a_maker_counts_only_where_the_values_confirm_it(tmp_path):
    source = source_of(tmp_path, TRUTH, Manufacturer="SIEMENS", RescaleSlope="0.001", RescaleIntercept="0")

    found = adc_values(source)

    np.testing.assert_allclose(found.volume.array, TRUTH, atol=0.6)
    assert found.flags


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"RescaleType": "10^-6 mm2/s", "RescaleSlope": "0.001", "RescaleIntercept": "0"},
        {"RescaleSlope": "0.05", "RescaleIntercept": "0"},
        {"Manufacturer": "GE MEDICAL SYSTEMS"},
    ],
)
def test_values_that_fit_no_unit_are_refused(tmp_path, attributes):
    factor = 1 if "RescaleSlope" in attributes else 20

    with pytest.raises(RefusedError, match="needs a known unit") as refused:
        adc_values(source_of(tmp_path, TRUTH * factor, **attributes))

    assert refused.value.reason is Reason.BAD_RESCALE


def test_air_does_not_decide(tmp_path):
    values = np.where(np.arange(SHAPE[2]) < 9, 0, TRUTH)

    assert adc_values(source_of(tmp_path, values)).facts["source_unit_mm2_per_s"] == 1e-6


def test_an_empty_map_is_refused(tmp_path):
    with pytest.raises(RefusedError, match="above 0"):
        adc_values(source_of(tmp_path, np.zeros(SHAPE)))
