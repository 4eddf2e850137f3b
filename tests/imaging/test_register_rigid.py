import numpy as np
import pytest
from highdicom import Volume
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from imaging.align_sequences import align
from imaging.outcome import Reason, RefusedError
from imaging.register_rigid import register_rigid
from tests.pelvic_series import affine_about

SHAPE, SPACING_MM = (14, 40, 36), (4.0, 2.5, 2.6)
AFFINE = affine_about(SHAPE, SPACING_MM, (8, -5, 3), (0.0, 0.0, 0.0))
MOVING_SHAPE = (18, 30, 32)
MOVING_AFFINE = affine_about(MOVING_SHAPE, (4.0, 3.4, 3.1), (-6, 4, 9), (2.0, 1.0, -3.0))


@pytest.fixture(scope="module")
def fixed():
    texture = gaussian_filter(np.random.default_rng(4).normal(size=SHAPE), 2.0)
    return Volume(np.asarray(1000 + 4000 * texture, np.float32), AFFINE, "PATIENT", frame_of_reference_uid="1.2")


@pytest.fixture(scope="module")
def moving(fixed):
    """The same object on another grid, with another contrast."""
    grid = Volume(np.zeros(MOVING_SHAPE, np.float32), MOVING_AFFINE, "PATIENT").get_geometry()
    return np.asarray((align(fixed, grid).array / 1000 - 1.6) ** 2, np.float32)


def displaced(moving, matrix):
    return Volume(moving, matrix @ MOVING_AFFINE, "PATIENT", frame_of_reference_uid="1.3")


def rigid(degrees, shift_mm):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return matrix


@pytest.mark.parametrize(
    ("degrees", "shift_mm"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((3, -4, 2), (5, -6, 4)),
        ((-8, 6, 9), (12, -15, 10)),
        ((0, 2, 0), (60, 0, -400)),
    ],
)
def test_an_image_is_brought_back_to_where_it_was(fixed, moving, degrees, shift_mm):
    matrix = rigid(degrees, shift_mm)

    found = register_rigid(displaced(moving, matrix), fixed)

    left = found.matrix @ matrix
    corners = np.array([[-40, -40, -25, 1], [40, 40, 25, 1], [40, -40, 25, 1.0]])
    assert np.linalg.norm((corners @ left.T - corners)[:, :3], axis=1).max() < 1.0
    assert not found.after < found.before
    np.testing.assert_allclose(found.moved.affine, found.matrix @ matrix @ MOVING_AFFINE, atol=1e-9)
    assert found.moved.frame_of_reference_uid == "1.2"
    assert found.rotation_deg == pytest.approx(np.degrees(Rotation.from_matrix(matrix[:3, :3]).magnitude()), abs=1.5)


def test_it_ends_in_the_same_place_each_time(fixed, moving):
    first, second = (register_rigid(displaced(moving, rigid((2, 0, 0), (4, 0, 0))), fixed) for _ in range(2))

    np.testing.assert_array_equal(first.matrix, second.matrix)
    assert first.after == second.after
    assert "turned by" in first.summary()


@pytest.mark.parametrize("shift_mm", [(0, 0, 0), (0, 0, 500)])
def test_an_image_without_contrast_is_refused(fixed, shift_mm):
    blank = displaced(np.ones(MOVING_SHAPE, np.float32), rigid((0, 0, 0), shift_mm))

    with pytest.raises(RefusedError) as refused:
        register_rigid(blank, fixed)

    assert refused.value.reason is Reason.OTHER_FRAME


def test_an_image_that_has_nothing_in_common_with_the_other_is_refused_with_what_was_measured():
    """Noise."""
    shape = (20, 60, 56)
    affine = affine_about(shape, (3.0, 2.5, 2.5), (0, 0, 0), (0.0, 0.0, 0.0))
    rng = np.random.default_rng(5)
    one, other = (Volume(rng.random(shape).astype(np.float32), affine, "PATIENT") for _ in range(2))

    with pytest.raises(RefusedError, match=r"mutual information with the T2w series is 0\.0\d\d at best") as refused:
        register_rigid(one, other)

    assert refused.value.reason is Reason.OTHER_FRAME


def test_a_turn_that_is_more_than_a_patient_moves_is_refused(fixed, moving):
    with pytest.raises(RefusedError, match="more than a patient moves"):
        register_rigid(displaced(moving, rigid((0, 0, 34), (0, 0, 0))), fixed)


def test_a_few_large_voxels_are_an_image_too(fixed):
    """Of one slice there is no slope across it; whatever comes of it is a place or a refusal, no failure."""
    with pytest.raises(RefusedError, match="does not fit"):
        register_rigid(Volume(np.eye(6, dtype=np.float32)[None], np.diag([5.0, 30, 30, 1]), "PATIENT"), fixed)


def test_the_record_says_what_was_done(fixed, moving):
    found = register_rigid(displaced(moving, rigid((0, 0, 0), (0, 0, 500))), fixed)

    facts = found.facts()
    assert (facts["information_before_nats"], facts["start"]) == (None, "centres")
    assert facts["information_after_nats"] == pytest.approx(found.after, abs=1e-5)
    assert facts["shift_of_centre_mm"] == pytest.approx((0, 0, -500), abs=1.0)
    np.testing.assert_allclose(facts["matrix_moving_to_fixed_mm"], found.matrix, atol=1e-6)
    assert "none before" in found.summary()
