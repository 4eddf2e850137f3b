from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from highdicom import Volume

from imaging.align_sequences import align, align_sequences, overlap_with
from imaging.geometry import STRICT
from imaging.outcome import Reason, RefusedError
from imaging.pelvic_sequences import resolve_pelvis
from tests import tumour_samples
from tests.pelvic_series import ADC, T2, affine_about, loaded, write_diffusion, write_mr
from tests.phantoms import TURNS, oblique_affine, turned, voxel_centres_mm

T2_SHAPE, T2_MM = (12, 40, 36), (3.0, 1.0, 1.1)
DWI_SHAPE, DWI_MM = (10, 22, 20), (4.0, 2.3, 2.1)
T2_AFFINE = affine_about(T2_SHAPE, T2_MM, (14, -6, 3))
DWI_AFFINE = affine_about(DWI_SHAPE, DWI_MM, (-5, 9, -17), (5.0, -6.0, 21.0))
B_VALUES = (50, 400, 800)


def volume(array, affine):
    return Volume(np.asarray(array, np.float32), affine, "PATIENT", frame_of_reference_uid="1.2.3")


def by_itk(moving, onto):
    """The moving image on the other grid as SimpleITK has it."""
    images = []
    for one in (moving, onto):
        image = sitk.GetImageFromArray(one.array)
        image.SetDirection(one.direction[:, ::-1].flatten().tolist())
        image.SetSpacing([float(size) for size in one.spacing[::-1]])
        image.SetOrigin([float(value) for value in one.position])
        images.append(image)
    return sitk.GetArrayFromImage(sitk.Resample(*images, sitk.Transform(), sitk.sitkLinear, 0.0))


def blob(shape, affine):
    """A smooth, asymmetric object somewhere beside the middle: three Gaussians of different size."""
    places = voxel_centres_mm(shape, affine)
    parts = (((-2, -8, 18), 6, 900), ((8, -14, 24), 4, 600), ((3, 2, 26), 5, 300))
    return sum(peak * np.exp(-((places - at) ** 2).sum(-1) / (2 * size**2)) for at, size, peak in parts)


@pytest.mark.parametrize("degrees", [(0, 0, 0), (-5, 9, -17), (40, 10, 80), (90, 0, 0), (180, 0, 30)])
def test_it_is_what_simple_itk_makes_of_it(degrees):
    moving = volume(np.random.default_rng(2).random(DWI_SHAPE), affine_about(DWI_SHAPE, DWI_MM, degrees))
    onto = volume(np.zeros(T2_SHAPE), T2_AFFINE)

    found = align(moving, onto.get_geometry())

    np.testing.assert_allclose(found.array, by_itk(moving, onto), atol=1e-3)
    assert found.array.dtype == np.float32
    assert 0.1 < (found.array != 0).mean() < 1


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_how_the_voxels_of_an_image_are_numbered_changes_nothing(order, signs):
    array = np.random.default_rng(2).random(DWI_SHAPE).astype(np.float32)
    grid = volume(np.zeros(T2_SHAPE), T2_AFFINE).get_geometry()

    expected = align(volume(array, DWI_AFFINE), grid)
    found = align(volume(*turned(array, DWI_AFFINE, order, signs)), grid)

    np.testing.assert_allclose(found.array, expected.array, atol=1e-4)


def test_an_object_is_where_it_was_within_half_a_pixel():
    found = align(volume(blob(DWI_SHAPE, DWI_AFFINE), DWI_AFFINE), volume(np.zeros(T2_SHAPE), T2_AFFINE))

    places = voxel_centres_mm(T2_SHAPE, T2_AFFINE)
    truth = blob(T2_SHAPE, T2_AFFINE) * (found.array > 0)
    centre, expected = ((places * weight[..., None]).sum((0, 1, 2)) / weight.sum() for weight in (found.array, truth))
    assert np.linalg.norm(centre - expected) < 0.5 * min(T2_MM) / 2
    assert np.corrcoef(found.array.ravel(), truth.ravel())[0, 1] > 0.99


def test_values_hold_up_to_the_edge_of_the_outermost_voxels_and_are_0_beyond():
    moving = volume(np.full((3, 4, 5), 7), np.diag([4.0, 2.0, 2.0, 1.0]))
    fine = volume(np.zeros((20, 1, 1)), np.diag([1.0, 1.0, 1.0, 1.0]))
    fine = Volume(fine.array, np.array([[1, 0, 0, -4.5], [0, 1, 0, 2], [0, 0, 1, 2], [0, 0, 0, 1.0]]), "PATIENT")

    found = align(moving, fine.get_geometry()).array.ravel()

    places = np.arange(20) - 4.5
    np.testing.assert_array_equal(found, np.where((places > -2) & (places < 10), 7, 0))


def test_the_grid_itself_changes_nothing():
    array = np.random.default_rng(0).random(T2_SHAPE).astype(np.float32)
    same = volume(array, T2_AFFINE)

    np.testing.assert_allclose(align(same, same.get_geometry()).array, array, atol=1e-5)
    assert overlap_with(same, same.get_geometry()) == 1.0


def test_slices_that_lie_a_rounding_error_outside_are_not_lost():
    array = np.ones(T2_SHAPE, np.float32)
    shifted = T2_AFFINE.copy()
    shifted[:3, 3] += 1e-7

    assert align(volume(array, shifted), volume(array, T2_AFFINE).get_geometry()).array.all()


def test_the_overlap_is_the_part_of_the_grid_that_is_covered():
    grid = volume(np.zeros((10, 8, 6)), np.eye(4))
    half = np.eye(4)
    half[0, 3] = 5

    assert overlap_with(volume(np.zeros((10, 8, 6)), half), grid.get_geometry()) == pytest.approx(0.5)


# -- a whole study ---------------------------------------------------------------------------------------------------


def truth_of(affine, shape):
    """ADC in 1e-6 mm2/s, smooth, a function of the place alone."""
    return 1200 + blob(shape, affine)


def write_study(folder, *, adc=True, **elsewhere):
    write_mr(folder, 2, T2, 300 + blob(T2_SHAPE, T2_AFFINE), T2_AFFINE)
    truth = truth_of(DWI_AFFINE, DWI_SHAPE)
    signals = [3000 * np.exp(-b * truth * 1e-6) for b in B_VALUES]
    write_diffusion(folder, 4, B_VALUES, signals, DWI_AFFINE, **elsewhere)
    if adc:
        write_mr(folder, 5, ADC, truth, DWI_AFFINE, **elsewhere)
    return folder


def aligned_of(folder, *, register=False, policy=STRICT):
    sequences = resolve_pelvis(loaded(folder), other_frame=register)
    return align_sequences(sequences, register=register, policy=policy)


@pytest.mark.parametrize("adc", [True, False], ids=["map", "fitted"])
def test_all_sequences_lie_on_the_t2w_grid(tmp_path, adc):
    found = aligned_of(write_study(tmp_path, adc=adc))

    inside = found.adc.array > 0
    truth = truth_of(T2_AFFINE, T2_SHAPE)
    for one in (found.dwi, found.adc):
        assert one.shape == found.source.volume.shape == T2_SHAPE
        np.testing.assert_allclose(one.affine, T2_AFFINE, atol=1e-5)
    assert np.abs(found.adc.array - truth)[inside].mean() < 0.02 * truth.mean()
    expected = 3000 * np.exp(-800 * truth * 1e-6)
    assert np.abs(found.dwi.array - expected)[inside].mean() < 0.02 * expected.mean()
    assert (found.b_value, found.calculated, found.fitted) == (800, False, not adc)
    assert any("fitted to b = 50, 400, 800" in flag for flag in found.flags) is not adc
    assert found.facts["adc"]["unit"] == "1e-6 mm2/s"
    assert found.facts["dwi"]["overlap"] == pytest.approx(inside.mean(), abs=0.01)
    assert (found.fitted_adc is None) is adc


def test_what_is_missing_is_none(tmp_path):
    sequences = resolve_pelvis(loaded(write_study(tmp_path)))

    found = align_sequences(replace(sequences, dwi=None, adc=None), register=False, policy=STRICT)

    assert (found.dwi, found.adc) == (None, None)


def test_another_frame_of_reference_is_refused(tmp_path):
    sequences = resolve_pelvis(loaded(write_study(tmp_path, FrameOfReferenceUID="1.9")), other_frame=True)

    with pytest.raises(RefusedError, match="--register") as refused:
        align_sequences(sequences, register=False, policy=STRICT)

    assert refused.value.reason is Reason.OTHER_FRAME


def test_a_missing_slice_is_what_the_policy_says(tmp_path):
    write_study(tmp_path)
    (tmp_path / "4" / "b800" / "004.dcm").unlink()

    with pytest.raises(RefusedError) as refused:
        aligned_of(tmp_path)
    found = aligned_of(tmp_path, policy=replace(STRICT, max_gap_mm=9.0))

    assert refused.value.reason is Reason.MISSING_SLICE
    assert any(flag.startswith("diffusion: 1 of 10 slices missing") for flag in found.flags)


def test_too_little_overlap_is_refused(tmp_path):
    sequences = resolve_pelvis(loaded(write_study(tmp_path)))

    with pytest.raises(RefusedError, match="covers") as refused:
        align_sequences(sequences, register=False, policy=STRICT, min_overlap=1.01)

    assert refused.value.reason is Reason.OUTSIDE


@pytest.mark.system
def test_registration_finds_what_another_frame_of_reference_hides(tmp_path):
    """The diffusion series states positions 9 mm and 4 degrees aside of where it lies."""
    moved = oblique_affine((4, 0, 0), (1, 1, 1), (7, -5, 3))[:, [2, 1, 0, 3]] @ DWI_AFFINE
    texture = np.random.default_rng(8).random((7, 7, 7)) * 800

    def tissue(affine, shape):
        index = ((voxel_centres_mm(shape, affine) - [3, -8, 20]) / 9 + 3).clip(0, 6)
        low = index.astype(int).clip(0, 5)
        return 1000 + blob(shape, affine) + texture[tuple(np.moveaxis(low, -1, 0))]

    write_mr(tmp_path, 2, T2, 3000 - tissue(T2_AFFINE, T2_SHAPE), T2_AFFINE)
    signals = [3000 * np.exp(-b * tissue(DWI_AFFINE, DWI_SHAPE) * 1e-6) for b in B_VALUES]
    write_diffusion(tmp_path, 4, B_VALUES, signals, moved, FrameOfReferenceUID="1.9")
    write_mr(tmp_path, 5, ADC, tissue(DWI_AFFINE, DWI_SHAPE), moved, FrameOfReferenceUID="1.9")

    found = aligned_of(tmp_path, register=True)

    inside = found.adc.array > 0
    truth = tissue(T2_AFFINE, T2_SHAPE)
    assert np.corrcoef(found.adc.array[inside], truth[inside])[0, 1] > 0.9
    facts = found.facts["adc"]["registration"]
    assert facts == found.facts["dwi"]["registration"]
    assert facts["information_after_nats"] > facts["information_before_nats"]
    assert any("registered rigidly by its content" in flag for flag in found.flags)


def test_companions_have_the_names_that_readers_know():
    both = tumour_samples.aligned(dwi=tumour_samples.field(1), adc=tumour_samples.field(2))
    made = tumour_samples.aligned(
        dwi=tumour_samples.field(1), adc=tumour_samples.field(2), calculated=True, fitted=True
    )

    assert list(both.companions) == ["DWI, b = 800 s/mm2", "ADC"]
    assert list(made.companions) == ["DWI, b = 800 s/mm2, calculated", "ADC, fitted"]
    assert tumour_samples.aligned().companions == {}


def test_each_companion_says_whether_low_values_are_to_be_white(tmp_path):
    asked = {"PhotometricInterpretation": "MONOCHROME1"}

    both = aligned_of(write_study(tmp_path / "both", **asked))
    plain = aligned_of(write_study(tmp_path / "plain"))
    fitted = aligned_of(write_study(tmp_path / "fitted", adc=False, **asked))

    assert [one.inverted for one in both.companions.values()] == [True, True]
    assert [one.inverted for one in plain.companions.values()] == [False, False]
    assert [one.inverted for one in fitted.companions.values()] == [True, False]  # a fitted map is no stored image
    np.testing.assert_array_equal(both.adc.array, plain.adc.array)
