import math

import numpy as np
import pytest
import SimpleITK
from scipy.special import logit

from imaging.find_tumour import SPECK_ML, find_tumour
from imaging.restore_mask import restore_mask
from tests.phantoms import TURNS, oblique_affine, turned
from tests.tumour_samples import AFFINE, SHAPE, SPACING_MM, ellipsoid, volume
from tests.tumour_samples import CENTRE_MM as MIDDLE_MM

GRID = (40, 52, 60)
GRID_AFFINE = oblique_affine((12, -9, 20), (0.7, 0.7, 0.7), (0.0, 0.0, 0.0))
VOXEL_ML = 0.7**3 / 1000
BLOCKS = {  # where, and the activation there
    "large": ((slice(2, 14), slice(5, 20), slice(3, 20)), 0.7),
    "active": ((slice(20, 30), slice(25, 35), slice(30, 41)), 0.9),
    "speck": ((slice(35, 38), slice(3, 6), slice(50, 55)), 0.99),
}


def logits_of(*names, shape=GRID, background=0.1):
    """Logits of some blocks in a quiet background."""
    chance = np.full(shape, background, np.float32)
    for name in names:
        box, value = BLOCKS[name]
        chance[box] = value
    return volume(logit(chance).astype(np.float32), GRID_AFFINE)


def size_ml(name):
    return math.prod(part.stop - part.start for part in BLOCKS[name][0]) * VOXEL_ML


def middle_mm(name):
    return GRID_AFFINE[:3, :3] @ [(part.start + part.stop - 1) / 2 for part in BLOCKS[name][0]] + GRID_AFFINE[:3, 3]


def test_the_most_active_object_is_the_tumour_not_the_largest_and_that_is_said():
    found = find_tumour(logits_of("large", "active"), 0.5)

    first, other = found.objects
    assert (first.primary, other.primary) == (True, False)
    assert first.volume_ml == pytest.approx(size_ml("active"))
    assert first.mean_activation == pytest.approx(0.9, abs=1e-5)
    np.testing.assert_allclose(first.centre_mm, middle_mm("active"), atol=1e-6)
    np.testing.assert_allclose(other.centre_mm, middle_mm("large"), atol=1e-6)
    assert "not the largest one (1.05 mL, mean activation 0.70)" in found.flags[1]


def test_of_the_primary_logits_nothing_but_the_tumour_is_restored():
    logits = logits_of("large", "active", "speck")
    whole = restore_mask(logits, logits).array

    found = find_tumour(logits, 0.5)

    expected = np.zeros(GRID, bool)
    expected[BLOCKS["active"][0]] = True
    np.testing.assert_array_equal(restore_mask(found.primary, logits).array, expected)
    assert np.count_nonzero(whole) > np.count_nonzero(expected)


def test_below_the_threshold_the_logits_stay_so_that_the_boundary_is_interpolated_as_without_others():
    logits = logits_of("active", background=0.45)

    np.testing.assert_array_equal(find_tumour(logits, 0.5).primary.array, logits.array)


def test_the_largest_object_is_the_tumour_where_it_is_the_most_active_and_nothing_is_said_of_that():
    logits = logits_of("large", "active")
    logits.array[BLOCKS["large"][0]] = 5.0

    found = find_tumour(logits, 0.5)

    assert found.objects[0].volume_ml == pytest.approx(size_ml("large"))
    assert len(found.flags) == 1
    assert found.flags[0].startswith("1 other object above the threshold: 0.38 mL, mean activation 0.90")


def test_a_speck_is_never_the_tumour_and_is_listed():
    found = find_tumour(logits_of("active", "speck"), 0.5)

    assert size_ml("speck") < SPECK_ML
    assert [(one.primary, one.speck) for one in found.objects] == [(True, False), (False, True)]
    assert found.objects[1].mean_activation == pytest.approx(0.99, abs=1e-5)
    assert "higher mean activation counted as specks below 0.1 mL" in found.flags[1]


def test_specks_alone_are_no_tumour_and_are_listed():
    found = find_tumour(logits_of("speck"), 0.5)

    assert found.primary is None
    assert [one.volume_ml for one in found.objects] == [pytest.approx(size_ml("speck"))]
    assert "None of them has 0.1 mL" in found.flags[1]


def test_of_many_objects_a_few_are_described_and_all_are_counted_and_kept():
    logits = logits_of("active")
    for number in range(7):
        logits.array[2:12, 2:8, 8 * number : 8 * number + 6] = 1.0  # 0.12 mL each
    logits.array[36:38, 2:4, 2:4] = logits.array[36:38, 2:4, 9:11] = 1.0

    found = find_tumour(logits, 0.5)

    assert len(found.others) == 9
    assert found.flags[0].startswith("9 other objects above the threshold: 0.12 mL, mean activation 0.73; ")
    assert found.flags[0].endswith("; 2 more; 2 of less than 0.1 mL")
    assert found.flags[0].count("mean activation") == 5


def test_nothing_above_the_threshold_is_no_object():
    found = find_tumour(logits_of(), 0.5)

    assert (found.primary, found.objects, found.flags) == (None, (), ())


def test_the_threshold_is_a_probability_that_objects_exceed():
    assert [one.volume_ml for one in find_tumour(logits_of("large", "active"), 0.8).objects] == [
        pytest.approx(size_ml("active"))
    ]


@pytest.mark.parametrize(("shift", "count"), [((1, 1, 1), 1), ((1, 0, 1), 1), ((0, 0, 2), 2)])
def test_voxels_that_share_a_corner_are_one_object(shift, count):
    logits = logits_of()
    logits.array[4:10, 4:12, 4:13] = 3.0
    first = np.array([9, 11, 12]) + shift
    logits.array[first[0] : 18, first[1] : 21, first[2] : 22] = 3.0

    assert len(find_tumour(logits, 0.5).objects) == count


def test_of_equally_active_objects_the_larger_is_the_tumour():
    logits = logits_of("large", "active")
    logits.array[logits.array > 0] = 2.0

    assert find_tumour(logits, 0.5).objects[0].volume_ml == pytest.approx(size_ml("large"))


def test_what_the_network_says_of_the_padding_is_no_object():
    source = volume(np.zeros(SHAPE, np.float32))
    grid_affine = AFFINE.copy()
    grid_affine[:3, :3] = AFFINE[:3, :3] / SPACING_MM * 1.0
    grid_affine[:3, 3] -= AFFINE[:3, :3] / SPACING_MM @ [20, 3, 4]  # so many mm of padding before it
    chance = np.full((70, 42, 58), 0.1, np.float32)
    chance[2:18, 5:30, 5:40] = 0.99
    chance[30:40, 10:25, 12:30] = 0.8
    logits = volume(logit(chance).astype(np.float32), grid_affine)

    assert len(find_tumour(logits, 0.5).objects) == 2
    found = find_tumour(logits, 0.5, source.get_geometry())

    assert [one.mean_activation for one in found.objects] == [pytest.approx(0.8, abs=1e-5)]
    restored = restore_mask(found.primary, source)
    assert np.count_nonzero(restored.array) * math.prod(SPACING_MM) == pytest.approx(10 * 15 * 18, rel=0.15)


@pytest.mark.parametrize(("order", "signs"), TURNS[::7])
def test_the_order_of_axes_changes_nothing(order, signs):
    logits = logits_of("large", "active", "speck")
    expected = find_tumour(logits, 0.5)

    found = find_tumour(volume(*turned(logits.array, logits.affine, order, signs)), 0.5)

    for one, other in zip(found.objects, expected.objects, strict=True):
        assert one.volume_ml == pytest.approx(other.volume_ml)
        np.testing.assert_allclose(one.centre_mm, other.centre_mm, atol=1e-6)
    assert found.flags == expected.flags


def test_simpleitk_counts_the_same_objects_with_the_same_means(rng):
    logits = volume(rng.normal(-2.2, 2.0, (12, 20, 24)).astype(np.float32), GRID_AFFINE)

    found = find_tumour(logits, 0.5)

    chance = 1 / (1 + np.exp(-logits.array))
    image = SimpleITK.GetImageFromArray(chance)
    labels = SimpleITK.ConnectedComponent(SimpleITK.GetImageFromArray((chance > 0.5).astype(np.uint8)), True)
    judge = SimpleITK.LabelStatisticsImageFilter()
    judge.Execute(image, labels)
    expected = sorted((judge.GetCount(label), judge.GetMean(label)) for label in judge.GetLabels() if label)
    assert len(expected) > 20
    own = sorted((one.volume_ml / VOXEL_ML, one.mean_activation) for one in found.objects)
    np.testing.assert_allclose(sorted(count for count, _ in own), [count for count, _ in expected], rtol=1e-6)
    np.testing.assert_allclose(sorted(mean for _, mean in own), sorted(mean for _, mean in expected), rtol=1e-5)


def test_a_ball_has_its_volume_and_its_centre():
    mask = ellipsoid((9, 9, 9), MIDDLE_MM)

    (one,) = find_tumour(volume(np.where(mask, 4, -4).astype(np.float32)), 0.5).objects

    assert one.volume_ml == pytest.approx(4 / 3 * math.pi * 0.9**3, rel=0.05)
    np.testing.assert_allclose(one.centre_mm, MIDDLE_MM, atol=0.1)
