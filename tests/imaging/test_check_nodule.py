from dataclasses import replace

import numpy as np
import pytest

from imaging.check_nodule import BORDER, DARK, DENSE, ELSEWHERE, FITTING, LONG, ONE_SLICE, check_nodule
from imaging.measure_nodule import Diameter, measure_nodule
from imaging.region import Region
from tests.nodule_samples import region, write_ct
from tests.series_samples import source_of


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


@pytest.fixture(scope="module")
def ball(source):
    return measure_nodule(source.volume, region(1))


def long(mm):
    return {"longest": Diameter(mm, ((0.0, 0.0, 0.0), (mm, 0.0, 0.0))), "effective_mm": mm}


def fitting(ratio):
    return {"longest": Diameter(10.0, ((0.0, 0.0, 0.0), (10.0, 0.0, 0.0))), "effective_mm": 10.0 * ratio}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({}, None),
        ({"at_border": True}, BORDER),
        ({"outside_lungs": True}, ELSEWHERE),
        ({"mean_hu": -800.5}, DARK),
        ({"mean_hu": -799.5}, None),
        ({"mean_hu": 200.5}, DENSE),
        ({"mean_hu": 199.5}, None),
        ({"slices": 1}, ONE_SLICE),
        ({"slices": 2}, None),
        (long(30.1), LONG),
        (long(29.9), None),
        (fitting(0.39), FITTING),
        (fitting(0.41), None),
        (fitting(1.34), None),
        (fitting(1.36), FITTING),
    ],
)
def test_each_limit_is_flagged_beyond_it_and_not_before(ball, change, check):
    assert [flag.check for flag in check_nodule(replace(ball, **change))] == ([check] if check else [])


def test_a_thin_rod_across_the_slices_does_not_fit(source):
    """An ellipsoid fits; a vessel of one voxel through many slices has more volume than its diameter allows."""
    rod = Region(np.ones((8, 3, 2), bool), (2, 10, 10))

    assert FITTING in {flag.check for flag in check_nodule(measure_nodule(source.volume, rod))}


def test_on_one_slice_volume_and_diameter_are_not_compared(ball):
    found = check_nodule(replace(ball, slices=1, **fitting(0.1)))

    assert [flag.check for flag in found] == [ONE_SLICE]
