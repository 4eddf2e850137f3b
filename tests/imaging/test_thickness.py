import numpy as np
import pytest
from highdicom import Volume

from imaging.thickness import frame_at, occupancy, samples

AFFINE = np.array([[-4.4, 0, 0, 10], [0, 0, 0.8, -20], [0, -0.8, 0, 30], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("along", [(0, 0, 1), (0.3, -0.4, 0.8), (-0.2, 0.7, 0.5)])
def test_a_frame_is_right_handed_and_its_second_axis_as_posterior_as_it_can_be(along):
    frame = frame_at(np.zeros(3), np.array(along, float))

    np.testing.assert_allclose(frame.axes @ frame.axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(frame.axes) == pytest.approx(1)
    assert frame.axes[1, 1] > 0
    assert frame.axes[0] @ [0, 1, 0] == pytest.approx(0)


def test_an_axis_from_front_to_back_is_refused():
    with pytest.raises(ValueError, match=r"must not run front to back, got \[0\.0, 1\.0, 0\.0\]"):
        frame_at(np.zeros(3), np.array([0.0, 1.0, 0.0]))


def test_voxels_along_a_line_are_counted():
    mask = np.zeros((5, 40, 40), bool)
    mask[1:4, 10:25, 5:30] = True
    volume = Volume(mask, AFFINE, "PATIENT")
    middle = volume.map_indices_to_reference(np.array([[2, 17, 17]]))[0]

    lines = occupancy(volume, frame_at(middle, np.array([0, 0, 1.0])), np.zeros(1), np.zeros(1), samples(-20, 20))

    assert lines.sum() * 0.25 == pytest.approx(15 * 0.8, abs=0.02)


def test_between_two_slices_the_mean_of_their_counts_is_found():
    mask = np.zeros((2, 40, 40), bool)
    mask[0, 10:20] = mask[1, 10:30] = True
    volume = Volume(mask, AFFINE, "PATIENT")
    between = volume.map_indices_to_reference(np.array([[0.5, 17.0, 20.0]]))[0]

    lines = occupancy(volume, frame_at(between, np.array([0, 0, 1.0])), np.zeros(1), np.zeros(1), samples(-30, 30))

    assert lines.sum() * 0.25 == pytest.approx(15 * 0.8, abs=0.02)


def test_an_empty_mask_has_no_thickness():
    volume = Volume(np.zeros((2, 3, 4), bool), AFFINE, "PATIENT")

    lines = occupancy(volume, frame_at(np.zeros(3), np.array([0, 0, 1.0])), np.zeros(2), np.zeros(3), np.zeros(4))

    assert lines.shape == (2, 3, 4)
    assert not lines.any()
