"""From logits to probabilities: a temperature and an offset, fitted on nodules the networks had not seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from imaging.classify_crop import probability_of
from imaging.infer_openvino import openvino_predictor
from imaging.model_package import load_model_package
from imaging.nodule_crop import CropInput, classifier_crop
from imaging.region import Region
from models.lung_nodule.metrics import Bools, Numbers
from models.lung_nodule.prepare import Nodule

Floats = npt.NDArray[np.float32]
Predict = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Calibration:
    """What makes a probability of a logit: sigmoid((logit - offset) / temperature)."""

    temperature: float
    offset: float  # goes into the bias of the networks when they are exported


RAW = Calibration(1.0, 0.0)


def fit(logits: Numbers, malignant: Bools, *, with_offset: bool = True) -> Calibration:
    """Return the calibration of the highest likelihood; without offset it is that of Guo et al., ICML 2017.

    A temperature alone cannot undo that malignant nodules weigh more in training than they are many.
    """

    def cost(at: Numbers) -> float:
        scaled = (logits - at[1] * with_offset) / np.exp(at[0])
        return float(np.mean(-special.log_expit(np.where(malignant, scaled, -scaled))))

    log_temperature, offset = optimize.minimize(cost, np.zeros(2), method="Nelder-Mead").x
    return Calibration(float(np.exp(log_temperature)), float(offset * with_offset))


def probabilities(logits: Numbers, calibration: Calibration) -> Numbers:
    """Return the probability of each logit, as the application computes it from networks of a moved bias."""
    moved = np.asarray(logits - calibration.offset, np.float32)
    return np.array([probability_of([np.array([logit])], calibration.temperature) for logit in moved])


def cross_fitted(
    logits: Numbers,
    malignant: Bools,
    folds: npt.NDArray[np.int64],
    *,
    fitted_on: Numbers | None = None,
    with_offset: bool = True,
) -> Numbers:
    """Return probabilities, those of each fold with the calibration fitted on the other folds.

    fitted_on  logits to fit on, of the same nodules under other conditions; those given when None
    """
    given, result = (logits if fitted_on is None else fitted_on), np.zeros(len(logits))
    for fold in np.unique(folds):
        here = folds == fold
        calibration = fit(given[~here], malignant[~here], with_offset=with_offset)
        result[here] = probabilities(logits[here], calibration)
    return result


def members(folder: Path) -> list[Predict]:
    """Return the networks of a folder in the order of their folds, as functions of a (slice, row, column) array."""
    return [openvino_predictor(weights.openvino) for weights in load_model_package(folder).members if weights.openvino]


def held_out_logits(
    networks: Sequence[Predict], wanted: CropInput, nodules: Sequence[Nodule], regions: Sequence[Region]
) -> Numbers:
    """Return the logit of each nodule from the one network, in the order of folds, that never saw its patient.

    regions  what to take for the nodule: the readers' mask, or another
    """
    return np.array(
        [
            networks[nodule.fold](classifier_crop(nodule.volume, region, wanted)).mean(dtype=np.float64)
            for nodule, region in zip(nodules, regions, strict=True)
        ]
    )
