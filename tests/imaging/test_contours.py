import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from imaging.contours import outline

masks = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 12)))


@given(masks)
def test_what_is_marked_is_never_covered(mask):
    assert not (outline(mask) & mask).any()
    assert not (outline(mask, 2) & mask).any()


@given(masks)
def test_a_ring_is_the_pixels_next_to_the_mask(mask):
    near = ndimage.distance_transform_cdt(~mask, "taxicab") if mask.any() else np.full(mask.shape, 99)

    np.testing.assert_array_equal(outline(mask), near == 1)
    np.testing.assert_array_equal(outline(mask, 2), (near == 1) | (near == 2))


@pytest.mark.parametrize("width", [1, 2])
def test_nothing_is_drawn_where_the_picture_ends(width):
    mask = np.zeros((6, 8), bool)
    mask[:3, :4] = True

    ring = outline(mask, width)

    assert ring[3 : 3 + width, :4].all()
    assert ring[:3, 4 : 4 + width].all()
    assert ring.sum() == 7 * width + (width == 2)


def test_a_hole_has_an_outline():
    mask = np.ones((7, 7), bool)
    mask[2:5, 2:5] = False

    assert outline(mask)[2, 2:5].all()
    assert not outline(mask)[3, 3]
