"""An ADC map from diffusion-weighted images: one exponential, least squares on the logarithm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.diffusion import b_value
from imaging.geometry import GeometryPolicy
from imaging.outcome import Reason, RefusedError
from imaging.study import Stack
from imaging.to_volume import SourceImage, to_volume

Signal = npt.NDArray[np.float32]

NOISE_FLOOR = 0.01
"""Of the brightest tissue at the lowest b-value: what is darker there is air, and has no ADC."""
BRIGHTEST = 99.0
"""Percentile that stands for the brightest tissue."""
LIMITS_UM2_PER_S = (1.0, 4000.0)
"""Free water at body temperature has 3000; 0 is left to what has no value."""
SAME_MM = 0.05


@dataclass(frozen=True)
class FittedAdc:
    """A fitted map, and the images it was fitted to."""

    volume: Volume  # float32, 1e-6 mm2/s, on the grid of the images; 0 where there is no signal
    sources: tuple[SourceImage, ...]  # one for each b-value, ascending
    b_values: tuple[float, ...]  # s/mm2

    @property
    def flags(self) -> tuple[str, ...]:
        """What is not as it should be in the images, once each."""
        return tuple(dict.fromkeys(flag for source in self.sources for flag in source.flags))


def fit_stacks(stacks: Sequence[Stack], policy: GeometryPolicy) -> FittedAdc:
    """Return the ADC map fitted to stacks of different b-values on one grid.

    Raises RefusedError when a stack is no regular volume, or the volumes do not lie on each other.
    """
    sources = tuple(to_volume(stack, policy) for stack in stacks)
    b_values = tuple(b_value(stack.header) or 0.0 for stack in stacks)
    first = sources[0].volume
    for source in sources[1:]:
        if source.volume.shape != first.shape or np.abs(source.volume.affine - first.affine).max() > SAME_MM:
            raise RefusedError(
                f"An ADC map is fitted voxel by voxel; {source.stack} lies on another grid than {sources[0].stack}. "
                "Send diffusion-weighted images with the same slices at each b-value, or an ADC map.",
                Reason.MIXED_STACKS,
            )
    fitted = fit_adc([source.volume.array for source in sources], b_values)
    return FittedAdc(first.with_array(fitted), sources, b_values)


def fit_adc(signals: Sequence[Signal], b_values: Sequence[float]) -> Signal:
    """Return the ADC in 1e-6 mm2/s that fits signals of two or more b-values best; 0 where there is no signal.

    signals   arrays of one shape, one for each b-value
    b_values  s/mm2, all different

    A signal at the noise floor says only that the true one is lower: it is left out where two others remain. Where
    they do not, it stands for the floor, and the ADC is a lower bound. Raises ValueError for fewer than two b-values.

    >>> signal = np.full((1, 1, 1), 1000, np.float32)
    >>> fit_adc([signal, signal * np.float32(np.exp(-0.8 * 1.25))], [0, 800]).round().item()
    1250.0
    """
    if len(set(b_values)) != len(signals) or len(signals) < 2:
        raise ValueError(f"each of two or more signals needs its own b-value, got {list(b_values)}")
    lowest = signals[int(np.argmin(b_values))]
    floor = max(NOISE_FLOOR * float(np.percentile(lowest, BRIGHTEST)), float(np.finfo(np.float32).tiny))
    above = np.stack([signal > floor for signal in signals])
    above |= above.sum(axis=0) < 2
    slope = _slope(signals, b_values, above, floor)
    adc = np.clip(-slope * 1e6, *LIMITS_UM2_PER_S)
    return np.asarray(np.where(lowest > floor, adc, 0), np.float32)


def _slope(
    signals: Sequence[Signal], b_values: Sequence[float], used: npt.NDArray[np.bool_], floor: float
) -> npt.NDArray[np.float64]:
    """Return the slope of the straight line through the logarithms of the signals that are used."""
    count = used.sum(axis=0)
    mean_b = sum(b * use for b, use in zip(b_values, used, strict=True)) / count
    covariance, variance = np.zeros(count.shape), np.zeros(count.shape)
    for signal, b, use in zip(signals, b_values, used, strict=True):
        aside = (b - mean_b) * use
        covariance += aside * np.log(np.maximum(signal, floor, dtype=np.float64))
        variance += aside**2
    return covariance / variance
