from dataclasses import replace

import numpy as np
import pytest

from imaging.image_kind import Plane
from imaging.region import Region, region_of
from imaging.slice_view import acquired_slice, axis_across, key_slice, turned_slice
from tests.outlined_samples import phantom
from tests.phantoms import TURNS


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


def test_without_segments_the_middle_slice_is_the_key_slice():
    volume, _ = phantom()

    assert key_slice(volume, [], Plane.AXIAL) == 10


@pytest.mark.parametrize("plane", Plane)
def test_the_axis_across_a_plane_is_found_in_an_oblique_volume(plane):
    volume, _ = phantom((2, 0, 1), (1, -1, 1))

    normal = volume.direction[:, axis_across(volume, plane)]

    assert np.abs(normal).argmax() == {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[plane]
