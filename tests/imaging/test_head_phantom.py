import numpy as np
import pytest

from imaging.head_phantom import BRAIN_TISSUES, T1W_SIGNAL, Tissue, label_head

STEP_MM = 4.0
X, Y, Z = np.meshgrid(*[np.arange(-130, 131, STEP_MM)] * 3, indexing="ij")
POINTS_MM = np.stack([X, Y, Z], axis=-1)


@pytest.fixture(scope="module")
def labels():
    return label_head(POINTS_MM)


def centre_mm(labels, *tissues):
    return POINTS_MM[np.isin(labels, tissues)].mean(axis=0)


def test_each_tissue_occurs_and_has_a_signal(labels):
    assert set(np.unique(labels)) == set(Tissue)
    assert set(T1W_SIGNAL) == set(Tissue)


def test_the_brain_has_the_volume_of_a_brain(labels):
    volume_ml = np.isin(labels, BRAIN_TISSUES).sum() * STEP_MM**3 / 1000

    assert 1000 < volume_ml < 1700


def test_the_head_stands_in_air(labels):
    border = np.ones(labels.shape, bool)
    border[1:-1, 1:-1, 1:] = False  # the neck goes on below

    assert (labels[border & (Z > -130)] == Tissue.AIR).all()


def test_eyes_are_in_front_cerebellum_behind_and_cord_below(labels):
    brain = centre_mm(labels, *BRAIN_TISSUES)

    assert centre_mm(labels, Tissue.EYE)[1] < brain[1] - 50
    assert centre_mm(labels, Tissue.CEREBELLUM)[1] > brain[1] + 20
    assert centre_mm(labels, Tissue.SPINAL_CORD)[2] < brain[2] - 60


def test_left_and_right_differ_so_that_a_mirrored_image_shows(labels):
    left, right = ((labels == Tissue.VENTRICLE) & side for side in (X > 0, X < 0))

    assert left.sum() > 1.3 * right.sum()


def test_the_skull_parts_the_brain_from_the_scalp(labels):
    along = label_head(np.stack([np.arange(0, 120.0), np.zeros(120), np.full(120, 15.0)], axis=-1))

    order = [Tissue(label) for label in dict.fromkeys(along.tolist())]
    outside = order[order.index(Tissue.CORTICAL_BONE) :]
    assert Tissue.CORTEX in order[: order.index(Tissue.CORTICAL_BONE)]
    assert outside[-3:] == [Tissue.FAT, Tissue.SKIN, Tissue.AIR]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 5, 4, 3)])
def test_the_label_of_a_place_does_not_depend_on_how_places_are_listed(shape, rng):
    places_mm = rng.uniform(-90, 90, shape)

    found = label_head(places_mm)

    one_by_one = [int(label_head(place[None])[0]) for place in places_mm.reshape(-1, 3)]
    assert found.shape == shape[:-1]
    assert found.reshape(-1).tolist() == one_by_one
