import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from imaging.fill_contour import NotOnSliceError, fill_contours

SHAPE = (5, 40, 60)


def circle(slice_, centre, radius, count=200):
    """Points on a circle, (slice, row, column), at no special angle."""
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + 0.1234
    return np.column_stack(
        [np.full(count, slice_), centre[0] + radius * np.sin(angle), centre[1] + radius * np.cos(angle)]
    )


def filled(*contours):
    region = fill_contours([np.asarray(contour, float) for contour in contours], SHAPE)
    return np.zeros(SHAPE, bool) if region is None else region.within(SHAPE)


def within(contour):
    """The pixels inside, as matplotlib finds them."""
    rows, columns = np.indices(SHAPE[1:])
    inside = Polygon(contour[:, 1:]).contains_points(np.column_stack([rows.ravel(), columns.ravel()]))
    return inside.reshape(SHAPE[1:])


def test_pixels_inside_are_those_another_library_finds(rng):
    for _ in range(20):
        corners = np.sort(rng.uniform(0, 2 * np.pi, 9))
        radius = rng.uniform(3, 17, 9)
        star = np.column_stack([np.full(9, 2.0), 19.77 + radius * np.sin(corners), 29.31 + radius * np.cos(corners)])

        np.testing.assert_array_equal(filled(star)[2], within(star))


def test_a_circle_has_its_area():
    assert filled(circle(1, (20.3, 30.7), 15))[1].sum() == pytest.approx(np.pi * 15**2, rel=0.01)


def test_a_rectangle_has_the_pixels_whose_centres_it_holds():
    mask = filled([(3, 9.5, 19.5), (3, 9.5, 24.5), (3, 12.5, 24.5), (3, 12.5, 19.5)])

    assert np.argwhere(mask).min(axis=0).tolist() == [3, 10, 20]
    assert np.argwhere(mask).max(axis=0).tolist() == [3, 12, 24]
    assert mask.sum() == 15


def test_an_inner_contour_is_a_hole():
    mask = filled(circle(1, (20.3, 30.7), 15), circle(1, (20.3, 30.7), 5))

    assert mask.sum() == pytest.approx(np.pi * (15**2 - 5**2), rel=0.01)
    assert not mask[1, 20, 31]


def test_a_channel_without_width_joins_a_hole():
    outer, inner = circle(1, (20.3, 30.7), 15), circle(1, (20.3, 30.7), 5)
    keyhole = np.concatenate([outer, outer[:1], inner[:1], inner[::-1], outer[:1]])

    np.testing.assert_array_equal(filled(keyhole), filled(outer, inner))


def test_the_direction_of_a_contour_does_not_matter():
    contour = circle(2, (20.3, 30.7), 11)

    np.testing.assert_array_equal(filled(contour), filled(contour[::-1]))


def test_contours_on_several_slices_do_not_mix():
    mask = filled(circle(1, (20.3, 30.7), 8), circle(3, (20.3, 30.7), 8))

    assert mask.any(axis=(1, 2)).tolist() == [False, True, False, True, False]


def test_what_lies_outside_is_cut_off():
    cut = filled(circle(0, (2.3, 3.7), 9), circle(-1, (2.3, 3.7), 9), circle(5, (2.3, 3.7), 9))
    whole = circle(0, (2.3, 3.7), 9)

    np.testing.assert_array_equal(cut[0], within(whole))
    assert not cut[1:].any()


@pytest.mark.parametrize("centre", [(-20.0, 5.0), (60.0, 5.0), (5.0, -20.0), (5.0, 90.0)])
def test_nothing_is_left_of_a_contour_outside(centre):
    assert fill_contours([circle(1, centre, 6)], SHAPE) is None


def test_a_contour_between_two_pixels_holds_none():
    assert fill_contours([circle(1, (10.5, 10.5), 0.3)], SHAPE) is None


@pytest.mark.parametrize("slices", [(1.4, 1.4, 1.4), (1.0, 2.0, 1.0)], ids=["between slices", "across slices"])
def test_a_contour_that_lies_on_no_slice_is_refused(slices):
    triangle = np.column_stack([slices, (5, 9, 5), (5, 5, 12)])

    with pytest.raises(NotOnSliceError):
        fill_contours([triangle], SHAPE)
