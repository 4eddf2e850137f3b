import math

import numpy as np
import pytest
from highdicom import Volume, VolumeGeometry

from imaging.classify_crop import heat_of, probability_of
from imaging.outcome import ModelError
from imaging.region import region_of
from tests.phantoms import oblique_affine

SHAPE = (12, 40, 44)


def source():
    return Volume(np.zeros(SHAPE, np.float32), oblique_affine(spacing_mm=(2.5, 0.7, 0.9)), "PATIENT")


def crop_about(volume, index, shape=(16, 32, 32), spacing_mm=1.0):
    """A finer grid around a voxel, its axes along those of the volume."""
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, :3] / np.array(volume.spacing) * spacing_mm
    centre = volume.map_indices_to_reference(np.array([index]))[0]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return VolumeGeometry(affine, shape, "PATIENT")


def block(*sides):
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return region_of(mask)


@pytest.mark.parametrize("logit", [-3.0, 0.0, 1.25])
def test_the_mean_of_a_map_is_the_logit(logit):
    evidence = np.full((1, 2, 4, 4), logit, np.float32)
    evidence[0, 0], evidence[0, 1] = logit - 2, logit + 2

    assert probability_of([evidence], 1.0) == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-6)


def test_a_logit_alone_has_a_probability_and_no_heat():
    volume = source()
    alone = np.array([0.8], np.float32)

    assert probability_of([alone], 1.0) == pytest.approx(1 / (1 + math.exp(-0.8)))
    assert (
        heat_of([alone], crop_about(volume, (6, 20, 20)), volume.get_geometry(), block((5, 7), (18, 22), (18, 22)))
        is None
    )


def test_a_temperature_above_one_draws_the_probability_to_one_half():
    evidence = [np.array([2.0], np.float32), np.array([4.0], np.float32)]

    assert probability_of(evidence, 2.0) == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert 0.5 < probability_of(evidence, 2.0) < probability_of(evidence, 1.0)


def test_a_value_that_is_no_number_is_an_error_of_the_model():
    with pytest.raises(ModelError, match="no number"):
        probability_of([np.array([np.nan], np.float32)], 1.0)


def test_the_heat_lies_where_the_evidence_is_in_millimetres():
    """Evidence in one coarse voxel of the map: the hottest source voxel is the one nearest to its centre."""
    volume, grid = source(), crop_about(source(), (6, 20, 22))
    evidence = np.full((1, 4, 8, 8), -1.0, np.float32)
    evidence[0, 1, 2, 6] = 3.0
    factor = np.array(grid.shape) / np.array(evidence.shape[1:])
    hot_mm = grid.map_indices_to_reference(((np.array([[1, 2, 6]]) + 0.5) * factor) - 0.5)[0]

    heat = heat_of([evidence], grid, volume.get_geometry(), block((3, 9), (8, 32), (8, 36)))

    hottest = np.array(np.unravel_index(heat.values.argmax(), heat.values.shape)) + heat.start
    found_mm = volume.map_indices_to_reference(hottest[None])[0]
    assert heat.values.max() == 1.0
    assert heat.values.min() == 0.0
    assert np.linalg.norm(found_mm - hot_mm) <= np.linalg.norm(volume.spacing) / 2 + 1e-6


def test_evidence_against_the_class_alone_gives_no_heat():
    volume = source()
    against = np.full((1, 4, 8, 8), -2.0, np.float32)

    heat = heat_of([against], crop_about(volume, (6, 20, 22)), volume.get_geometry(), block((5, 8), (18, 24), (18, 26)))

    assert not heat.values.any()


def test_the_heat_of_a_region_at_the_border_stays_within_the_volume():
    volume = source()
    evidence = np.ones((1, 4, 8, 8), np.float32)

    heat = heat_of([evidence], crop_about(volume, (0, 0, 43)), volume.get_geometry(), block((0, 2), (0, 5), (40, 44)))

    assert heat.start == (0, 0, 36)
    assert heat.values.shape == (6, 9, 8)
