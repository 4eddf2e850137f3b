import dataclasses
import functools

import highdicom
import numpy as np
import pytest

from imaging.crop_air import crop_air
from imaging.head_phantom import BRAIN_TISSUES, T1W_SIGNAL, Tissue, label_head
from imaging.model_package import ModelInput
from imaging.prepare_image import prepare_image
from imaging.resample import model_geometry
from imaging.restore_mask import restore_mask
from tests.phantoms import oblique_affine, voxel_centres_mm

MARGIN_MM = 10.0
WANTED = ModelInput(spacing_mm=(2.0,) * 3, multiple=(16,) * 3, maximum=(144,) * 3, margin_mm=MARGIN_MM)
SPACING_MM = (4.0, 3.2, 3.2)
SHAPE = (62, 80, 80)  # 250 x 256 x 256 mm: more air than head
SIGNAL = np.array([T1W_SIGNAL[tissue] for tissue in Tissue], np.float32)


@functools.cache
def head(degrees=(8, 0, 0)):
    """Labels of the phantom and their affine, oblique and beside the middle."""
    affine = oblique_affine(degrees, SPACING_MM)
    affine[:3, 3] = np.array([6.0, 2.0, -22.0]) - affine[:3, :3] @ ((np.array(SHAPE) - 1) / 2)
    return label_head(voxel_centres_mm(SHAPE, affine)), affine


def noisy(signal, rng, level=0.015):
    """Rician noise, as a fraction of the signal of fat."""
    noise = rng.normal(0, 900 * level, (2, *signal.shape))
    return np.hypot(signal + noise[0], noise[1]).astype(np.float32)


def volume(array, affine):
    return highdicom.Volume(array.astype(np.float32), affine, "PATIENT")


def whole_grid(affine):
    """The shape without a crop."""
    return model_geometry(volume(np.zeros(SHAPE), affine), WANTED.spacing_mm, WANTED.multiple, WANTED.maximum).shape


def brain_mm_inside(image, labels, affine):
    """Distance in mm from the brain to each side of an image, negative where it is cut."""
    places = voxel_centres_mm(labels.shape, affine)[np.isin(labels, BRAIN_TISSUES)]
    index = (places - image.affine[:3, 3]) @ np.linalg.inv(image.affine[:3, :3]).T
    low, high = index.min(axis=0) + 0.5, np.array(image.shape) - 0.5 - index.max(axis=0)
    return np.minimum(low, high) * image.spacing


def ghosts(signal, _labels):
    return signal + 0.2 * np.roll(signal, signal.shape[1] // 2, axis=1)


def wrapped(signal, _labels):
    return np.roll(signal, SHAPE[1] // 2, axis=1)


def bright_eyes(signal, labels):
    return np.where(labels == Tissue.EYE, 5000, signal)


def bright_fat(signal, labels):
    return np.where(labels == Tissue.FAT, 2500, signal)


def defaced(signal, _labels):
    signal = signal.copy()
    signal[: signal.shape[0] // 2, : signal.shape[1] // 3] = 0
    return signal


def brain_only(signal, labels):
    return np.where(np.isin(labels, BRAIN_TISSUES), signal, 0)


def strong_bias(signal, _labels):
    """The back of the head has a fifth of the signal of its front, the left side half of that of the right."""
    ramps = np.linspace(1, 0.2, signal.shape[1])[:, None] * np.linspace(1, 0.5, signal.shape[2])
    return signal * ramps


def neck_coil(signal, _labels):
    """A coil lights up the lower slices."""
    return signal * np.linspace(4, 1, signal.shape[0])[:, None, None]


SCENES = (ghosts, bright_eyes, bright_fat, defaced, brain_only, strong_bias, neck_coil)


@pytest.mark.parametrize("scene", SCENES)
def test_the_brain_is_never_cut(scene, rng):
    labels, affine = head()
    signal = scene(SIGNAL[labels], labels)

    image = prepare_image(volume(noisy(signal, rng), affine), WANTED)

    assert brain_mm_inside(image, labels, affine).min() >= MARGIN_MM - 3


@pytest.mark.parametrize("degrees", [(0, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 30, 0), (0, 0, -30), (25, -20, 15)])
@pytest.mark.parametrize("level", [0.0, 0.05])
def test_the_brain_is_never_cut_however_it_is_turned_and_however_noisy_the_air(degrees, level, rng):
    labels, affine = head(degrees)

    image = prepare_image(volume(noisy(SIGNAL[labels], rng, level), affine), WANTED)

    assert brain_mm_inside(image, labels, affine).min() >= MARGIN_MM
    assert all(size % 16 == 0 for size in image.shape)


def test_a_brain_that_wraps_around_keeps_both_ends(rng):
    labels, affine = head()
    image = prepare_image(volume(noisy(wrapped(SIGNAL[labels], labels), rng), affine), WANTED)

    assert image.shape[1] == whole_grid(affine)[1]


def test_air_around_the_head_is_left_out(rng):
    labels, affine = head()

    image = prepare_image(volume(noisy(SIGNAL[labels], rng), affine), WANTED)

    assert np.prod(image.shape) <= 0.75 * np.prod(whole_grid(affine))


@pytest.mark.parametrize("level", [0.08, 0.2])
def test_where_air_is_as_bright_as_tissue_nothing_is_left_out(level, rng):
    labels, affine = head()

    image = prepare_image(volume(noisy(SIGNAL[labels], rng, level), affine), WANTED)

    assert image.shape == whole_grid(affine)


def test_without_a_margin_all_air_stays(rng):
    labels, affine = head()
    wanted = dataclasses.replace(WANTED, margin_mm=None)

    assert prepare_image(volume(noisy(SIGNAL[labels], rng), affine), wanted).shape == whole_grid(affine)


def test_an_image_without_anything_bright_stays_whole():
    dark = volume(np.zeros((32, 48, 64)), np.diag([2.0, 2, 2, 1]))

    assert crop_air(dark, 10.0, 16).shape == (32, 48, 64)


def test_a_speck_of_noise_is_air():
    array = np.zeros((64, 96, 96))
    array[20:40, 40:60, 40:60] = 1
    array[:40, 2:4, 2:4] = 1  # 16 mm2 in each slice, 320 mm2 in each row and column

    found = crop_air(volume(array, np.diag([2.0, 2, 2, 1])), 10.0, 16)

    assert found.shape == (32, 32, 32)


@pytest.mark.parametrize(("width", "shape"), [(9, (32, 32, 32)), (10, (48, 32, 32))])
def test_a_plane_is_not_air_from_four_square_centimetres_on(width, shape):
    array = np.zeros((64, 96, 96))
    array[26:38, 40:52, 40:52] = 1
    array[1, 40 : 40 + width, 40:50] = 1  # 90 or 100 voxels of 4 mm2

    assert crop_air(volume(array, np.diag([2.0, 2, 2, 1])), 10.0, 16).shape == shape


def test_at_the_border_of_the_image_the_part_ends_there():
    array = np.zeros((64, 96, 96))
    array[:20, 70:, 40:60] = 1

    found = crop_air(volume(array, np.diag([2.0, 2, 2, 1])), 10.0, 16)

    assert found.shape == (32, 32, 32)
    assert found.affine[:3, 3].tolist() == [0, 128, 68]


def test_what_is_left_out_is_background(rng):
    """The way back: a network that takes the crop for brain throughout says nothing about the rest."""
    labels, affine = head()
    source = volume(noisy(SIGNAL[labels], rng), affine)
    image = prepare_image(source, WANTED)

    mask = restore_mask(image.with_array(np.full(image.shape, 9, np.float32)), source).array

    places = voxel_centres_mm(SHAPE, affine) - image.affine[:3, 3]
    index = places @ np.linalg.inv(image.affine[:3, :3]).T
    within = ((index >= -0.5) & (index <= np.array(image.shape) - 0.5)).all(axis=-1)
    assert (mask == within).all()
    assert 0.2 < mask.mean() < 0.9
