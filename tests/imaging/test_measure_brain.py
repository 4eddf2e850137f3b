import highdicom
import numpy as np
import pytest

from imaging.measure_brain import measure_brain
from imaging.outcome import RefusedError
from tests.phantoms import TURNS, oblique_affine, turned

SPACING_MM = (5.0, 2.0, 2.5)  # 25 microlitres a voxel


def mask_of(array, affine=None):
    affine = oblique_affine(spacing_mm=SPACING_MM) if affine is None else affine
    return highdicom.Volume(array, affine, "PATIENT")


def measured_on_tissue(mask):
    """The measurement on an image that is bright throughout."""
    return measure_brain(mask, mask.with_array(np.ones(mask.shape, np.float32)))


def box(slices=32, rows=40, columns=50, shape=(40, 60, 70)):
    array = np.zeros(shape, bool)
    array[4 : 4 + slices, 6 : 6 + rows, 9 : 9 + columns] = True
    return array


def test_the_volume_is_the_number_of_voxels_times_their_size():
    measured = measured_on_tissue(mask_of(box()))

    assert measured.volume_ml == pytest.approx(32 * 40 * 50 * 0.025)
    assert measured.flags == ()


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_turning_the_mask_changes_nothing(order, signs):
    array, affine = turned(box(), oblique_affine(spacing_mm=SPACING_MM), order, signs)

    measured = measured_on_tissue(mask_of(array, affine))

    assert measured.volume_ml == pytest.approx(1600.0)
    assert measured.flags == ()


@pytest.mark.parametrize(("slices", "rows", "volume"), [(1, 1, "1 mL"), (12, 40, "600 mL"), (32, 56, "2240 mL")])
def test_a_volume_no_brain_has_is_flagged_with_its_number(slices, rows, volume):
    flags = measured_on_tissue(mask_of(box(slices, rows, 50, (40, 80, 70)))).flags

    assert len(flags) == 1
    assert flags[0].startswith(f"Implausible brain volume: {volume}, expected 700 to 2200 mL")


@pytest.mark.parametrize(("slices", "volume_ml"), [(14, 700.0), (44, 2200.0)])
def test_the_limits_themselves_are_plausible(slices, volume_ml):
    straight = oblique_affine((0, 0, 0), SPACING_MM)
    measured = measured_on_tissue(mask_of(box(slices, 40, 50, (60, 60, 70)), straight))

    assert measured.volume_ml == pytest.approx(volume_ml)
    assert measured.flags == ()


def test_an_empty_mask_is_refused():
    with pytest.raises(RefusedError, match="none was found"):
        measured_on_tissue(mask_of(np.zeros((4, 5, 6), bool)))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
def test_a_mask_that_reaches_a_border_is_flagged(axis, end):
    array = box()
    np.moveaxis(array, axis, 0)[end, 10:20, 10:20] = True

    assert measured_on_tissue(mask_of(array)).flags == (
        "The mask reaches the border of the image: the brain may be cut by the field of view",
    )


def test_a_few_voxels_at_the_border_are_no_cut():
    array = box()
    array[0, :8, :10] = True  # 80 of 4200

    assert measured_on_tissue(mask_of(array)).flags == ()


@pytest.mark.parametrize(("dark", "flagged"), [(0.2, False), (0.5, True)])
def test_a_mask_that_is_dark_as_air_in_large_part_is_flagged(dark, flagged):
    """A fifth is CSF; half is a mask that lies beside the head."""
    mask = mask_of(box())
    image = np.full(mask.shape, 100, np.float32)
    image[4 : 4 + int(32 * dark)] = 1

    flags = measure_brain(mask, mask.with_array(image)).flags

    assert any("as dark as air" in flag for flag in flags) == flagged
