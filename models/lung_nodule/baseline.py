"""What simple features reach on the same folds: ridge logistic regression on features and their squares."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from models.lung_nodule.metrics import Bools, Numbers

RIDGE = 1.0


def held_out_scores(features: Numbers, malignant: Bools, folds: npt.NDArray[np.int64]) -> Numbers:
    """Return the score of each nodule from the regression on the other folds; features are (nodule, feature)."""
    result = np.zeros(len(malignant))
    both = np.column_stack([features, features**2])
    for fold in np.unique(folds):
        here = folds == fold
        scaled = (both - both[~here].mean(axis=0)) / (both[~here].std(axis=0) + 1e-9)
        scaled = np.column_stack([scaled, np.ones(len(scaled))])
        result[here] = scaled[here] @ _weights(scaled[~here], malignant[~here])
    return result


def _weights(features: Numbers, malignant: Bools) -> Numbers:
    held = np.append(np.full(features.shape[1] - 1, RIDGE), 0.0)

    def cost(weights: Numbers) -> tuple[float, Numbers]:
        logits = features @ weights
        likelihood = special.log_expit(np.where(malignant, logits, -logits)).sum()
        slope = features.T @ (special.expit(logits) - malignant) + 2 * held * weights
        return float((held * weights**2).sum() - likelihood), slope

    return np.asarray(optimize.minimize(cost, np.zeros(features.shape[1]), jac=True).x)
