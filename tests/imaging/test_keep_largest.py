from collections import deque

import numpy as np
import pytest

from imaging.keep_largest import bounding_box, keep_largest
from tests.phantoms import TURNS, turned

NEIGHBOURS = [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)]


def flooded(mask, start):
    """All true voxels that can be reached from one of them over faces: the slow, obvious way."""
    reached, queue = {start}, deque([start])
    while queue:
        here = queue.popleft()
        for step in NEIGHBOURS:
            there = tuple(np.add(here, step))
            inside = all(0 <= n < size for n, size in zip(there, mask.shape, strict=True))
            if inside and mask[there] and there not in reached:
                reached.add(there)
                queue.append(there)
    return reached


def components(mask):
    left = {tuple(map(int, voxel)) for voxel in np.argwhere(mask)}
    found = []
    while left:
        found.append(flooded(mask, min(left)))
        left -= found[-1]
    return found


def slow_keep_largest(mask):
    result = np.zeros_like(mask)
    parts = components(mask)
    if not parts:
        return result
    for voxel in max(parts, key=len):
        result[voxel] = True
    border = np.ones(mask.shape, bool)
    border[1:-1, 1:-1, 1:-1] = False
    for part in components(~result):
        if not any(border[voxel] for voxel in part):
            for voxel in part:
                result[voxel] = True
    return result


@pytest.mark.parametrize("density", [0.05, 0.25, 0.4, 0.6, 0.85])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_flooding_voxel_by_voxel(density, seed):
    mask = np.random.default_rng(seed).random((6, 7, 8)) < density

    assert (keep_largest(mask) == slow_keep_largest(mask)).all()


def hollow_box_and_crumb():
    mask = np.zeros((9, 11, 13), bool)
    mask[2:7, 3:9, 4:11] = True
    mask[4, 5:7, 6:8] = False  # a cavity
    mask[0, 0, 0:3] = True  # a crumb
    return mask


def test_crumbs_go_and_cavities_are_filled():
    expected = np.zeros((9, 11, 13), bool)
    expected[2:7, 3:9, 4:11] = True

    assert (keep_largest(hollow_box_and_crumb()) == expected).all()


@pytest.mark.parametrize(("order", "signs"), TURNS[::7])
def test_turning_the_mask_turns_the_result(order, signs):
    mask, _ = turned(hollow_box_and_crumb(), np.eye(4), order, signs)

    assert (keep_largest(mask) == turned(keep_largest(hollow_box_and_crumb()), np.eye(4), order, signs)[0]).all()


def test_a_cavity_that_opens_at_the_border_of_the_image_is_not_filled():
    mask = np.ones((5, 5, 5), bool)
    mask[2, 2, :3] = False

    assert (keep_largest(mask) == mask).all()


def test_a_cavity_is_filled_where_the_mask_is_all_there_is():
    mask = np.ones((5, 5, 5), bool)
    mask[2, 2, 2] = False

    assert keep_largest(mask).all()


def test_a_crumb_inside_a_cavity_becomes_part_of_the_filling():
    mask = np.ones((7, 7, 7), bool)
    mask[2:5, 2:5, 2:5] = False
    mask[3, 3, 3] = True

    assert keep_largest(mask).all()


def test_voxels_that_touch_at_an_edge_only_are_apart():
    mask = np.zeros((2, 2, 3), bool)
    mask[0, 0, :2] = True
    mask[1, 1, 1:] = True
    mask[1, 1, 0] = True

    assert np.argwhere(keep_largest(mask)).tolist() == [[1, 1, 0], [1, 1, 1], [1, 1, 2]]


def test_an_empty_mask_stays_empty():
    assert not keep_largest(np.zeros((3, 4, 5), bool)).any()


def test_a_full_mask_stays_full():
    assert keep_largest(np.ones((3, 4, 5), bool)).all()


def test_the_mask_itself_is_left_alone():
    mask = hollow_box_and_crumb()

    keep_largest(mask)

    assert (mask == hollow_box_and_crumb()).all()


def test_the_box_holds_every_voxel_and_no_more():
    mask = np.zeros((9, 11, 13), bool)
    mask[2, 3, 12] = mask[5, 3, 0] = True

    assert bounding_box(mask) == (slice(2, 6), slice(3, 4), slice(0, 13))
    assert bounding_box(np.zeros((2, 2, 2), bool)) is None


def test_a_slice_is_refused_and_its_shape_is_named():
    with pytest.raises(ValueError, match=r"got shape \(4, 5\)"):
        keep_largest(np.zeros((4, 5), bool))
