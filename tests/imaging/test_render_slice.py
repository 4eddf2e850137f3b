import numpy as np
import pytest
from highdicom import Volume

from imaging.burn_text import Entry
from imaging.image_kind import Plane
from imaging.render_slice import draw_view, render_slice, square_size
from imaging.slice_view import acquired_slice, key_slice, turned_slice
from imaging.window import GreyWindow
from tests.outlined_samples import GREEN, RED, SHAPE, phantom, segment
from tests.phantoms import TURNS

WINDOW = GreyWindow(0, 255, "test")


@pytest.mark.parametrize(("order", "signs"), TURNS[::7])
def test_a_picture_shows_the_box_at_its_millimetres(order, signs):
    volume, one = phantom(order, signs)
    view = turned_slice(volume, [one], Plane.CORONAL, key_slice(volume, [one], Plane.CORONAL))
    rows, columns = size = square_size(view)

    red = np.argwhere((draw_view(view, WINDOW, size) == RED).all(axis=-1))

    assert columns / rows == pytest.approx(40 * 0.5 / (20 * 3.0), rel=0.01)
    pixel_mm = 60.0 / rows
    lowest, highest = (
        red.min(axis=0),
        red.max(axis=0) + 1,
    )  # the box ends 3 slices below the top, 4 columns from the right
    assert (lowest[0] + 1) * pixel_mm == pytest.approx(9.0, abs=pixel_mm)
    assert (highest[0] - 1) * pixel_mm == pytest.approx(24.0, abs=pixel_mm)
    assert (columns - highest[1] + 1) * pixel_mm == pytest.approx(2.0, abs=pixel_mm)
    assert (columns - lowest[1] - 1) * pixel_mm == pytest.approx(8.0, abs=pixel_mm)


def test_an_outline_covers_nothing_of_what_it_marks():
    volume, one = phantom()
    view = acquired_slice(volume, [one], 14)

    picture = draw_view(view, WINDOW, (12 * 30, 12 * 40))

    assert (picture == RED).all(axis=-1).sum() == 12 * 2 * (7 + 12)
    inside = np.kron(view.outlined[0].mask, np.ones((12, 12), bool))
    assert (np.ptp(picture[inside], axis=-1) == 0).all()


def test_each_segment_has_its_colour_and_name():
    volume, one = phantom()
    other = np.zeros(SHAPE, bool)
    other[14, 5:10, 5:10] = True

    picture = render_slice(volume, [one, segment(other, GREEN, "L5")], Plane.AXIAL, 14, WINDOW)
    nameless = render_slice(volume, [one, segment(other, GREEN)], Plane.AXIAL, 14, WINDOW)

    red, green = ((picture == rgb).all(axis=-1) for rgb in (RED, GREEN))
    assert np.argwhere(red)[:, 1].mean() > np.argwhere(green)[:, 1].mean()
    assert green.sum() > (nameless == GREEN).all(axis=-1).sum()
    assert (picture != nameless).any(axis=-1)[: picture.shape[0] // 2, : picture.shape[1] // 2].any()


def test_a_picture_is_large_enough_and_loses_no_pixel_of_the_source():
    volume, _ = phantom()
    large = Volume(np.zeros((2, 700, 300), np.float32), np.diag([1, 1, 1, 1.0]), coordinate_system="PATIENT")

    assert max(square_size(acquired_slice(volume, [], 0))) == 512
    assert square_size(acquired_slice(large, [], 0)) == (700, 300)


def test_a_picture_says_what_it_is_for_and_what_its_caller_adds():
    volume, one = phantom()
    bare = render_slice(volume, [one], Plane.AXIAL, 14, WINDOW)
    more = render_slice(volume, [one], Plane.AXIAL, 14, WINDOW, entries=[Entry("thing", GREEN)])

    rows = square_size(turned_slice(volume, [one], Plane.AXIAL, 14))[0]
    assert (bare[rows:] == 255).all(axis=-1).any()
    assert (more[rows:] == GREEN).all(axis=-1).any()


def test_a_picture_without_segments_is_as_large():
    volume, _ = phantom()

    assert render_slice(volume, [], Plane.AXIAL, 10, WINDOW).shape[0] >= 512
