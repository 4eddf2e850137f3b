import numpy as np
import pytest

from imaging.fit_adc import LIMITS_UM2_PER_S, fit_adc, fit_stacks
from imaging.geometry import STRICT
from imaging.outcome import RefusedError
from imaging.split_series import split_series
from tests.pelvic_series import affine_about, loaded, write_diffusion

SHAPE = (4, 30, 20)


def truth():
    """ADC from 200 to 2800 in 1e-6 mm2/s along columns, proton density along rows."""
    adc = np.broadcast_to(np.linspace(200, 2800, SHAPE[2]), SHAPE)
    return adc, np.broadcast_to(np.linspace(500, 3000, SHAPE[1])[:, None], SHAPE)


def signals_of(b_values, adc, density):
    return [np.asarray(density * np.exp(-b * adc * 1e-6), np.float32) for b in b_values]


@pytest.mark.parametrize("b_values", [(0, 800), (50, 400, 800), (800, 0, 200, 1000)])
def test_signals_of_one_exponential_give_their_adc_back(b_values):
    adc, density = truth()

    np.testing.assert_allclose(fit_adc(signals_of(b_values, adc, density), b_values), adc, rtol=1e-4)


def test_it_is_the_line_of_least_squares_through_the_logarithms():
    rng = np.random.default_rng(3)
    b_values = (0, 100, 500, 900)
    signals = [np.asarray(rng.uniform(500, 1500, SHAPE) * np.exp(-b * 1e-3), np.float32) for b in b_values]

    slope = np.polyfit(b_values, np.log([signal.ravel().astype(float) for signal in signals]), 1)[0]

    expected = np.clip(-slope * 1e6, *LIMITS_UM2_PER_S).reshape(SHAPE)
    np.testing.assert_allclose(fit_adc(signals, b_values), expected, rtol=1e-3, atol=0.5)


def test_noise_does_not_shift_the_median():
    rng = np.random.default_rng(1)
    adc, density = np.full((20, 40, 40), 1100.0), np.full((20, 40, 40), 1000.0)
    noisy = [
        np.hypot(signal + rng.normal(0, 20, signal.shape), rng.normal(0, 20, signal.shape)).astype(np.float32)
        for signal in signals_of((50, 400, 800), adc, density)
    ]

    found = fit_adc(noisy, (50, 400, 800))

    assert np.median(found) == pytest.approx(1100, rel=0.01)
    assert found.std() < 100


def test_where_there_is_no_signal_there_is_no_adc():
    adc, density = truth()
    density = density * (np.arange(SHAPE[0])[:, None, None] > 0)

    found = fit_adc(signals_of((0, 800), adc, density), (0, 800))

    assert not found[0].any()
    assert found[1:].all()


def test_a_signal_at_the_noise_floor_is_left_out():
    adc, density = np.full(SHAPE, 3000.0), np.full(SHAPE, 1000.0)
    signals = signals_of((0, 500, 3000), adc, density)
    signals[2][:] = 5  # of noise: the true one is 0.1

    np.testing.assert_allclose(fit_adc(signals, (0, 500, 3000)), 3000, rtol=1e-3)


def test_two_signals_of_which_one_is_gone_give_a_lower_bound():
    signals = [np.full(SHAPE, 1000, np.float32), np.zeros(SHAPE, np.float32)]

    np.testing.assert_allclose(fit_adc(signals, (0, 2000)), np.log(100) / 2000 * 1e6, rtol=1e-3)


def test_values_stay_within_the_limits():
    signals = [np.full(SHAPE, 1000, np.float32), np.full(SHAPE, 1000, np.float32)]
    signals[1][0], signals[1][1] = 2000, 100

    found = fit_adc(signals, (0, 100))

    assert (found.min(), found.max()) == LIMITS_UM2_PER_S
    assert found.dtype == np.float32


@pytest.mark.parametrize("b_values", [(800,), (800, 800)])
def test_one_b_value_is_an_error_of_the_caller(b_values):
    with pytest.raises(ValueError, match="own b-value"):
        fit_adc([np.ones(SHAPE, np.float32)] * len(b_values), b_values)


def test_stacks_are_read_and_fitted(tmp_path):
    adc, density = truth()
    b_values = (0, 400, 800)
    write_diffusion(tmp_path, 4, b_values, signals_of(b_values, adc, density * 10), affine_about(SHAPE, (3, 2, 2)))
    (series,) = loaded(tmp_path).series
    stacks = sorted(split_series(series), key=lambda stack: stack.header.DiffusionBValue)

    found = fit_stacks(stacks, STRICT)

    np.testing.assert_allclose(found.volume.array, adc, rtol=0.01)
    np.testing.assert_allclose(found.volume.affine, affine_about(SHAPE, (3, 2, 2)), atol=1e-5)
    assert found.b_values == b_values


def test_stacks_on_two_grids_are_refused(tmp_path):
    adc, density = truth()
    low, high = signals_of((0, 800), adc, density)
    write_diffusion(tmp_path, 4, [0], [low], affine_about(SHAPE, (3, 2, 2)))
    write_diffusion(tmp_path, 5, [800], [high], affine_about(SHAPE, (3, 2, 2.2)))
    stacks = [stack for series in loaded(tmp_path).series for stack in split_series(series)]

    with pytest.raises(RefusedError, match="another grid"):
        fit_stacks(stacks, STRICT)
