import numpy as np
import pytest
from highdicom import Volume
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from imaging.mutual_information import MutualInformation
from tests.pelvic_series import affine_about
from tests.phantoms import TURNS, turned

SHAPE, SPACING_MM = (16, 40, 36), (4.0, 2.5, 2.6)
AFFINE = affine_about(SHAPE, SPACING_MM, (8, -5, 3), (7.0, -30.0, 12.0))
CENTRE_MM = (AFFINE @ [*((np.array(SHAPE) - 1) / 2), 1])[:3]
TEXTURE = gaussian_filter(np.random.default_rng(4).normal(size=SHAPE), (1.5, 2.5, 2.5))


def volume(array, affine=AFFINE):
    return Volume(np.asarray(array, np.float32), affine, "PATIENT")


def compared(fixed, moving, count=40_000):
    return MutualInformation.of(fixed, moving, smooth_mm=2.0, count=count)


def rigid(turn_rad, shift_mm):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(turn_rad).as_matrix()
    matrix[:3, 3] = CENTRE_MM - matrix[:3, :3] @ CENTRE_MM + shift_mm
    return matrix


@pytest.mark.parametrize("correlation", [0.3, 0.5, 0.8])
def test_what_one_gaussian_image_tells_of_another_is_known(correlation):
    """-1/2 ln(1 - r^2) (Cover and Thomas, Elements of Information Theory, 8.5); bins lose some of it."""
    one, other = np.random.default_rng(3).normal(size=(2, 40, 60, 50))
    mixed = correlation * one + np.sqrt(1 - correlation**2) * other
    found = MutualInformation.of(volume(one), volume(mixed), smooth_mm=0, count=100_000).at(np.eye(4))

    assert found == pytest.approx(-np.log(1 - correlation**2) / 2, rel=0.15)


def test_noise_tells_nothing_whatever_the_number_of_points():
    """Chance alone would give up to (31 * 31) / 2 n: 0.24 of 2000 points."""
    one, other = (volume(np.random.default_rng(seed).random(SHAPE)) for seed in (1, 2))

    for count in (2_000, 40_000):
        assert compared(one, other, count).at(np.eye(4)) == pytest.approx(0, abs=0.08)


def test_what_rises_and_falls_with_an_image_tells_as_much_as_what_falls_and_rises():
    """Of values alone, not of their order."""
    found = [compared(volume(TEXTURE), volume(sign * TEXTURE)).at(np.eye(4)) for sign in (1, -1)]

    assert found[0] == pytest.approx(found[1], rel=0.01)


@pytest.mark.parametrize(("order", "signs"), TURNS[::7])
def test_how_the_voxels_of_an_image_are_numbered_changes_nothing(order, signs):
    moving, transform = TEXTURE**2, rigid((0.05, -0.02, 0.03), (3, -2, 4))

    expected = compared(volume(TEXTURE), volume(moving))
    found = compared(volume(TEXTURE), volume(*turned(moving, AFFINE, order, signs)))

    assert found.at(transform) == pytest.approx(expected.at(transform), abs=1e-4)
    np.testing.assert_allclose(
        found.rising(transform, CENTRE_MM)[1], expected.rising(transform, CENTRE_MM)[1], rtol=1e-3, atol=1e-5
    )


def test_the_gradient_is_how_the_information_changes():
    """By differences of a turn and a shift after the transform: within 15 degrees, and a quarter of its length."""
    information = compared(volume(TEXTURE), volume(TEXTURE**2 + TEXTURE), 100_000)
    transform = rigid((0.06, -0.04, 0.05), (5, -6, 4))
    about = (transform @ [*CENTRE_MM, 1])[:3]
    steps = np.diag([0.02] * 3 + [1.0] * 3)

    def after(step):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix()
        turn[:3, 3] = about - turn[:3, :3] @ about + step[3:]
        return information.at(turn @ transform)

    differences = [(after(step) - after(-step)) / (2 * step.sum()) for step in steps]
    scale = np.array([60.0] * 3 + [1.0] * 3)
    expected, found = np.array(differences) / scale, information.rising(transform, about)[1] / scale
    assert found @ expected > np.cos(np.radians(15)) * np.linalg.norm(found) * np.linalg.norm(expected)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(expected), rel=0.25)


def test_images_that_do_not_meet_have_no_information():
    information = compared(volume(TEXTURE), volume(TEXTURE))
    away = rigid((0, 0, 0), (0, 0, 500))

    assert np.isnan(information.at(away))
    assert not information.rising(away, CENTRE_MM)[1].any()


def test_an_image_without_contrast_tells_nothing():
    assert compared(volume(TEXTURE), volume(np.full(SHAPE, 7))).at(np.eye(4)) == pytest.approx(0, abs=1e-9)


def test_a_single_slice_is_compared_too_and_rises_within_itself():
    """There is no slope across it, so nothing draws it there."""
    slice_ = volume(TEXTURE[8:9], AFFINE @ [[1, 0, 0, 8], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    information = MutualInformation.of(slice_, slice_, smooth_mm=1.0, count=20_000)

    told, rise = information.rising(rigid((0, 0, 0), tuple(2 * AFFINE[:3, 1] / SPACING_MM[1])), CENTRE_MM)

    across = AFFINE[:3, 0] / SPACING_MM[0]
    assert told > 0.1
    assert np.linalg.norm(rise[3:]) > 0
    assert abs(rise[3:] @ across) < 1e-9
