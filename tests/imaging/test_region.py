import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imaging.region import region_of


@given(st.integers(0, 2**32), st.floats(0.0, 0.3))
def test_a_region_holds_the_voxels_of_its_mask_in_the_smallest_box(seed, density):
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 5, 9)) < density
    region = region_of(mask)

    if not mask.any():
        assert region is None
        return
    assert np.array_equal(region.within(mask.shape), mask)
    assert region.voxels == mask.sum()
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        inside = region.mask.any(axis=others)
        assert inside[0]
        assert inside[-1]


def test_a_start_moves_the_region_in_its_volume():
    mask = np.zeros((2, 3, 4), bool)
    mask[1, 2, 1:3] = True

    region = region_of(mask, (5, 6, 7))

    assert region.start == (6, 8, 8)
    whole = region.within((10, 11, 12))
    assert sorted(map(tuple, np.argwhere(whole))) == [(6, 8, 8), (6, 8, 9)]
