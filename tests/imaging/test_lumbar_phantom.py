import numpy as np
import pytest

from imaging.lumbar_phantom import (
    BODIES,
    SACRUM,
    STIR_SIGNAL,
    T1W_SIGNAL,
    T2W_SIGNAL,
    Body,
    Tissue,
    label_lumbar,
    number_bodies,
)


def column_at(x=0.0):
    y, z = np.meshgrid(np.arange(-120, 100, 1.0), np.arange(-170, 150, 1.0))
    points = np.stack([np.full(y.shape, x), y, z], axis=-1)
    return label_lumbar(points), number_bodies(points)


@pytest.mark.parametrize("signal", [T1W_SIGNAL, T2W_SIGNAL, STIR_SIGNAL])
def test_every_tissue_has_a_signal(signal):
    assert set(signal) == set(Tissue)


def test_every_tissue_is_drawn():
    seen = set().union(*(np.unique(column_at(x)[0]) for x in (0.0, 9.0, 15.0)))

    assert seen == set(map(int, Tissue))


@pytest.mark.parametrize("name", BODIES)
def test_the_volume_of_a_body_is_that_of_its_voxels(name):
    body = BODIES[name]
    grid = np.stack(np.meshgrid(*[np.arange(-30, 30, 0.5)] * 3, indexing="ij"), axis=-1)

    inside = body.holds(grid + np.array(body.centre_mm))

    assert np.count_nonzero(inside) * 0.125 / 1000 == pytest.approx(body.volume_ml, rel=0.01)


@pytest.mark.parametrize("name", BODIES)
def test_bodies_have_the_size_of_lumbar_ones(name):
    assert 20 < BODIES[name].volume_ml < 40


def test_bodies_do_not_touch():
    bodies = [*SACRUM[:1], *BODIES.values()]
    grid = np.stack(np.meshgrid(np.arange(-24, 25, 6.0), np.arange(-30, 45, 1.0), np.arange(-140, 130, 0.5)), axis=-1)

    count = sum(body.holds(grid, 1.2).astype(int) for body in bodies)

    assert count.max() == 1


def test_only_the_six_bodies_are_expected_and_the_sacrum_is_none():
    labels, numbers = column_at()

    assert set(np.unique(numbers)) == {0, 1, 2, 3, 4, 5, 6}
    assert set(np.unique(labels[numbers > 0])) == {Tissue.MARROW}
    assert not numbers[labels == Tissue.SACRUM].any()


def test_the_canal_lies_behind_the_bodies():
    labels, numbers = column_at()

    rows = [row for row in range(labels.shape[0]) if (numbers[row] > 0).any()]
    for row in rows[::10]:
        assert np.flatnonzero(labels[row] == Tissue.CSF).min() > np.flatnonzero(numbers[row]).max()


def test_left_and_right_differ():
    assert (label_lumbar(np.array([[9.0, -29.0, 0.0], [-9.0, -29.0, 0.0]]))[0]) == Tissue.VESSEL


def test_a_wedge_is_higher_in_front():
    body = Body((0, 0, 0), 0, 27, 24, 16, wedge_deg=10)

    assert body.height_at(np.float32(0), np.float32(10)) > body.height_at(np.float32(0), np.float32(-10))
