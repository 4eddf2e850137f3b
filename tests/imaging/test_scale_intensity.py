import numpy as np
import pytest

from imaging.scale_intensity import SAMPLES, intensity_window, scale_intensity


def test_the_window_leaves_half_a_percent_at_each_end(rng):
    array = rng.permutation(1001).astype(np.float32).reshape(7, 11, 13)

    assert intensity_window(array) == pytest.approx((5.0, 995.0))


def test_a_large_array_has_nearly_the_window_of_all_its_values(rng):
    array = rng.uniform(0, 1000, (50, 100, 110)).astype(np.float32)
    assert array.size > 2 * SAMPLES

    assert intensity_window(array) == pytest.approx((5.0, 995.0), abs=2.0)


def test_the_window_becomes_zero_to_one_and_the_rest_is_clipped():
    array = np.array([-100, 10, 15, 20, 500], np.float32)

    assert scale_intensity(array, (10.0, 20.0)).tolist() == [0, 0, 0.5, 1, 1]


def test_scaling_does_not_depend_on_the_unit_of_the_scanner(rng):
    array = rng.normal(300, 80, (6, 7, 8)).astype(np.float32)

    found, other = (scale_intensity(each, intensity_window(each)) for each in (array, array * 40 - 1000))

    assert found == pytest.approx(other, abs=1e-4)
    assert found.dtype == np.float32


@pytest.mark.parametrize("window", [(5.0, 5.0), (5.0, 4.0), (float("nan"), 1.0)])
def test_a_window_without_width_gives_zeros(window):
    assert scale_intensity(np.array([4, 5, 6], np.float32), window).tolist() == [0, 0, 0]


def test_the_array_itself_is_left_alone():
    array = np.array([0, 5, 20], np.float32)

    scale_intensity(array, (0.0, 10.0))

    assert array.tolist() == [0, 5, 20]
