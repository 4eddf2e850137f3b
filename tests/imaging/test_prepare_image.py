from dataclasses import replace

import highdicom
import numpy as np
import pytest

from imaging.model_package import ModelInput
from imaging.outcome import ModelError, RefusedError
from imaging.prepare_image import prepare_image
from tests.phantoms import TURNS, oblique_affine, turned, voxel_centres_mm

WANTED = ModelInput(spacing_mm=(2.0,) * 3, multiple=(16,) * 3, maximum=(128,) * 3)
SHAPE = (12, 44, 35)
AFFINE = oblique_affine(spacing_mm=(3.0, 0.9, 1.2))


def image(array, affine=AFFINE):
    return highdicom.Volume(array.astype(np.float32), affine, "PATIENT", frame_of_reference_uid="1.2.3")


BRIGHT_MM = voxel_centres_mm(SHAPE, AFFINE)[7, 28, 12]  # in no symmetric place


def bright_spot():
    far = np.linalg.norm(voxel_centres_mm(SHAPE, AFFINE) - BRIGHT_MM, axis=-1)
    return 500 + 1000 * np.exp(-((far / 5) ** 2))


def test_the_network_gets_isotropic_voxels_within_zero_and_one():
    found = prepare_image(image(bright_spot()), WANTED)

    assert found.spacing == pytest.approx((2.0, 2.0, 2.0))
    assert all(size % 16 == 0 for size in found.shape)
    assert (found.array.min(), found.array.max()) == pytest.approx((0, 1), abs=0.1)
    assert found.array.dtype == np.float32


def test_beyond_the_source_the_image_is_as_dark_as_its_background():
    found = prepare_image(image(bright_spot()), WANTED)

    assert found.array[0, 0, 0] == 0
    assert found.array[-1, -1, -1] == 0


def test_what_is_bright_stays_where_it_is():
    found = prepare_image(image(bright_spot()), WANTED)

    shine = np.where(found.array > 0.2, found.array, 0)[..., None]
    centre_mm = (voxel_centres_mm(found.shape, found.affine) * shine).sum(axis=(0, 1, 2)) / shine.sum()
    assert np.linalg.norm(centre_mm - BRIGHT_MM) < 0.5


@pytest.mark.parametrize(("order", "signs"), TURNS[3::9])
def test_the_network_sees_the_same_however_the_source_is_numbered(order, signs):
    straight = prepare_image(image(bright_spot()), WANTED)

    found = prepare_image(image(*turned(bright_spot(), AFFINE, order, signs)), WANTED)

    assert found.affine == pytest.approx(straight.affine, abs=1e-9)
    assert np.abs(found.array - straight.array).max() < 0.01  # the window comes from a sample of the voxels


Z_SCORED = ModelInput(
    spacing_mm=(4.4, 1.25, 1.3), multiple=(8, 16, 16), maximum=(24, 64, 64), orientation="LFP", intensity="z_score"
)


def test_a_network_may_want_other_axes_voxels_and_intensities():
    array = bright_spot()

    found = prepare_image(image(array), Z_SCORED)

    assert found.spacing == pytest.approx((4.4, 1.25, 1.3))
    assert "".join(str(direction.value) for direction in found.get_closest_patient_orientation()) == "LFP"
    assert [size % multiple for size, multiple in zip(found.shape, (8, 16, 16), strict=True)] == [0, 0, 0]
    assert found.array.min() == pytest.approx((array.min() - array.mean()) / array.std(), abs=0.1)
    assert found.array[0, 0, 0] == pytest.approx(0, abs=1e-5)  # beyond the source: the mean
    brightest = np.unravel_index(found.array.argmax(), found.shape)
    assert np.linalg.norm(voxel_centres_mm(found.shape, found.affine)[brightest] - BRIGHT_MM) < 3


def test_an_image_without_contrast_is_refused():
    flat = highdicom.Volume(np.full((20, 21, 22), 7, np.float32), np.diag([2.0, 2, 2, 1]), "PATIENT")

    with pytest.raises(RefusedError, match="one value, 7"):
        prepare_image(flat, ModelInput(spacing_mm=(2.0,) * 3, multiple=(16,) * 3, maximum=(144,) * 3))


@pytest.mark.parametrize("intensity", ["hu_window", "percent"])
def test_a_network_that_wants_crops_or_an_unknown_scale_is_refused(intensity):
    with pytest.raises(ModelError, match=f"unit_range or z_score; this one wants '{intensity}'"):
        prepare_image(image(bright_spot()), replace(WANTED, intensity=intensity))
