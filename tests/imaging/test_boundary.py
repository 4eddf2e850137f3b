"""What the way to the model grid and back costs at the boundary of a shape, measured in voxels."""

import highdicom
import numpy as np
import pytest

from imaging.resample import model_geometry
from imaging.restore_mask import restore_mask
from tests.phantoms import oblique_affine, voxel_centres_mm

SPACINGS_MM = [(4.0, 0.7, 0.7), (1.0, 1.0, 1.0), (2.5, 0.9, 1.2), (0.8, 2.2, 0.6), (5.0, 0.5, 0.5)]
MODEL_MM = 2.0


def source_of(spacing_mm):
    shape = tuple(int(60 / size) + 1 for size in spacing_mm)
    return highdicom.Volume(np.zeros(shape, np.float32), oblique_affine(spacing_mm=spacing_mm), "PATIENT")


def sphere(points_mm, source):
    """Signed distance to the surface of a ball off the centre of the voxels, negative inside."""
    centre_mm = (source.affine @ [*(np.array(source.shape) / 2 + 0.3), 1])[:3]
    return np.linalg.norm(points_mm - centre_mm, axis=-1) - 17.3


def plate(points_mm, source):
    """Signed distance to a plate of 6 mm across the slices, tilted against every axis of the voxels."""
    centre_mm = (source.affine @ [*(np.array(source.shape) / 2), 1])[:3]
    normal = np.array([0.3, -0.5, 0.81])
    return np.abs((points_mm - centre_mm) @ (normal / np.linalg.norm(normal))) - 3.0


def found_and_true(shape_of, spacing_mm, steepness):
    """The restored mask, and the signed distance of each source voxel; the network is right at each of its voxels."""
    source = source_of(spacing_mm)
    grid = model_geometry(source, MODEL_MM, 16, 144)
    away_mm = shape_of(voxel_centres_mm(grid.shape, grid.affine), source)
    logits = np.clip(-steepness * away_mm, -12, 12).astype(np.float32)
    mask = restore_mask(highdicom.Volume(logits, grid.affine, "PATIENT"), source)
    return mask.array, shape_of(voxel_centres_mm(source.shape, source.affine), source)


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
@pytest.mark.parametrize("shape_of", [sphere, plate])
def test_a_network_that_is_right_is_at_most_half_a_voxel_off_on_the_source(shape_of, spacing_mm):
    mask, away_mm = found_and_true(shape_of, spacing_mm, steepness=2.0)

    wrong = mask != (away_mm <= 0)

    assert mask.any()
    assert np.abs(away_mm[wrong]).max(initial=0.0) <= MODEL_MM / 2


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
@pytest.mark.parametrize("shape_of", [sphere, plate])
def test_a_network_that_only_says_yes_or_no_is_at_most_half_a_diagonal_off(shape_of, spacing_mm):
    mask, away_mm = found_and_true(shape_of, spacing_mm, steepness=1e6)

    wrong = mask != (away_mm <= 0)

    assert np.abs(away_mm[wrong]).max(initial=0.0) <= MODEL_MM * np.sqrt(3) / 2


@pytest.mark.parametrize("spacing_mm", SPACINGS_MM, ids=str)
def test_the_volume_of_a_sphere_survives_the_way_back(spacing_mm):
    mask, away_mm = found_and_true(sphere, spacing_mm, steepness=2.0)

    assert mask.sum() == pytest.approx((away_mm <= 0).sum(), rel=0.02)
