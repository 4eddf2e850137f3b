import itertools
import math

import numpy as np
import pytest
import SimpleITK

from imaging.measure_tumour import longest_diameter, longest_in_slice, measure_tumour
from imaging.region import region_of
from tests.phantoms import TURNS, turned, voxel_centres_mm
from tests.tumour_samples import AFFINE, CENTRE_MM, SHAPE, SPACING_MM, aligned, ellipsoid, field, volume

AXES_MM = (14.0, 10.0, 8.0)


@pytest.fixture(scope="module")
def mask():
    return ellipsoid(AXES_MM)


@pytest.fixture(scope="module")
def measured(mask):
    return measure_tumour(volume(mask), aligned(field(0), field(1), field(2)))


def test_an_ellipsoid_has_its_volume_its_axes_and_its_centre(measured):
    assert measured.volume_ml == pytest.approx(4 / 3 * math.pi * math.prod(AXES_MM) / 1000, rel=0.03)
    assert measured.longest.length_mm == pytest.approx(28, abs=1.2)
    np.testing.assert_allclose(measured.centre_mm, CENTRE_MM, atol=0.15)
    assert not measured.at_border
    assert measured.unseen == {}


def test_the_diameter_of_a_slice_lies_in_a_slice_and_is_not_longer_than_any(measured):
    ends = (np.array(measured.axial.ends_mm) - AFFINE[:3, 3]) @ np.linalg.inv(AFFINE[:3, :3]).T

    assert ends[0, 0] == pytest.approx(ends[1, 0])
    assert ends[0, 0] == pytest.approx(round(ends[0, 0]))
    assert measured.axial.length_mm <= measured.longest.length_mm


def test_the_ends_of_the_longest_diameter_are_that_far_apart(measured):
    assert math.dist(*measured.longest.ends_mm) == pytest.approx(measured.longest.length_mm)


def test_means_are_those_of_the_voxels_inside(mask, measured):
    assert measured.mean_t2w == pytest.approx(field(0)[mask].mean(), rel=1e-5)
    assert measured.mean_adc == pytest.approx(field(2)[mask].mean(), rel=1e-5)


def test_without_an_adc_map_there_is_no_mean_adc(mask):
    assert measure_tumour(volume(mask), aligned(field(0), field(1))).mean_adc is None


def test_nothing_is_measured_of_an_empty_mask():
    assert measure_tumour(volume(np.zeros(SHAPE, bool)), aligned()) is None


def test_where_the_adc_map_ends_within_the_tumour_the_mean_is_of_the_rest_and_the_part_is_known(mask):
    columns = np.arange(SHAPE[2]) < 22
    adc = np.where(columns, field(2), 0).astype(np.float32)

    found = measure_tumour(volume(mask), aligned(field(0), field(1), adc))

    assert found.mean_adc == pytest.approx(field(2)[mask & columns].mean(), rel=1e-5)
    assert set(found.unseen) == {"ADC"}
    assert found.unseen["ADC"] == pytest.approx(np.count_nonzero(mask & ~columns) / np.count_nonzero(mask))


@pytest.mark.parametrize(("more", "unseen"), [(0, {"DWI": 0.0}), (1, {}), (2, {})])
def test_a_sequence_that_ends_just_beside_the_tumour_is_known(mask, more, unseen):
    last = np.flatnonzero(mask.any(axis=(1, 2))).max()
    dwi = field(1)
    dwi[last + more + 1 :] = 0

    assert measure_tumour(volume(mask), aligned(field(0), dwi, field(2))).unseen == unseen


def test_a_tumour_at_the_edge_of_the_image_is_known():
    ball = ellipsoid((9, 9, 9), voxel_centres_mm(SHAPE, AFFINE)[6, 18, 40])

    assert measure_tumour(volume(ball), aligned()).at_border


@pytest.mark.parametrize("axis", range(3))
def test_a_row_of_voxels_is_so_many_voxel_sizes_long(axis):
    mask = np.zeros(SHAPE, bool)
    box = [slice(4, 5)] * 3
    box[axis] = slice(3, 10)
    mask[tuple(box)] = True

    assert longest_diameter(region_of(mask), AFFINE).length_mm == pytest.approx(7 * SPACING_MM[axis])


def every_face_mm(mask, affine, axes=(0, 1, 2)):
    """Middles of all faces between inside and outside, one voxel after the other."""
    padded = np.pad(mask, 1)
    faces = []
    for index in np.argwhere(padded):
        for axis, side in itertools.product(axes, (-1, 1)):
            step = np.eye(3, dtype=int)[axis] * side
            if not padded[tuple(index + step)]:
                faces.append(index - 1 + step / 2)
    return np.array(faces) @ affine[:3, :3].T + affine[:3, 3]


@pytest.mark.parametrize("seed", range(4))
def test_no_two_places_of_the_surface_are_farther_apart(seed):
    mask = np.random.default_rng(seed).random((4, 6, 5)) > 0.7

    found = longest_diameter(region_of(mask), AFFINE).length_mm

    faces = every_face_mm(mask, AFFINE)
    longest = np.linalg.norm(faces[:, None] - faces[None], axis=-1).max()
    assert found == pytest.approx(longest)


@pytest.mark.parametrize("seed", range(4))
def test_no_two_places_of_the_outline_in_any_slice_are_farther_apart(seed):
    mask = np.random.default_rng(seed).random((4, 6, 5)) > 0.7
    mask[2] = False

    found = longest_in_slice(region_of(mask), AFFINE).length_mm

    longest = 0.0
    for number in (0, 1, 3):
        faces = every_face_mm(mask[number : number + 1], AFFINE, axes=(1, 2))
        longest = max(longest, np.linalg.norm(faces[:, None] - faces[None], axis=-1).max())
    assert found == pytest.approx(longest)


def test_the_longest_diameter_of_a_slice_lies_in_its_slice():
    mask = np.zeros(SHAPE, bool)
    mask[3, 5, 6:9] = True
    mask[7, 9:17, 20] = True

    found = longest_in_slice(region_of(mask), AFFINE)

    assert found.length_mm == pytest.approx(8 * SPACING_MM[1])
    expected = np.array([[7, 8.5, 20], [7, 16.5, 20]]) @ AFFINE[:3, :3].T + AFFINE[:3, 3]
    np.testing.assert_allclose(sorted(found.ends_mm), sorted(map(tuple, expected)), atol=1e-6)


def test_the_longest_diameter_is_between_that_of_the_centres_and_a_voxel_more(mask):
    image = SimpleITK.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(SPACING_MM[::-1])
    judge = SimpleITK.LabelShapeStatisticsImageFilter()
    judge.ComputeFeretDiameterOn()
    judge.Execute(image)

    found = longest_diameter(region_of(mask), AFFINE).length_mm

    assert judge.GetFeretDiameter(1) <= found <= judge.GetFeretDiameter(1) + np.linalg.norm(SPACING_MM)


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_the_order_of_axes_does_not_change_the_longest_diameter(mask, measured, order, signs):
    array, affine = turned(mask, AFFINE, order, signs)

    found = longest_diameter(region_of(np.ascontiguousarray(array)), affine)

    assert found.length_mm == pytest.approx(measured.longest.length_mm)
