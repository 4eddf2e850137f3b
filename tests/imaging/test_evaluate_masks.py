import dataclasses
import math

import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from imaging.evaluate_masks import (
    concordance,
    evaluate_masks,
    hausdorff_distances_mm,
    limits_of_agreement,
    mask_surface,
)

SPACINGS_MM = [(1.0, 1.0, 1.0), (5.0, 0.7, 0.4), (0.5, 2.0, 3.5)]
OVERLAPS = ("dice", "jaccard", "f2", "balanced_accuracy")


def blob(seed, shape=(11, 17, 23), share=0.2):
    """A random, asymmetric mask: the highest voxels of smoothed noise, some at the border of the image."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=shape), (1.0, 2.0, 1.5))
    return noise > np.quantile(noise, 1 - share)


def box(shape, *extents):
    mask = np.zeros(shape, np.bool_)
    mask[tuple(slice(*extent) for extent in extents)] = True
    return mask


def as_image(mask, spacing_mm):
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing([float(step) for step in reversed(spacing_mm)])
    return image


def surface_image(mask, spacing_mm):
    image = as_image(mask, spacing_mm)
    eroded = SimpleITK.BinaryErode(image, [1, 1, 1], SimpleITK.sitkCross, 0, 1, False)
    return SimpleITK.Subtract(image, eroded)


def slow_surface(mask):
    """Indices of the voxels with a face neighbour outside the mask, neighbour by neighbour."""
    indices = [tuple(index) for index in np.argwhere(mask)]
    inside = set(indices)
    steps = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]
    return [
        index
        for index in indices
        if any(tuple(np.add(index, step).tolist()) not in inside for step in steps)
    ]  # fmt: skip


def slow_hausdorff95_mm(reference, prediction, spacing_mm):
    apart = cdist(np.array(slow_surface(reference)) * spacing_mm, np.array(slow_surface(prediction)) * spacing_mm)
    return max(percentile_95(apart.min(axis=1)), percentile_95(apart.min(axis=0)))


def percentile_95(values):
    ordered = sorted(values)
    place = 0.95 * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM)
@pytest.mark.parametrize("seed", range(4))
def test_hausdorff_is_that_of_simpleitk_on_the_surfaces(seed, spacing_mm):
    reference, prediction = blob(seed), blob(seed + 100, share=0.05 + 0.1 * seed)
    oracle = SimpleITK.HausdorffDistanceImageFilter()
    oracle.Execute(surface_image(reference, spacing_mm), surface_image(prediction, spacing_mm))

    scores = evaluate_masks(reference, prediction, spacing_mm)

    assert scores.hausdorff_mm == pytest.approx(oracle.GetHausdorffDistance(), rel=1e-5)


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM)
@pytest.mark.parametrize("seed", range(4))
def test_dice_and_jaccard_are_those_of_simpleitk(seed, spacing_mm):
    reference, prediction = blob(seed), blob(seed + 100, share=0.05 + 0.1 * seed)
    oracle = SimpleITK.LabelOverlapMeasuresImageFilter()
    oracle.Execute(as_image(reference, spacing_mm), as_image(prediction, spacing_mm))

    scores = evaluate_masks(reference, prediction, spacing_mm)

    assert scores.dice == pytest.approx(oracle.GetDiceCoefficient(1))
    assert scores.jaccard == pytest.approx(oracle.GetJaccardCoefficient(1))


@settings(deadline=None, max_examples=60)
@given(drawn=st.data())
def test_hausdorff95_is_that_of_all_pairs_of_surface_voxels(drawn):
    shape = drawn.draw(array_shapes(min_dims=3, max_dims=3, max_side=5))
    reference = drawn.draw(arrays(np.bool_, shape).filter(np.any))
    prediction = drawn.draw(arrays(np.bool_, shape).filter(np.any))
    spacing_mm = drawn.draw(st.sampled_from(SPACINGS_MM))

    scores = evaluate_masks(reference, prediction, spacing_mm)

    expected = slow_hausdorff95_mm(reference, prediction, spacing_mm)
    assert scores.hausdorff95_mm == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_hausdorff95_of_blobs_is_that_of_all_pairs_of_surface_voxels(seed):
    reference, prediction, spacing_mm = blob(seed), blob(seed + 100), (5.0, 0.7, 0.4)

    scores = evaluate_masks(reference, prediction, spacing_mm)

    expected = slow_hausdorff95_mm(reference, prediction, spacing_mm)
    assert scores.hausdorff95_mm == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("axis", "expected_mm"), [(0, 10.0), (1, 2.0), (2, 6.0)])
def test_a_shift_by_two_voxels_is_twice_the_spacing_of_its_axis(axis, expected_mm):
    reference = box((9, 10, 11), (2, 4), (3, 5), (4, 6))
    prediction = np.roll(reference, 2, axis)

    distances_mm = hausdorff_distances_mm(reference, prediction, (5.0, 1.0, 3.0))

    assert distances_mm == pytest.approx((expected_mm, expected_mm))


def test_hausdorff95_drops_the_one_far_voxel_that_hausdorff_keeps():
    reference = box((1, 1, 101), (0, 1), (0, 1), (0, 40))
    prediction = reference.copy()
    prediction[0, 0, 100] = True  # 1 of 41 surface voxels, 61 voxels from index 39

    distances_mm = hausdorff_distances_mm(reference, prediction, (1.0, 1.0, 0.5))

    assert distances_mm == pytest.approx((30.5, 0.0))


def test_the_surface_of_a_hole_counts():
    reference = box((9, 9, 9), (1, 8), (1, 8), (1, 8))
    prediction = reference.copy()
    prediction[4, 4, 4] = False

    distances_mm = hausdorff_distances_mm(reference, prediction, (1.0, 1.0, 1.0))

    assert distances_mm[0] == pytest.approx(2.0)  # from a voxel next to the hole to the outer surface


def test_the_border_of_the_image_is_surface():
    assert np.array_equal(np.argwhere(~mask_surface(np.ones((3, 3, 3), np.bool_))), [[1, 1, 1]])


def test_scores_of_two_overlapping_boxes_are_those_counted_by_hand():
    reference = box((4, 5, 10), (1, 3), (1, 4), (2, 6))  # 24 voxels
    prediction = box((4, 5, 10), (1, 3), (1, 4), (4, 9))  # 30 voxels, 12 of them in the reference

    scores = evaluate_masks(reference, prediction, (5.0, 2.0, 0.5))

    # TP 12, FN 12, FP 18, TN 200 - 42 = 158; a voxel has 0.005 mL; the right ends are 3 x 0.5 mm apart
    assert dataclasses.asdict(scores) == pytest.approx(
        {
            "dice": 24 / 54,
            "jaccard": 12 / 42,
            "hausdorff_mm": 1.5,
            "hausdorff95_mm": 1.5,
            "f2": 60 / (60 + 48 + 18),
            "balanced_accuracy": (12 / 24 + 158 / 176) / 2,
            "volume_reference_ml": 0.12,
            "volume_prediction_ml": 0.15,
            "volume_difference_ml": 0.03,
            "volume_difference_percent": 25.0,
        }
    )


def test_f2_punishes_a_missed_voxel_more_than_an_added_one():
    reference = box((1, 1, 20), (0, 1), (0, 1), (5, 15))
    smaller = box((1, 1, 20), (0, 1), (0, 1), (5, 13))
    larger = box((1, 1, 20), (0, 1), (0, 1), (5, 17))

    missed = evaluate_masks(reference, smaller, (1, 1, 1)).f2
    added = evaluate_masks(reference, larger, (1, 1, 1)).f2

    assert missed < added


@pytest.mark.parametrize("seed", range(3))
def test_exchanging_the_masks_keeps_what_is_symmetric_and_turns_the_difference(seed):
    one, other, spacing_mm = blob(seed), blob(seed + 50, share=0.1), (5.0, 0.7, 0.4)

    forth = evaluate_masks(one, other, spacing_mm)
    back = evaluate_masks(other, one, spacing_mm)

    for name in ("dice", "jaccard", "hausdorff_mm", "hausdorff95_mm"):
        assert getattr(forth, name) == pytest.approx(getattr(back, name))
    assert forth.volume_difference_ml == pytest.approx(-back.volume_difference_ml)


@pytest.mark.parametrize("axes", [(2, 1, 0), (1, 2, 0), (0, 2, 1)])
def test_turning_masks_and_spacing_together_does_not_change_a_score(axes):
    reference, prediction, spacing_mm = blob(1), blob(2), (5.0, 0.7, 0.4)

    turned = evaluate_masks(reference.transpose(axes), prediction.transpose(axes), [spacing_mm[axis] for axis in axes])

    scores = evaluate_masks(reference, prediction, spacing_mm)
    assert dataclasses.asdict(turned) == pytest.approx(dataclasses.asdict(scores))


def test_spacing_in_the_wrong_order_changes_the_distance():
    reference, prediction = blob(1), blob(2)

    right = hausdorff_distances_mm(reference, prediction, (5.0, 0.7, 0.4))
    wrong = hausdorff_distances_mm(reference, prediction, (0.4, 0.7, 5.0))

    assert right != pytest.approx(wrong, rel=0.1)


def test_empty_space_around_the_masks_changes_no_distance_and_no_overlap():
    reference, prediction, spacing_mm = blob(3), blob(4), (5.0, 0.7, 0.4)

    padded = evaluate_masks(np.pad(reference, 7), np.pad(prediction, 7), spacing_mm)

    scores = evaluate_masks(reference, prediction, spacing_mm)
    assert dataclasses.replace(padded, balanced_accuracy=0) == dataclasses.replace(scores, balanced_accuracy=0)


def test_a_mask_agrees_with_itself():
    mask = blob(5)

    scores = evaluate_masks(mask, mask.copy(), (5.0, 0.7, 0.4))

    assert [getattr(scores, name) for name in OVERLAPS] == [1, 1, 1, 1]
    assert (scores.hausdorff_mm, scores.hausdorff95_mm, scores.volume_difference_ml) == (0, 0, 0)


def test_two_empty_masks_agree():
    empty = np.zeros((3, 4, 5), np.bool_)

    scores = evaluate_masks(empty, empty, (1, 1, 1))

    assert [getattr(scores, name) for name in OVERLAPS] == [1, 1, 1, 1]
    assert (scores.hausdorff_mm, scores.hausdorff95_mm) == (0, 0)
    assert (scores.volume_difference_ml, scores.volume_difference_percent) == (0, 0)


def test_a_missed_mask_scores_nothing_and_has_no_distance():
    reference = box((3, 4, 5), (1, 2), (1, 2), (1, 3))

    scores = evaluate_masks(reference, np.zeros_like(reference), (1, 1, 1))

    assert (scores.dice, scores.jaccard, scores.f2, scores.balanced_accuracy) == (0, 0, 0, 0.5)
    assert math.isnan(scores.hausdorff_mm)
    assert math.isnan(scores.hausdorff95_mm)
    assert scores.volume_difference_percent == -100


def test_an_invented_mask_scores_nothing_and_has_no_relative_difference():
    prediction = box((3, 4, 5), (1, 2), (1, 2), (1, 3))

    scores = evaluate_masks(np.zeros_like(prediction), prediction, (1, 1, 1))

    assert (scores.dice, scores.jaccard, scores.f2) == (0, 0, 0)
    assert scores.balanced_accuracy == pytest.approx(58 / 60)  # specificity alone
    assert math.isnan(scores.hausdorff_mm)
    assert math.isnan(scores.volume_difference_percent)


def test_concordance_is_that_computed_by_hand():
    # means 2 and 3, variances over n 2/3 and 8/3, covariance 4/3: 2 * 4/3 / (2/3 + 8/3 + 1)
    assert concordance([1, 2, 3], [1, 3, 5]) == pytest.approx((8 / 3) / (13 / 3))


def test_concordance_of_a_constant_offset_is_below_the_correlation():
    volumes = [10.0, 20.0, 40.0]

    offset = concordance(volumes, [volume + 10 for volume in volumes])

    # both variances over n are 1400/9, the means are 10 apart
    assert offset == pytest.approx((2 * 1400 / 9) / (2 * 1400 / 9 + 100))


def test_concordance_of_opposite_measurements_is_minus_one():
    assert concordance([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)


@pytest.mark.parametrize("volumes", [[], [3.0], [2.0, 2.0]])
def test_concordance_needs_two_cases_that_differ(volumes):
    assert math.isnan(concordance(volumes, volumes))


def test_limits_of_agreement_are_those_computed_by_hand():
    # differences 1, 3, 5: mean 3, SD 2
    assert limits_of_agreement([10, 20, 30], [11, 23, 35]) == pytest.approx((-0.92, 3, 6.92))


def test_one_case_has_a_difference_but_no_limits():
    lower, mean, upper = limits_of_agreement([10], [12])

    assert mean == 2
    assert math.isnan(lower)
    assert math.isnan(upper)


def test_without_cases_there_is_no_agreement():
    assert all(math.isnan(value) for value in limits_of_agreement([], []))


@pytest.mark.parametrize("agreement", [concordance, limits_of_agreement])
def test_lists_of_different_length_are_refused(agreement):
    with pytest.raises(ValueError, match="got 2 and 1 values"):
        agreement([1, 2], [1])


def test_labels_in_place_of_a_mask_are_refused():
    mask = np.ones((2, 2, 2), np.bool_)

    with pytest.raises(ValueError, match="prediction must be bool, got uint8"):
        evaluate_masks(mask, mask.astype(np.uint8), (1, 1, 1))


def test_a_slice_is_refused_and_its_shape_is_named():
    mask = np.ones((4, 4), np.bool_)

    with pytest.raises(ValueError, match=r"got shape \(4, 4\)"):
        evaluate_masks(mask, mask, (1, 1, 1))


def test_masks_on_different_grids_are_refused():
    with pytest.raises(ValueError, match=r"got shapes \(2, 2, 2\) and \(2, 2, 3\)"):
        evaluate_masks(np.ones((2, 2, 2), np.bool_), np.ones((2, 2, 3), np.bool_), (1, 1, 1))


@pytest.mark.parametrize("spacing_mm", [(1, 1), (1, 0, 1), (1, 1, math.nan), (1, -2, 1)])
def test_a_spacing_that_is_none_is_refused(spacing_mm):
    mask = np.ones((2, 2, 2), np.bool_)

    with pytest.raises(ValueError, match="spacing_mm must be three positive numbers"):
        evaluate_masks(mask, mask, spacing_mm)
