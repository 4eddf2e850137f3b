import math

import numpy as np
import pytest

from imaging.chest_phantom import (
    LEFT_LUNG,
    NODULES,
    RIGHT_LUNG,
    Nodule,
    ct_noise,
    nodule_fraction,
    nodule_region,
    paint_chest,
)
from imaging.write_chest_sample import ChestSeries, series_affine
from tests.phantoms import oblique_affine, turned

pytestmark = pytest.mark.system  # slow: many voxels

SMALL = ChestSeries(
    number=3, description="", shape=(60, 80, 80), spacing_mm=(4.5, 4.0, 4.0), kernel="LUNG", noise_hu=0.0, edge_mm=4.0
)


@pytest.fixture(scope="module")
def small():
    return paint_chest(SMALL.shape, series_affine(SMALL), edge_mm=SMALL.edge_mm)


def around(centre_mm, degrees=(0, 0, 0), spacing_mm=(1.0, 0.6, 0.8), shape=(44, 70, 60)):
    affine = oblique_affine(degrees, spacing_mm, (0, 0, 0))
    affine[:3, 3] = np.array(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def hu_at(place_mm):
    affine = np.eye(4)
    affine[:3, 3] = place_mm
    return float(paint_chest((1, 1, 1), affine, nodules=())[0, 0, 0])


@pytest.mark.parametrize("degrees", [(0, 0, 0), (20, -15, 10)], ids=str)
@pytest.mark.parametrize("nodule", [one for one in NODULES if one.in_lung], ids=lambda one: one.name)
def test_the_mask_of_a_nodule_has_its_volume_and_centre_on_any_grid(nodule, degrees):
    shape, affine = around(nodule.centre_mm, degrees)

    region = nodule_region(nodule, shape, affine)

    assert region.voxels * 0.48 / 1000 == pytest.approx(nodule.volume_ml, rel=0.03)
    centre = affine @ [*(np.argwhere(region.mask).mean(axis=0) + region.start), 1]
    np.testing.assert_allclose(centre[:3], nodule.centre_mm, atol=0.1)


def test_fractions_of_voxels_sum_up_to_the_exact_volume():
    nodule = NODULES[4]
    shape, affine = around(nodule.centre_mm, (20, -15, 10), spacing_mm=(2.0, 1.5, 1.8), shape=(20, 24, 24))

    assert nodule_fraction(nodule, shape, affine).sum() * 5.4 / 1000 == pytest.approx(nodule.volume_ml, rel=0.005)


def test_the_nodule_against_the_pleura_is_less_than_a_ball():
    (nodule,) = (one for one in NODULES if not one.in_lung)
    shape, affine = around(nodule.centre_mm)

    region = nodule_region(nodule, shape, affine)

    assert 0.5 * nodule.volume_ml < region.voxels * 0.48 / 1000 < 0.95 * nodule.volume_ml


def test_a_nodule_outside_a_grid_has_no_region():
    shape, affine = around((0, 0, 0), shape=(10, 10, 10))

    assert nodule_region(NODULES[0], shape, affine) is None


@pytest.mark.parametrize("nodule", NODULES, ids=lambda one: one.name)
def test_nodules_are_dense_and_stand_out_of_the_lung(nodule):
    shape, affine = around(nodule.centre_mm)
    hu = paint_chest(shape, affine)
    without = paint_chest(shape, affine, nodules=[other for other in NODULES if other is not nodule])
    inside = nodule_fraction(nodule, shape, affine) == 1

    assert np.median(hu[inside]) == pytest.approx(nodule.hu, abs=15)
    assert np.median(without[inside]) < -700
    assert nodule.distance_mm(*(np.array(value, np.float32) for value in nodule.centre_mm)) < 0


def test_half_of_the_step_lies_at_the_surface_of_a_nodule():
    nodule = NODULES[0]
    shape, affine = around(nodule.centre_mm)
    hu = paint_chest(shape, affine)

    half = (hu > -400) & (nodule_fraction(nodule, shape, affine) > 0)

    assert half.sum() * 0.48 / 1000 == pytest.approx(nodule.volume_ml, rel=0.1)


def test_spicules_reach_beyond_the_core():
    (nodule,) = (one for one in NODULES if one.spicules)
    shape, affine = around(nodule.centre_mm)
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1) @ affine[:3, :3].T + affine[:3, 3]
    away = np.linalg.norm(places - nodule.centre_mm, axis=-1) - nodule.reach_mm

    dense = paint_chest(shape, affine, nodules=[nodule]) > -600

    assert dense[(away > 2) & (away < 4)].sum() > 3 * nodule.spicules
    assert not dense[(away > 9) & (away < 10)].all()


def test_left_and_right_lung_differ_and_lie_where_a_patient_has_them(small):
    lung = small < -500
    x = series_affine(SMALL)[0, 3] + 4.0 * np.arange(80)
    # the trunk's own lungs: away from the air around it
    right, left = (lung[:, 20:60, (side * x > 25) & (side * x < 115)].sum() for side in (-1, 1))

    assert right > 1.15 * left
    assert hu_at((26, -30, -46)) > 0 > -700 > hu_at((-60, -30, -40))  # the heart lies at the left
    assert RIGHT_LUNG.dome_mm > LEFT_LUNG.dome_mm


def test_the_trachea_is_air_and_the_stomach_holds_gas():
    assert hu_at((1, -2, 100)) < -950
    assert hu_at((62, -28, -128)) < -950
    assert 0 < hu_at((-62, -28, -128)) < 100


def test_the_image_does_not_depend_on_how_the_voxels_are_numbered(small):
    array, affine = turned(small, series_affine(SMALL), (2, 0, 1), (1, -1, 1))

    again = paint_chest(array.shape, affine, edge_mm=SMALL.edge_mm)

    np.testing.assert_allclose(again, array, atol=0.5)


def test_a_turned_grid_shows_the_same_chest():
    place = np.array([-76.0, -18.0, 62.0])
    shape, affine = around(place, (20, -15, 10), shape=(21, 21, 21))

    values = paint_chest(shape, affine)

    for index in ((10, 10, 10), (10, 10, 13), (3, 18, 5)):
        own = np.eye(4)
        own[:3, 3] = (affine @ [*index, 1])[:3]
        assert values[index] == pytest.approx(float(paint_chest((1, 1, 1), own)[0, 0, 0]), abs=1.0)


def test_without_lungs_no_air_is_inside_but_the_gas_of_the_stomach():
    hu = paint_chest(SMALL.shape, series_affine(SMALL), edge_mm=SMALL.edge_mm, lungs=False)

    assert (hu[:, 30:50, 30:50] > -200).mean() > 0.99


def test_nodules_do_not_touch():
    for number, one in enumerate(NODULES):
        for other in NODULES[number + 1 :]:
            assert math.dist(one.centre_mm, other.centre_mm) > one.reach_mm + other.reach_mm + 15


def test_noise_has_its_size_and_no_correlation_across_slices():
    noise = ct_noise((12, 90, 80), 30.0, np.random.default_rng(1))

    assert noise.std() == pytest.approx(30, rel=0.05)
    assert abs(np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1]) < 0.02
    assert np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1] > 0.2


def test_an_ellipsoid_has_the_volume_of_its_axes():
    nodule = Nodule(name="", centre_mm=(0, 0, 0), semi_axes_mm=(6, 4, 3))

    assert nodule.volume_ml == pytest.approx(4 / 3 * math.pi * 72 / 1000)
    assert (nodule.longest_mm, nodule.perpendicular_mm) == (12, 8)
