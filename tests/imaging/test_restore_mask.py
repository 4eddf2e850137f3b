import highdicom
import numpy as np
import pytest
from scipy import ndimage

from imaging.resample import model_geometry, resample
from imaging.restore_mask import restore_mask, restore_probability
from tests.phantoms import TURNS, oblique_affine, turned, voxel_centres_mm

SHAPE = (20, 50, 41)
AFFINE = oblique_affine(spacing_mm=(2.5, 0.9, 1.2))
CENTRE_MM = (AFFINE @ [9, 24, 22, 1])[:3]
RADIUS_MM = 13.0


def source(affine=AFFINE, shape=SHAPE):
    return highdicom.Volume(np.zeros(shape, np.float32), affine, "PATIENT", frame_of_reference_uid="1.2.3")


def logits(steepness=2.0, spacing_mm=2.0):
    """Of a network that is sure inside a ball and sure outside it."""
    grid = model_geometry(source(), spacing_mm, 8, 128)
    distance_mm = np.linalg.norm(voxel_centres_mm(grid.shape, grid.affine) - CENTRE_MM, axis=-1) - RADIUS_MM
    return highdicom.Volume((-steepness * distance_mm).astype(np.float32), grid.affine, "PATIENT")


def distance_mm(volume):
    return np.linalg.norm(voxel_centres_mm(volume.shape, volume.affine) - CENTRE_MM, axis=-1) - RADIUS_MM


def test_the_mask_lies_on_the_source_within_half_a_coarse_voxel():
    mask = restore_mask(logits(), source())

    away_mm = distance_mm(mask)
    wrong = mask.array != (away_mm <= 0)
    assert mask.array.dtype == bool
    assert mask.shape == SHAPE
    assert mask.affine == pytest.approx(AFFINE)
    assert np.abs(away_mm[wrong]).max(initial=0) <= 1.0


@pytest.mark.parametrize(("order", "signs"), TURNS[4::9])
def test_each_numbering_of_the_source_gets_the_same_mask(order, signs):
    straight = restore_mask(logits(), source()).array
    wanted, affine = turned(straight, AFFINE, order, signs)

    found = restore_mask(logits(), source(affine, wanted.shape)).array

    assert (found == wanted).mean() > 0.9999  # a voxel exactly on the boundary may round either way


def test_a_higher_threshold_takes_less():
    volumes = [restore_mask(logits(0.5), source(), threshold=each).array.sum() for each in (0.1, 0.5, 0.9)]

    assert volumes[0] > volumes[1] > volumes[2] > 0


def test_extreme_logits_do_no_harm():
    sure = logits(1e30)

    mask = restore_mask(sure, source())

    assert mask.array.any()
    assert not mask.array.all()


def test_where_the_network_did_not_look_is_background():
    grid = model_geometry(source(), 2.0, 8, 8)  # 16 mm in the middle
    everything = highdicom.Volume(np.full(grid.shape, 50.0, np.float32), grid.affine, "PATIENT")

    mask = restore_mask(everything, source())

    middle_mm = (AFFINE @ [*(np.array(SHAPE) - 1) / 2, 1])[:3]
    off_mm = (voxel_centres_mm(SHAPE, AFFINE) - middle_mm) @ (AFFINE[:3, :3] / mask.spacing)
    assert (mask.array == (np.abs(off_mm) <= 8.0001).all(axis=-1)).all()


def test_background_beyond_the_field_of_view_does_not_eat_the_outermost_slices():
    """A slab all of brain: outside it the network says background, as it saw nothing there."""
    slab = highdicom.Volume(np.zeros((7, 30, 34), np.float32), np.diag([3.0, 1.5, 1.25, 1]), "PATIENT")
    grid = model_geometry(slab, 2.0, 16, 144)
    inside = resample(slab.with_array(np.ones(slab.shape, np.float32)), grid).array > 0
    seen = highdicom.Volume(np.where(inside, 6, -6).astype(np.float32), grid.affine, "PATIENT")

    assert restore_mask(seen, slab).array.all()


@pytest.mark.parametrize("spacing_mm", [(2.5, 0.9, 1.2), (5.0, 1.0, 1.0), (1.0, 4.0, 3.0)])
@pytest.mark.parametrize(("order", "signs"), TURNS[2::15])
def test_looking_only_about_the_object_changes_no_voxel(spacing_mm, order, signs, rng):
    """The oracle resamples everything."""
    affine = oblique_affine(spacing_mm=spacing_mm)
    image = highdicom.Volume(*turned(np.zeros((20, 30, 31), np.float32), affine, order, signs), "PATIENT")
    grid = model_geometry(image, 2.0, 1, 128)
    spots = ndimage.gaussian_filter(rng.normal(size=grid.shape), 2.0) * 40 - 6
    seen = highdicom.Volume(spots.astype(np.float32), grid.affine, "PATIENT")
    part = seen[2:-2, 1:, :-3]  # sides within the field of view

    mask = restore_mask(part, image).array

    probability = part.with_array(1 / (1 + np.exp(-part.array)))
    assert 0 < mask.mean() < 0.5
    assert (mask == (resample(probability, image.get_geometry()).array > 0.5)).all()


def test_a_network_that_finds_nothing_gives_an_empty_mask():
    assert not restore_mask(logits().with_array(np.full(logits().shape, -9, np.float32)), source()).array.any()


def test_the_probability_on_the_source_is_that_of_the_network():
    found = restore_probability(logits(0.5), source())

    assert found.shape == SHAPE
    assert found.affine == pytest.approx(AFFINE)
    assert found.array.dtype == np.float32
    expected = 1 / (1 + np.exp(0.5 * distance_mm(found)))
    assert (
        np.abs(found.array - expected)[2:-2, 3:-3, 3:-3].max() < 0.08
    )  # interpolated over 2 mm, smoothed along slices
    assert 0 <= found.array.min() < 0.01
    assert 0.98 < found.array.max() <= 1


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("spacing_mm", [(2.5, 0.9, 1.2), (5.0, 1.0, 1.0)])
def test_the_mask_is_where_the_probability_exceeds_the_threshold(spacing_mm, threshold, rng):
    image = source(oblique_affine(spacing_mm=spacing_mm))
    grid = model_geometry(image, 2.0, 8, 128)
    spots = ndimage.gaussian_filter(rng.normal(size=grid.shape), 2.0) * 40 - 3
    seen = highdicom.Volume(spots.astype(np.float32), grid.affine, "PATIENT")

    mask = restore_mask(seen, image, threshold=threshold).array

    assert 0 < mask.mean() < 0.6
    assert (mask == (restore_probability(seen, image).array > threshold)).all()


def test_where_the_network_did_not_look_the_probability_is_zero():
    grid = model_geometry(source(), 2.0, 8, 8)  # 16 mm in the middle
    everything = highdicom.Volume(np.full(grid.shape, 50.0, np.float32), grid.affine, "PATIENT")

    probability = restore_probability(everything, source()).array

    assert ((probability > 0.5) == restore_mask(everything, source()).array).all()
    assert np.isin(probability, (0, 1)).all()
