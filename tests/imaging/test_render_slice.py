from dataclasses import replace

import numpy as np
import pytest
from highdicom import Volume
from pydicom.sr.codedict import codes

from imaging.burn_text import Entry
from imaging.encode_seg import Segment, SegmentLabel
from imaging.image_kind import Plane
from imaging.region import Region, region_of
from imaging.render_slice import (
    acquired_slice,
    axis_across,
    draw_view,
    key_slice,
    render_slice,
    square_size,
    turned_slice,
)
from imaging.window import GreyWindow
from tests.phantoms import TURNS, oblique_affine, turned

SHAPE = (20, 30, 40)
SPACING_MM = (3.0, 1.0, 0.5)
AXES = {"L": 0, "P": 1, "H": 2}  # of LPS
WINDOW = GreyWindow(0, 255, "test")
RED, GREEN = (250, 30, 20), (20, 240, 60)


def segment(mask, rgb=RED, short=""):
    label = SegmentLabel(
        label="thing",
        category=codes.SCT.AnatomicalStructure,
        property_type=codes.SCT.Lung,
        display_rgb=rgb,
        short=short,
    )
    return Segment(label, mask)


def phantom(order=(0, 1, 2), signs=(1, 1, 1), degrees=(8, -6, 5)):
    """A box to the left, back and head of the middle of an oblique volume; values are 200 in it, else 50."""
    inside = np.zeros(SHAPE, bool)
    inside[12:17, 20:27, 24:36] = True  # slices rise to the head, rows back, columns left
    array, affine = turned(
        np.where(inside, 200, 50).astype(np.float32), oblique_affine(degrees, SPACING_MM), order, signs
    )
    return Volume(array, affine, coordinate_system="PATIENT"), segment(array == 200)


@pytest.mark.parametrize(
    ("plane", "down", "right"), [(Plane.AXIAL, "P", "L"), (Plane.CORONAL, "F", "L"), (Plane.SAGITTAL, "F", "P")]
)
@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_left_is_on_the_right_however_the_voxels_are_numbered(order, signs, plane, down, right):
    volume, one = phantom(order, signs)
    view = turned_slice(volume, [one], plane, key_slice(volume, [one], plane))

    rows, columns = (np.mean(found) for found in np.nonzero(view.outlined[0].mask))

    middle = [(size - 1) / 2 for size in view.values.shape]
    assert (view.bottom, view.right) == (down, right)
    assert (rows > middle[0]) == (down == "P")  # the box lies at the back and near the head
    assert columns > middle[1]
    np.testing.assert_array_equal(view.values == 200, view.outlined[0].mask)


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


def test_an_acquired_slice_is_not_turned():
    volume, one = phantom((0, 1, 2), (1, -1, -1))
    view = acquired_slice(volume, [one], 14)

    np.testing.assert_array_equal(view.values, volume.array[14])
    assert (view.bottom, view.right) == ("A", "R")


def test_regions_are_drawn_as_masks_are():
    volume, one = phantom((1, 2, 0), (-1, 1, -1))
    region = region_of(one.mask)
    assert isinstance(region, Region)
    for plane in Plane:
        number = key_slice(volume, [one], plane)
        assert number == key_slice(volume, [replace(one, mask=region)], plane)
        for at in (number, 0):
            np.testing.assert_array_equal(
                turned_slice(volume, [replace(one, mask=region)], plane, at).outlined[0].mask,
                turned_slice(volume, [one], plane, at).outlined[0].mask,
            )


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


def test_without_segments_the_middle_slice_is_the_key_slice():
    volume, _ = phantom()

    assert key_slice(volume, [], Plane.AXIAL) == 10
    assert render_slice(volume, [], Plane.AXIAL, 10, WINDOW).shape[0] >= 512


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


@pytest.mark.parametrize("plane", Plane)
def test_the_axis_across_a_plane_is_found_in_an_oblique_volume(plane):
    volume, _ = phantom((2, 0, 1), (1, -1, 1))

    normal = volume.direction[:, axis_across(volume, plane)]

    assert np.abs(normal).argmax() == {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[plane]
