from dataclasses import replace

import numpy as np
import pytest

from imaging.check_tumour import BORDER, DIFFUSION, ONE_SLICE, UNSEEN, VOLUME, check_tumour
from imaging.measure_tumour import measure_tumour
from tests.tumour_samples import SHAPE, aligned, ellipsoid, volume


def measured(mask, adc=900.0):
    sequences = aligned(adc=np.full(SHAPE, adc, np.float32))
    return measure_tumour(volume(mask), sequences)


@pytest.fixture(scope="module")
def usual():
    return measured(ellipsoid((9, 7, 8)))


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        ({}, []),
        ({"at_border": True}, [BORDER]),
        ({"unseen": {"DWI": 0.2, "ADC": 0.0}}, [UNSEEN, UNSEEN]),
        ({"slices": 1}, [ONE_SLICE]),
        ({"slices": 2}, []),
        ({"volume_ml": 0.179}, [VOLUME]),
        ({"volume_ml": 0.181}, []),
        ({"volume_ml": 523.0}, []),
        ({"volume_ml": 525.0}, [VOLUME]),
        ({"mean_adc": 417.0}, [DIFFUSION]),
        ({"mean_adc": 419.0}, []),
        ({"mean_adc": 1302.0}, []),
        ({"mean_adc": 1304.0}, [DIFFUSION]),
        ({"mean_adc": None}, []),
    ],
)
def test_each_limit_is_flagged_beyond_it_and_not_before(usual, change, checks):
    assert [flag.check for flag in check_tumour(replace(usual, **change))] == checks


def test_a_tumour_at_the_border_of_the_image_is_flagged():
    mask = np.zeros(SHAPE, bool)
    mask[4:8, :9, 10:20] = True

    assert BORDER in {flag.check for flag in check_tumour(measured(mask))}


def test_a_map_in_another_unit_is_flagged():
    """An ADC in 1e-3 mm2/s, or one that was multiplied twice."""
    for adc in (0.9, 900_000.0):
        (flag,) = check_tumour(measured(ellipsoid((9, 7, 8)), adc))
        assert "another unit" in flag.text
