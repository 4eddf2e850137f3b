"""Scores of a predicted mask against a reference mask, and the agreement of volumes over cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]
Distances = npt.NDArray[np.float64]

UNDEFINED = math.nan


@dataclass(frozen=True, kw_only=True)
class MaskScores:
    """Scores of one case; a score that is not defined is nan.

    dice, jaccard, f2, balanced_accuracy  0 to 1, 1 is perfect
    hausdorff_mm, hausdorff95_mm          0 or more, between surface voxels
    volume_difference_ml                  prediction minus reference
    volume_difference_percent             the same in percent of the reference
    """

    dice: float
    jaccard: float
    hausdorff_mm: float
    hausdorff95_mm: float
    f2: float
    balanced_accuracy: float
    volume_reference_ml: float
    volume_prediction_ml: float
    volume_difference_ml: float
    volume_difference_percent: float


def evaluate_masks(reference: Mask, prediction: Mask, spacing_mm: Sequence[float]) -> MaskScores:
    """Return the scores of a prediction against its reference.

    reference, prediction  (slice, row, column) bool on the same grid
    spacing_mm             voxel size along slice, row and column

    Both masks empty: the overlaps are 1, distances and differences 0. One mask empty: Dice, Jaccard and F2
    are 0, the distances nan. Reference empty, prediction not: the difference in percent is nan. Balanced
    accuracy is the mean of sensitivity and specificity on the whole grid, or the one of them that is defined.

    >>> reference = np.array([[[True, True, False, False]]])
    >>> prediction = np.array([[[False, True, True, False]]])
    >>> scores = evaluate_masks(reference, prediction, (5.0, 1.0, 2.0))
    >>> scores.dice, scores.hausdorff_mm, scores.balanced_accuracy
    (0.5, 2.0, 0.5)
    """
    _require_masks(reference, prediction, spacing_mm)
    both = int(np.count_nonzero(reference & prediction))
    missed = int(np.count_nonzero(reference)) - both
    added = int(np.count_nonzero(prediction)) - both
    neither = reference.size - both - missed - added
    voxel_ml = math.prod(map(float, spacing_mm)) / 1000
    hausdorff_mm, hausdorff95_mm = hausdorff_distances_mm(reference, prediction, spacing_mm)
    return MaskScores(
        dice=_ratio(2 * both, 2 * both + missed + added, otherwise=1.0),
        jaccard=_ratio(both, both + missed + added, otherwise=1.0),
        hausdorff_mm=hausdorff_mm,
        hausdorff95_mm=hausdorff95_mm,
        f2=_ratio(5 * both, 5 * both + 4 * missed + added, otherwise=1.0),
        balanced_accuracy=_balanced_accuracy(both, missed, added, neither),
        volume_reference_ml=(both + missed) * voxel_ml,
        volume_prediction_ml=(both + added) * voxel_ml,
        volume_difference_ml=(added - missed) * voxel_ml,
        volume_difference_percent=_ratio(100 * (added - missed), both + missed, otherwise=UNDEFINED if added else 0.0),
    )


def hausdorff_distances_mm(reference: Mask, prediction: Mask, spacing_mm: Sequence[float]) -> tuple[float, float]:
    """Return the Hausdorff distance and the 95 % Hausdorff distance of two masks on one grid.

    Each is the larger of the two directions: the maximum, or the 95th percentile (linear interpolation), of
    the distances from every surface voxel of one mask to the nearest surface voxel of the other.
    Both masks empty: 0 and 0. One mask empty: nan and nan.
    """
    filled = (bool(reference.any()), bool(prediction.any()))
    if not all(filled):
        return (UNDEFINED, UNDEFINED) if any(filled) else (0.0, 0.0)
    there, back = surface_distances_mm(reference, prediction, spacing_mm)
    percentile_95 = max(float(np.percentile(one_way, 95)) for one_way in (there, back))
    return max(float(there.max()), float(back.max())), percentile_95


def surface_distances_mm(reference: Mask, prediction: Mask, spacing_mm: Sequence[float]) -> tuple[Distances, Distances]:
    """Return the distances from the reference surface to the prediction's, and the other way round.

    Both masks hold at least one voxel. Each result has one value per surface voxel, in mm.
    """
    box = _bounding_box(reference | prediction)
    reference_surface = mask_surface(reference[box])
    prediction_surface = mask_surface(prediction[box])
    sampling = tuple(map(float, spacing_mm))
    to_prediction: Distances = ndimage.distance_transform_edt(~prediction_surface, sampling=sampling)
    there = to_prediction[reference_surface]
    to_reference: Distances = ndimage.distance_transform_edt(~reference_surface, sampling=sampling)
    return there, to_reference[prediction_surface]


def mask_surface(mask: Mask) -> Mask:
    """Return the voxels of the mask that have a face neighbour outside it.

    The outside of the image counts as outside the mask.

    >>> int(mask_surface(np.ones((3, 3, 4), np.bool_)).sum())  # all but the two in the middle
    34
    """
    surface: Mask = mask & ~ndimage.binary_erosion(mask)
    return surface


def concordance(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Lin's concordance correlation coefficient of two measurements of the same cases.

    x, y  one value per case, in the same order and unit

    With variances over n as Lin (1989). It is nan for fewer than two cases, and where all values are equal.

    >>> concordance([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    1.0
    """
    first, second = _paired(x, y)
    if first.size < 2:
        return UNDEFINED
    covariance = float(np.mean((first - first.mean()) * (second - second.mean())))
    spread = float(first.var() + second.var() + (first.mean() - second.mean()) ** 2)
    return _ratio(2 * covariance, spread, otherwise=UNDEFINED)


def limits_of_agreement(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower limit, the mean and the upper limit of the differences y - x (Bland and Altman).

    x, y  one value per case, in the same order and unit

    The limits are mean -/+ 1.96 SD (over n - 1), nan for fewer than two cases; without cases all are nan.

    >>> limits_of_agreement([10.0, 20.0], [12.0, 22.0])
    (2.0, 2.0, 2.0)
    """
    first, second = _paired(x, y)
    difference = second - first
    mean = float(difference.mean()) if difference.size else UNDEFINED
    margin = 1.96 * float(difference.std(ddof=1)) if difference.size > 1 else UNDEFINED
    return mean - margin, mean, mean + margin


def _paired(x: Sequence[float], y: Sequence[float]) -> tuple[Distances, Distances]:
    if len(x) != len(y):
        raise ValueError(f"x and y must have one value per case, got {len(x)} and {len(y)} values")
    return np.asarray(x, np.float64), np.asarray(y, np.float64)


def _ratio(part: float, whole: float, *, otherwise: float) -> float:
    return part / whole if whole else otherwise


def _balanced_accuracy(both: int, missed: int, added: int, neither: int) -> float:
    sensitivity = _ratio(both, both + missed, otherwise=UNDEFINED)
    specificity = _ratio(neither, neither + added, otherwise=UNDEFINED)
    defined = [rate for rate in (sensitivity, specificity) if not math.isnan(rate)]
    return sum(defined) / len(defined)


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    """Return the box of all mask voxels, one voxel wider where the image has one."""
    box = ndimage.find_objects(mask.astype(np.uint8))[0]
    return tuple(slice(max(extent.start - 1, 0), extent.stop + 1) for extent in box)


def _require_masks(reference: Mask, prediction: Mask, spacing_mm: Sequence[float]) -> None:
    for name, mask in (("reference", reference), ("prediction", prediction)):
        if mask.dtype != np.bool_:
            raise ValueError(f"{name} must be bool, got {mask.dtype}: compare the labels with one number")
        if mask.ndim != 3 or not mask.size:
            raise ValueError(f"{name} must be (slice, row, column), got shape {mask.shape}")
    if reference.shape != prediction.shape:
        raise ValueError(
            f"reference and prediction must be on one grid, got shapes {reference.shape} and "
            f"{prediction.shape}: resample the prediction first"
        )
    if len(spacing_mm) != 3 or not all(math.isfinite(step) and step > 0 for step in spacing_mm):
        raise ValueError(f"spacing_mm must be three positive numbers, got {tuple(spacing_mm)}")
