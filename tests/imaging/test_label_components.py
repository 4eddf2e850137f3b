import numpy as np
import pytest
from scipy import ndimage

from imaging.label_components import label_components


def same_partition(mask):
    """Each component is one of scipy's, and there are as many."""
    components = label_components(mask)
    sizes = components.sizes()
    labels, count = ndimage.label(mask)
    numbers = np.flatnonzero(sizes)
    assert numbers.size == count
    for number in numbers:
        found = components.mask(np.arange(sizes.size) == number)
        theirs = np.unique(labels[found])
        assert theirs.size == 1
        assert (found == (labels == theirs[0])).all()
        assert sizes[number] == found.sum()


@pytest.mark.parametrize("filled", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 9), (7, 1, 1), (1, 6, 5), (5, 7, 6)])
def test_components_are_those_of_scipy(filled, shape, rng):
    for _ in range(5):
        same_partition(rng.random(shape) < filled)


def test_a_snake_through_all_slices_is_one_component():
    mask = np.zeros((9, 9, 9), bool)
    mask[::2] = True
    mask[1::4, 8, 8] = mask[3::4, 0, 0] = True

    assert np.count_nonzero(label_components(mask).sizes()) == 1


def test_an_edge_or_a_corner_in_common_does_not_connect():
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[1, 0, 1] = True

    assert label_components(mask).sizes().tolist() == [1, 1, 1]


def test_the_end_of_a_row_does_not_touch_the_start_of_the_next():
    mask = np.zeros((2, 2, 3), bool)
    mask[0, 0, 2] = mask[0, 1, 0] = mask[1, 0, 0] = True

    assert label_components(mask).sizes().tolist() == [1, 1, 1]


def test_all_components_together_are_the_mask(rng):
    mask = rng.random((6, 7, 8)) < 0.4

    components = label_components(mask)

    assert (components.mask(np.ones(components.starts.size, bool)) == mask).all()


def test_an_empty_mask_has_no_component():
    components = label_components(np.zeros((3, 4, 5), bool))

    assert components.sizes().size == 0
    assert not components.mask(np.zeros(0, bool)).any()


def test_components_are_numbered_in_array_order():
    mask = np.array([[[1, 0, 1, 1]], [[1, 0, 0, 0]]], bool)

    assert label_components(mask).sizes().tolist() == [2, 2, 0]
