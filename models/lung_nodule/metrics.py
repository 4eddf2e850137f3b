"""Figures of a classifier: area under the curve, confusion, calibration error; and intervals by patient."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats

Numbers = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
BINS = 10
RESAMPLES = 1000


def roc_auc(scores: Numbers, positive: Bools) -> float:
    """Return the area under the ROC curve: how often a positive scores higher than a negative, ties half.

    >>> roc_auc(np.array([0.1, 0.9, 0.4, 0.4]), np.array([False, True, True, False]))
    0.875
    """
    positives, negatives = int(positive.sum()), int((~positive).sum())
    if not positives or not negatives:
        return math.nan
    ranks = stats.rankdata(scores)[positive].sum()
    return float((ranks - positives * (positives + 1) / 2) / (positives * negatives))


def confusion(probability: Numbers, positive: Bools, threshold: float = 0.5) -> dict[str, float]:
    """Return accuracy, precision, recall and specificity; nan where nothing was asked."""
    called = probability > threshold
    return {
        "accuracy": _share(called == positive),
        "precision": _share(positive[called]),
        "recall": _share(called[positive]),
        "specificity": _share(~called[~positive]),
    }


def reliability(probability: Numbers, positive: Bools) -> list[dict[str, float]]:
    """Return for each of ten equal bins of probability that is not empty: count, mean probability, share malignant."""
    which = np.minimum((probability * BINS).astype(int), BINS - 1)
    return [
        {
            "n": int((which == number).sum()),
            "probability": float(probability[which == number].mean()),
            "malignant": float(positive[which == number].mean()),
        }
        for number in range(BINS)
        if (which == number).any()
    ]


def calibration_error(probability: Numbers, positive: Bools) -> float:
    """Return the expected calibration error over the bins of ``reliability``."""
    bins = reliability(probability, positive)
    return sum(each["n"] * abs(each["probability"] - each["malignant"]) for each in bins) / len(probability)


def interval(patients: Sequence[str], figure: Callable[[npt.NDArray[np.int64]], float], seed: int = 0) -> list[float]:
    """Return the 95 % interval of a figure of nodule indices when patients are drawn again with replacement."""
    names, of = np.unique(np.array(patients), return_inverse=True)
    nodules = [np.flatnonzero(of == number) for number in range(len(names))]
    rng = np.random.default_rng(seed)
    drawn = [
        figure(np.concatenate([nodules[at] for at in rng.integers(len(names), size=len(names))]))
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return [float(low), float(high)]


def _share(flags: Bools) -> float:
    return float(flags.mean()) if flags.size else math.nan
