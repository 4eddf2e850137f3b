import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imaging.distinct_regions import distinct_regions, shared_voxels
from imaging.region import Region, region_of

SHAPE = (9, 12, 15)


def block(*sides):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    region = region_of(mask)
    assert region is not None
    return region


@pytest.fixture(scope="module")
def any_region():
    def draw(seed):
        rng = np.random.default_rng(seed)
        start = tuple(int(rng.integers(0, size - 3)) for size in SHAPE)
        shape = tuple(int(rng.integers(1, size - first + 1)) for size, first in zip(SHAPE, start, strict=True))
        return Region(rng.random(shape) < 0.6, start)

    return draw


def test_regions_apart_stay_as_they_are():
    one, other = block((1, 3), (2, 5), (1, 4)), block((5, 8), (2, 5), (7, 14))

    kept = distinct_regions([one, other])

    assert [np.array_equal(a.within(SHAPE), b.within(SHAPE)) for a, b in zip(kept, (one, other), strict=True)] == [
        True
    ] * 2


def test_the_same_object_again_is_none():
    once, again = block((1, 5), (2, 8), (3, 9)), block((2, 5), (2, 8), (3, 9))

    first, second = distinct_regions([once, again])

    assert first is not None
    assert second is None


def test_neighbours_that_touch_share_no_voxel_and_lose_none():
    left, right = block((1, 5), (2, 8), (1, 7)), block((1, 5), (2, 8), (6, 14))

    first, second = (region.within(SHAPE) for region in distinct_regions([left, right]))

    assert not (first & second).any()
    assert np.array_equal(first | second, left.within(SHAPE) | right.within(SHAPE))
    assert np.array_equal(first, left.within(SHAPE))


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_shared_voxels_are_those_of_the_whole_masks(any_region, one, other):
    a, b = any_region(one), any_region(other)

    assert shared_voxels(a, b) == np.count_nonzero(a.within(SHAPE) & b.within(SHAPE)) == shared_voxels(b, a)


@given(st.lists(st.integers(0, 2**32), max_size=5))
def test_no_voxel_is_in_two_regions_that_are_kept(any_region, seeds):
    regions = [any_region(seed) for seed in seeds]

    masks = [region.within(SHAPE) for region in distinct_regions(regions) if region is not None]

    assert not masks or np.sum(masks, axis=0).max() <= 1
