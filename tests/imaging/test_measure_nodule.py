import math

import numpy as np
import pytest
import SimpleITK
from highdicom import Volume

from imaging.chest_phantom import Nodule, nodule_region
from imaging.lung_mask import LungMask, Side
from imaging.measure_nodule import measure_nodule
from imaging.outcome import Reason, RefusedError
from imaging.region import Region, region_of
from tests.phantoms import TURNS, oblique_affine, turned, voxel_centres_mm

SPACINGS_MM = [(1.25, 0.7, 0.7), (3.0, 0.56, 0.56), (2.5, 0.8, 0.6), (1.0, 1.0, 1.0)]  # slice, row, column
DEGREES = [(0, 0, 0), (4, -3, 25)]
GRIDS = list(zip(SPACINGS_MM, (*DEGREES, *DEGREES), strict=True))
SHAPE = (30, 52, 54)
WIDE = (40, 90, 100)


def grid(spacing_mm, degrees=(0, 0, 0), shape=SHAPE):
    """An affine whose middle voxel lies at the origin."""
    affine = oblique_affine(degrees, spacing_mm, (0, 0, 0))
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) // 2)
    return affine


def volume_of(region, affine, shape=SHAPE, inside_hu=40.0):
    hu = np.full(shape, -850, np.float32)
    hu[region.box][region.mask] = inside_hu
    return Volume(hu, affine, "PATIENT")


def measured(region, affine, shape=SHAPE, lungs=None):
    return measure_nodule(volume_of(region, affine, shape), region, lungs)


def ball(radius_mm, centre_mm, affine, shape=SHAPE):
    return region_of(np.linalg.norm(voxel_centres_mm(shape, affine) - centre_mm, axis=-1) <= radius_mm)


def lumpy(affine, shape=SHAPE):
    """Nothing about it is symmetric."""
    places = voxel_centres_mm(shape, affine)
    parts = [((0, 0, 0), 6.0), ((5.2, 2.1, 1.3), 4.1), ((-3.1, 5.7, -2.2), 3.3), ((1.0, -6.3, 3.9), 2.7)]
    return region_of(np.any([np.linalg.norm(places - at, axis=-1) <= radius for at, radius in parts], axis=0))


def sides_of(right, left, affine, shape=SHAPE):
    sides = np.zeros(shape, np.uint8)
    sides[right], sides[left] = 1, 2
    return LungMask(Volume(sides, affine, "PATIENT"), 1000.0, 1000.0)


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
@pytest.mark.parametrize("diameter_mm", [6.0, 12.0, 24.0])
def test_diameters_of_a_ball_are_right_within_a_pixel_and_its_volume_within_the_surface(spacing_mm, diameter_mm):
    affine = grid(spacing_mm)
    pixel_mm = max(spacing_mm[1:])

    for shift in [(0.0, 0.48, 0.25), (0.37, 0.11, -0.25)]:
        found = measured(ball(diameter_mm / 2, np.array(shift) * spacing_mm[::-1], affine), affine)
        assert -spacing_mm[0] / 2 - pixel_mm / 2 < found.longest_mm - diameter_mm < pixel_mm
        assert -spacing_mm[0] / 2 - pixel_mm < found.perpendicular_mm - diameter_mm < pixel_mm
        assert found.effective_mm == pytest.approx(diameter_mm, rel=0.06)


@pytest.mark.parametrize("degrees", DEGREES, ids=str)
@pytest.mark.parametrize("turn_deg", [0.0, 35.0, 90.0, 140.0])
def test_both_diameters_of_an_ellipsoid_are_its_axes(turn_deg, degrees):
    affine = grid((1.25, 0.7, 0.7), degrees)
    nodule = Nodule(name="", centre_mm=(1.1, -2.3, 0.4), semi_axes_mm=(9.0, 5.0, 6.0), turn_deg=turn_deg)

    found = measured(nodule_region(nodule, SHAPE, affine), affine)

    assert found.longest_mm == pytest.approx(18.0, abs=0.7)
    assert found.perpendicular_mm == pytest.approx(10.0, abs=0.7)
    assert found.volume_ml == pytest.approx(nodule.volume_ml, rel=0.02)
    np.testing.assert_allclose(found.centre_mm, nodule.centre_mm, atol=0.15)


def test_the_ends_lie_on_the_long_axis_of_an_ellipsoid():
    affine = grid((1.25, 0.7, 0.7))
    nodule = Nodule(name="", centre_mm=(1.1, -2.3, 0.4), semi_axes_mm=(12.0, 4.0, 6.0), turn_deg=35.0)
    long_axis = np.array([math.cos(math.radians(35)), math.sin(math.radians(35)), 0.0])

    found = measured(nodule_region(nodule, SHAPE, affine), affine)

    one, two = np.array(found.longest.ends_mm)
    assert abs((two - one) @ long_axis) / found.longest_mm > math.cos(math.radians(4))
    np.testing.assert_allclose((one + two) / 2, nodule.centre_mm, atol=1.3)


@pytest.mark.parametrize(("spacing_mm", "degrees"), GRIDS, ids=str)
def test_the_longest_diameter_is_that_of_all_pairs_of_middles_of_crossed_edges(spacing_mm, degrees):
    affine = grid(spacing_mm, degrees)
    region = lumpy(affine)
    places = []
    padded = np.pad(region.within(SHAPE), 1)
    for axis in (1, 2):
        crossed = np.argwhere(np.diff(padded, axis=axis)) - 1.0
        crossed[:, axis] += 0.5
        places.append(crossed)
    places = np.concatenate(places)

    longest = 0.0
    for number in np.unique(places[:, 0]):
        mm = places[places[:, 0] == number] @ affine[:3, :3].T
        longest = max(longest, np.linalg.norm(mm[:, None] - mm[None], axis=-1).max())

    assert measured(region, affine).longest_mm == pytest.approx(longest)


@pytest.mark.parametrize("degrees", DEGREES, ids=str)
def test_the_perpendicular_is_at_a_right_angle_in_the_same_slice_and_both_end_on_the_outline(degrees):
    affine = grid((2.5, 0.8, 0.6), degrees)
    region = lumpy(affine)

    found = measured(region, affine)

    along, across = (np.diff(one.ends_mm, axis=0)[0] for one in (found.longest, found.perpendicular))
    assert abs(along @ across) < 1e-6 * found.longest_mm
    assert found.perpendicular_mm <= found.longest_mm
    ends = np.array([*found.longest.ends_mm, *found.perpendicular.ends_mm])
    index = (np.linalg.inv(affine) @ np.column_stack([ends, np.ones(4)]).T).T[:, :3]
    np.testing.assert_allclose(index[:, 0], found.slice_index, atol=1e-6)
    mask = region.within(SHAPE)[found.slice_index]
    for row, column in index[:, 1:]:
        near = mask[math.floor(row) : math.ceil(row) + 1, math.floor(column) : math.ceil(column) + 1]
        assert near.any()
        assert not near.all()


def test_the_perpendicular_is_the_longest_of_many_lines():
    """Judged on the outline drawn finely: by brute force over all pairs of places at a right angle."""
    affine = grid((2.5, 0.7, 0.7))
    mask = np.zeros(SHAPE, bool)
    mask[20, 40:44, 30:50] = True  # a bar, and a block on its left half
    mask[20, 44:49, 32:37] = True

    found = measured(region_of(mask), affine)

    one, two = np.array(found.longest.ends_mm)[:, :2]
    along = (two - one) / found.longest_mm
    fine = np.argwhere(np.kron(mask[20], np.ones((9, 9), bool)))
    mm = (fine - 4) / 9 * 0.7 + affine[1, 3]
    turned_mm = mm[:, ::-1] @ np.stack([along, [-along[1], along[0]]], axis=1)
    strips = np.round(turned_mm[:, 0] / 0.08)
    spans = [np.ptp(turned_mm[strips == strip, 1]) for strip in np.unique(strips)]
    assert found.perpendicular_mm == pytest.approx(max(spans), abs=0.5)


@pytest.mark.parametrize(("order", "signs"), TURNS[::9])
def test_turning_the_array_changes_nothing(order, signs):
    affine = grid((2.5, 0.8, 0.6), (4, -3, 25))
    region = lumpy(affine)
    array, other = turned(region.within(SHAPE), affine, order, signs)

    found = measured(region_of(array), other, array.shape)

    same = measured(region, affine)
    assert found.slice_axis == order.index(0)
    for name in ("longest_mm", "perpendicular_mm", "volume_ml", "mean_hu"):
        assert getattr(found, name) == pytest.approx(getattr(same, name))
    np.testing.assert_allclose(found.centre_mm, same.centre_mm, atol=1e-6)
    for one, two in ((found.longest, same.longest), (found.perpendicular, same.perpendicular)):
        np.testing.assert_allclose(sorted(one.ends_mm), sorted(two.ends_mm), atol=1e-6)


@pytest.mark.parametrize(("order", "signs"), TURNS[::11])
def test_of_equal_diameters_turning_does_not_change_the_lengths(order, signs):
    affine = grid((1.0, 1.0, 1.0))
    region = ball(6.0, (0, 0, 0), affine)  # its digital outline has many longest diameters
    array, other = turned(region.within(SHAPE), affine, order, signs)

    found = measured(region_of(array), other, array.shape)

    same = measured(region, affine)
    assert (found.longest_mm, found.perpendicular_mm) == pytest.approx((same.longest_mm, same.perpendicular_mm))


@pytest.mark.parametrize(("spacing_mm", "degrees"), GRIDS, ids=str)
def test_volume_centre_and_effective_diameter_are_those_of_simpleitk(spacing_mm, degrees):
    affine = grid(spacing_mm, degrees)
    region = lumpy(affine)
    image = SimpleITK.GetImageFromArray(region.within(SHAPE).astype(np.uint8))
    image.SetSpacing(spacing_mm[::-1])
    image.SetOrigin(affine[:3, 3])
    image.SetDirection((affine[:3, :3] / spacing_mm)[:, ::-1].ravel())
    judge = SimpleITK.LabelShapeStatisticsImageFilter()
    judge.Execute(image)

    found = measured(region, affine)

    assert found.volume_ml == pytest.approx(judge.GetPhysicalSize(1) / 1000)
    assert found.effective_mm == pytest.approx(2 * judge.GetEquivalentSphericalRadius(1))
    np.testing.assert_allclose(found.centre_mm, judge.GetCentroid(1), atol=1e-6)


def test_the_mean_is_that_of_the_voxels_inside():
    affine = grid((2.5, 0.8, 0.6))
    region = lumpy(affine)
    hu = np.random.default_rng(0).normal(-300, 400, SHAPE).astype(np.float32)

    found = measure_nodule(Volume(hu, affine, "PATIENT"), region)

    assert found.mean_hu == pytest.approx(hu[region.within(SHAPE)].mean(), abs=0.01)


def test_a_single_voxel_has_the_size_of_its_pixel():
    affine = grid((2.5, 0.8, 0.6))
    region = Region(np.ones((1, 1, 1), bool), (7, 8, 9))

    found = measured(region, affine)

    assert found.longest_mm == pytest.approx(0.8)
    assert found.perpendicular_mm == pytest.approx(0.6)
    assert found.volume_ml == pytest.approx(2.5 * 0.8 * 0.6 / 1000)
    assert found.one_slice
    np.testing.assert_allclose(found.centre_mm, (affine @ [7, 8, 9, 1])[:3])


def test_a_row_of_pixels_is_as_long_as_its_pixels():
    mask = np.zeros(SHAPE, bool)
    mask[7, 8, 9:16] = True

    found = measured(region_of(mask), grid((2.5, 0.8, 0.6)))

    assert found.longest_mm == pytest.approx(7 * 0.6)
    assert found.perpendicular_mm == pytest.approx(0.8)


def test_pixels_that_share_a_corner_are_one_outline_and_others_are_measured_apart():
    affine = grid((1.0, 1.0, 1.0))
    diagonal = np.zeros(SHAPE, bool)
    diagonal[7, [8, 9, 10, 11], [20, 21, 22, 23]] = True
    apart = np.zeros(SHAPE, bool)
    apart[7, 8, [20, 21, 22, 40, 41]] = True

    along = np.hypot(3, 3)  # between the middles of the first and the last pixel
    assert along < measured(region_of(diagonal), affine).longest_mm <= along + math.sqrt(2)
    assert measured(region_of(apart), affine).longest_mm == pytest.approx(3.0)


def test_a_hole_changes_no_diameter():
    affine = grid((1.25, 0.7, 0.7))
    whole = ball(9.0, (0, 0, 0), affine)
    hollow = region_of(whole.within(SHAPE) & ~ball(5.0, (0, 0, 0), affine).within(SHAPE))

    one, two = measured(whole, affine), measured(hollow, affine)

    assert (two.longest_mm, two.perpendicular_mm) == pytest.approx((one.longest_mm, one.perpendicular_mm))
    assert two.volume_ml < one.volume_ml


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", ["first", "last"])
def test_a_nodule_at_the_border_is_said_to_be_there(axis, end):
    affine = grid((2.5, 0.8, 0.6))
    start = [15, 30, 30]
    start[axis] = 0 if end == "first" else SHAPE[axis] - 3
    region = Region(np.ones((3, 3, 3), bool), tuple(start))

    assert measured(region, affine).at_border
    start[axis] += 1 if end == "first" else -1
    assert not measured(Region(region.mask, tuple(start)), affine).at_border


def test_the_side_is_that_of_the_lung_it_lies_in():
    affine = grid((2.5, 0.8, 0.6), shape=WIDE)
    lungs = sides_of(np.s_[5:35, 10:80, 5:40], np.s_[5:35, 10:80, 60:95], affine, WIDE)

    assert measured(Region(np.ones((2, 3, 4), bool), (10, 20, 30)), affine, WIDE, lungs).side is Side.RIGHT
    assert measured(Region(np.ones((2, 3, 4), bool), (10, 20, 70)), affine, WIDE, lungs).side is Side.LEFT
    assert measured(Region(np.ones((2, 3, 4), bool), (10, 20, 48)), affine, WIDE, lungs).side is None
    assert measured(Region(np.ones((2, 3, 4), bool), (10, 20, 70)), affine, WIDE).side is None


def test_a_nodule_next_to_a_lung_has_its_side():
    affine = grid((2.5, 0.8, 0.6), shape=WIDE)
    lungs = sides_of(np.s_[5:35, 10:80, 5:40], np.s_[5:35, 10:80, 60:95], affine, WIDE)

    next_to_left = Region(np.ones((2, 3, 3), bool), (10, 20, 54))  # 3 pixels away
    assert measured(next_to_left, affine, WIDE, lungs).side is Side.LEFT
    assert measured(Region(np.ones((2, 3, 3), bool), (0, 0, 2)), affine, WIDE, lungs).side is None


@pytest.mark.parametrize(("column", "outside"), [(30, False), (42, False), (50, True)], ids=["in", "next to", "away"])
def test_what_lies_in_neither_lung_is_said_where_the_lungs_are_known(column, outside):
    affine = grid((2.5, 0.8, 0.6), shape=WIDE)
    lungs = sides_of(np.s_[5:35, 10:80, 5:40], np.s_[5:35, 10:80, 60:95], affine, WIDE)
    region = Region(np.ones((2, 3, 3), bool), (10, 20, column))

    assert measured(region, affine, WIDE, lungs).outside_lungs is outside
    assert not measured(region, affine, WIDE).outside_lungs


def test_an_empty_region_is_refused():
    region = Region(np.zeros((2, 2, 2), bool), (1, 1, 1))

    with pytest.raises(RefusedError, match="its region is empty") as error:
        measured(region, grid((1.0, 1.0, 1.0)))

    assert error.value.reason is Reason.EMPTY_RESULT
