import numpy as np
import pytest
from highdicom import Volume

from imaging.chest_phantom import LEFT_LUNG, NODULES, RIGHT_LUNG, ct_noise, nodule_region, paint_chest
from imaging.lung_mask import SIDE_LABELS, Side, lung_mask
from imaging.outcome import Reason, RefusedError
from tests.phantoms import TURNS, turned, voxel_centres_mm

pytestmark = pytest.mark.system  # slow: many voxels

SHAPE = (60, 82, 80)
RIGHT, LEFT = SIDE_LABELS[Side.RIGHT], SIDE_LABELS[Side.LEFT]


def chest_affine():
    """Slices from the head down, rows to the back, columns to the left; the phantom's middle in the middle."""
    affine = np.eye(4)
    affine[:3, :3] = np.array([(0, 0, -1), (0, 1, 0), (1, 0, 0)]).T * (4.5, 4.0, 4.1)
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return affine


AFFINE = chest_affine()


@pytest.fixture(scope="module")
def places():
    return voxel_centres_mm(SHAPE, AFFINE)


@pytest.fixture(scope="module")
def chest():
    hu = paint_chest(SHAPE, AFFINE, edge_mm=4.0) + ct_noise(SHAPE, 15.0, np.random.default_rng(0))
    hu.setflags(write=False)
    return hu


@pytest.fixture(scope="module")
def found(chest):
    return lung_mask(Volume(chest, AFFINE, "PATIENT"))


def masked(hu, affine=AFFINE):
    return lung_mask(Volume(np.asarray(hu, np.float32), affine, "PATIENT"))


def near(lung, places, by_mm=0.0):
    """Voxels within a distance of a lung's outer surface."""
    x, y, z = np.moveaxis(places, -1, 0).astype(np.float32)
    return lung.distance_mm(x, y, z) <= by_mm


def refused(hu, affine=AFFINE):
    with pytest.raises(RefusedError) as error:
        masked(hu, affine)
    assert error.value.reason is Reason.EMPTY_RESULT
    return str(error.value)


def test_both_lungs_are_found_whole_on_their_sides(chest, found, places):
    for lung, label in ((RIGHT_LUNG, RIGHT), (LEFT_LUNG, LEFT)):
        own = found.sides.array == label
        air = near(lung, places, -3) & (chest < -700)
        assert (own & air).sum() > 0.97 * air.sum()
        assert (own & ~near(lung, places, 12)).sum() < 0.01 * own.sum()


def test_volumes_are_those_of_the_masks_and_nothing_is_suspicious(found):
    voxel_ml = 4.5 * 4.0 * 4.1 / 1000

    assert found.right_ml == pytest.approx((found.sides.array == RIGHT).sum() * voxel_ml)
    assert found.left_ml == pytest.approx((found.sides.array == LEFT).sum() * voxel_ml)
    assert found.right_ml > found.left_ml > 1000
    assert found.flags == ()


def test_the_mask_is_both_sides_on_the_grid_of_the_image(found):
    np.testing.assert_array_equal(found.mask.array, found.sides.array > 0)
    np.testing.assert_allclose(found.mask.affine, AFFINE)


@pytest.mark.parametrize("nodule", NODULES, ids=lambda one: one.name)
def test_nodules_lie_inside_also_that_against_the_pleura(found, nodule):
    region = nodule_region(nodule, SHAPE, AFFINE)

    assert found.mask.array[region.box][region.mask].mean() > 0.6  # a third of its voxels touch its surface


@pytest.mark.parametrize("place", [(1, -2, 120), (1, 3, 60), (62, -28, -128), (0, 72, 0), (26, -30, -46), (0, 100, 0)])
def test_trachea_stomach_spine_heart_and_skin_lie_outside(found, place):
    index = np.rint(np.linalg.solve(AFFINE, [*place, 1])[:3]).astype(int)

    assert not found.mask.array[tuple(index)]


def test_vessels_inside_are_filled(chest, found, places):
    deep = near(RIGHT_LUNG, places, -20) & (places[..., 0] < -50)
    vessels = deep & (chest > -400)

    assert vessels.sum() > 30
    assert found.mask.array[vessels].all()


def test_the_dome_of_the_diaphragm_is_not_filled(found, places):
    x, y, z = np.moveaxis(places, -1, 0)
    liver = (np.hypot(x + 66, y) < 20) & (z < -72) & (z > -90)

    assert found.mask.array[liver].mean() < 0.2


@pytest.mark.system
@pytest.mark.parametrize(("order", "signs"), TURNS[5::16])
def test_turning_the_array_turns_the_mask(chest, found, order, signs):
    array, affine = turned(chest, AFFINE, order, signs)
    expected, _ = turned(found.sides.array, AFFINE, order, signs)

    again = masked(array, affine)

    np.testing.assert_array_equal(again.sides.array, expected)
    np.testing.assert_allclose(again.sides.affine, affine, atol=1e-9)


@pytest.mark.system
def test_a_finer_grid_gives_the_same_lungs(chest, found):
    fine = np.kron(chest, np.ones((1, 3, 2), np.float32))
    affine = AFFINE.copy()
    affine[:3, 1] /= 3
    affine[:3, 2] /= 2
    affine[:3, 3] -= affine[:3, 1] + affine[:3, 2] / 2

    again = masked(fine, affine)

    assert again.sides.array.shape == fine.shape
    assert again.right_ml == pytest.approx(found.right_ml, rel=0.06)
    assert again.left_ml == pytest.approx(found.left_ml, rel=0.06)


@pytest.mark.parametrize(("lost", "kept", "name"), [(LEFT_LUNG, RIGHT, "left"), (RIGHT_LUNG, LEFT, "right")])
def test_a_single_lung_is_found_on_its_side_and_said(chest, places, lost, kept, name):
    hu = np.where(near(lost, places, 3), 40, chest)

    found = masked(hu)

    assert set(np.unique(found.sides.array)) == {0, kept}
    assert any(flag.text.startswith(f"No {name} lung was found") for flag in found.flags)


def test_lungs_that_touch_are_cut_in_two(chest, found, places):
    x, y, z = np.moveaxis(places, -1, 0)
    bridge = (np.abs(x) < 45) & (np.abs(y + 40) < 7) & (np.abs(z - 40) < 30)
    hu = np.where(bridge, -860, chest)

    joined = masked(hu)

    for label, volume_ml in ((RIGHT, found.right_ml), (LEFT, found.left_ml)):
        own = joined.sides.array == label
        assert (own & (found.sides.array == label)).sum() > 0.9 * (found.sides.array == label).sum()
        assert own.sum() * 4.5 * 4.0 * 4.1 / 1000 == pytest.approx(volume_ml, rel=0.12)


@pytest.mark.system
def test_an_arm_beside_the_body_with_air_between_is_no_lung(chest, found, places):
    x, y, _ = np.moveaxis(places, -1, 0)
    hu = np.concatenate([np.full((*SHAPE[:2], 20), -1000, np.float32), chest], axis=2)
    affine = AFFINE.copy()
    affine[:3, 3] -= 20 * affine[:3, 2]
    x, y, _ = np.moveaxis(voxel_centres_mm(hu.shape, affine), -1, 0)
    ring = np.hypot(x + 175, (y - 0) * 0.8)
    hu[(ring < 52) & (ring > 30) & (hu < -500)] = 45  # closes in a pocket of air in every slice

    again = masked(hu, affine)

    assert again.right_ml == pytest.approx(found.right_ml, rel=0.05)
    assert not again.mask.array[:, :, :20].any()


@pytest.mark.system
def test_clothes_as_dense_as_lung_are_none(chest, found, places):
    x, y, _ = np.moveaxis(places, -1, 0)
    radius = np.hypot(x / 150, y / 106)
    hu = np.where((radius > 1.06) & (radius < 1.25) & (y < 0), -850, chest)

    again = masked(hu)

    assert again.right_ml == pytest.approx(found.right_ml, rel=0.05)
    assert again.left_ml == pytest.approx(found.left_ml, rel=0.05)


@pytest.mark.system
@pytest.mark.parametrize(
    ("part", "border"),
    [
        (np.s_[:38], "lower"),
        (np.s_[18:], "upper"),
        (np.s_[:, :, 20:], "right"),
        (np.s_[:, :, :62], "left"),
        (np.s_[:, 28:], "front"),
        (np.s_[:, :54], "back"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_lung_that_the_field_of_view_cuts_is_found_and_the_border_named(chest, part, border):
    volume = Volume(chest, AFFINE, "PATIENT")[part]

    found = lung_mask(volume)

    assert found.right_ml > 600
    assert found.left_ml > 600
    assert any(flag.text.startswith("The field of view cuts the lungs") and border in flag.text for flag in found.flags)


def test_small_lungs_are_said_to_be_small(chest):
    affine = AFFINE.copy()
    affine[:3] *= 0.62  # a child of a quarter of the volume

    found = masked(chest, affine)

    assert any(flag.text.startswith("Implausible lung volume") or "is small" in flag.text for flag in found.flags)


def test_an_abdomen_with_gas_is_refused():
    hu = paint_chest(SHAPE, AFFINE, edge_mm=4.0, lungs=False)

    assert "0 mL of lung were found" in refused(hu)


def test_an_abdomen_with_the_bases_of_the_lungs_is_refused(chest):
    bases = Volume(chest, AFFINE, "PATIENT")[36:]

    assert "covers the chest" in refused(bases.array, bases.affine)


def test_a_head_is_refused(places):
    x, y, z = np.moveaxis(places, -1, 0)
    head = np.where(np.sqrt((x / 80) ** 2 + (y / 100) ** 2 + (z / 95) ** 2) < 1, 40.0, -1000.0)
    head[np.sqrt((x / 25) ** 2 + ((y + 60) / 25) ** 2 + ((z + 30) / 30) ** 2) < 1] = -1000  # sinuses

    assert "at least 500 mL" in refused(head)


@pytest.mark.parametrize("hu", [-1000.0, 40.0, -850.0])
def test_an_image_of_one_density_is_refused(hu):
    refused(np.full(SHAPE, hu))
