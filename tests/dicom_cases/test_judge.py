"""The judge must see what readers get wrong, and accept every right answer."""

import numpy as np
import pytest

from imaging.outcome import NothingEligibleError, Reason, RefusedError
from tests.dicom_cases.case import Case, Counts, Exact, NothingEligible, Refused, Resampled
from tests.dicom_cases.judge import Image, Observed, differences, image_differences
from tests.dicom_cases.phantom import PHANTOM, VOLUME_STEP, Grid
from tests.phantoms import TURNS, turned


def phantom(volume=0, grid=PHANTOM, **words):
    return Image(np.rint(grid.codes(volume)), grid.affine, **words)


def changed(image, **indices):
    """An image whose values are those of neighbours."""
    array = image.array.copy()
    for axis, step in indices.items():
        array = np.roll(array, step, "kji".index(axis))
    return Image(array, image.affine)


def judged(expected, *images, refusals=(), **observed):
    case = Case("case", "About.", lambda folder: None, expected)
    return list(differences(case, Observed(images, refusals, **observed)))


@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_voxels_may_be_numbered_in_any_order(order, signs):
    array, affine = turned(phantom().array, PHANTOM.affine, order, signs)

    assert not judged(Exact(), Image(array, affine))


@pytest.mark.parametrize("axis", "kji")
@pytest.mark.parametrize("step", [-1, 1])
def test_values_of_neighbours_are_wrong(axis, step):
    assert "wrong" in judged(Exact(), changed(phantom(), **{axis: step}))[0]


@pytest.mark.parametrize("axis", range(3))
def test_an_affine_that_is_one_voxel_off_is_wrong(axis):
    affine = PHANTOM.affine.copy()
    affine[:3, 3] += affine[:3, axis]

    assert judged(Exact(), Image(phantom().array, affine))


def test_an_affine_that_is_a_hundredth_of_a_millimetre_off_is_wrong():
    affine = PHANTOM.affine.copy()
    affine[0, 3] += 0.01

    assert "beside their places" in judged(Exact(), Image(phantom().array, affine))[0]


def test_swapped_pixel_spacings_are_wrong():
    spacing = np.linalg.norm(PHANTOM.affine[:3, :3], axis=0)
    affine = PHANTOM.affine.copy()
    affine[:3, :3] *= spacing[[0, 2, 1]] / spacing

    assert judged(Exact(), Image(phantom().array, affine))


def test_one_slice_of_another_volume_is_a_mixture():
    array = phantom().array.copy()
    array[2] += VOLUME_STEP

    assert "17% of the values" in judged(Exact(), Image(array, PHANTOM.affine))[0]


def test_a_value_that_is_not_a_number_is_wrong():
    array = phantom().array.copy()
    array[1, 2, 3] = np.nan

    assert judged(Exact(), Image(array, PHANTOM.affine))
    assert judged(Resampled(), Image(array, PHANTOM.affine, flags="resampled"))


@pytest.mark.parametrize("numbers", [(), (0,), (0, 0), (1, 2), (0, 1, 2)])
def test_every_volume_comes_out_once(numbers):
    assert judged(Exact(volumes=2), *map(phantom, numbers))


def test_volumes_may_come_in_any_order():
    assert not judged(Exact(volumes=3), *map(phantom, (2, 0, 1)))


def test_a_slice_less_is_not_the_whole_volume():
    assert judged(Exact(), phantom(grid=PHANTOM.slices(0, 5)))
    assert not judged(Exact(grids=(PHANTOM.slices(0, 5),)), phantom(grid=PHANTOM.slices(0, 5)))


def test_rounding_is_half_a_step_of_what_was_stored():
    array = phantom().array + 3

    assert judged(Exact(), Image(array, PHANTOM.affine))
    assert not judged(Exact(rounding=3.5), Image(array, PHANTOM.affine))


def test_a_resampled_volume_has_any_grid_that_covers_the_slices():
    finer = PHANTOM.affine @ np.diag([0.5, 1, 1, 1])
    resampled = Resampled(tolerance=0.5)

    assert not judged(resampled, phantom(grid=Grid((11, 9, 13), finer), flags="It was resampled."))
    assert "cover" in judged(resampled, phantom(grid=Grid((9, 9, 13), finer), flags="It was resampled."))[0]
    assert "no flag" in judged(resampled, phantom(grid=Grid((11, 9, 13), finer)))[0]


def test_traits_and_flags_are_patterns():
    expected = Exact(volumes=2, traits=("", r"\b800\b"), flags=("monochrome1",))
    right = phantom(0, flags="MONOCHROME1"), phantom(1, traits="b = 800", flags="It is MONOCHROME1.")
    wrong = phantom(0, flags="MONOCHROME1"), phantom(1, traits="b = 8001")

    assert not judged(expected, *right)
    assert len(judged(expected, *wrong)) == 2


def test_the_reason_of_a_refusal_counts():
    refused = Refused(Reason.TILT, (Reason.UNEVEN_SPACING,))

    assert not judged(refused, refusals=(RefusedError("", Reason.TILT),))
    assert not judged(refused, refusals=(RefusedError("", Reason.UNEVEN_SPACING),))
    assert judged(refused, refusals=(RefusedError("", Reason.MISSING_SLICE),))
    assert judged(refused, phantom(), refusals=(RefusedError("", Reason.TILT),))
    assert judged(refused)


def test_further_stacks_are_refused_as_declared():
    error = RefusedError("", Reason.TOO_FEW_SLICES)

    assert judged(Exact(), phantom(), refusals=(error,))
    assert not judged(Exact(refused=(error.reason,)), phantom(), refusals=(error,))
    assert judged(Exact(refused=(error.reason,)), phantom())
    assert not judged(Exact(may_refuse=(error.reason,)), phantom(), refusals=(error,))
    assert not judged(Exact(may_refuse=(error.reason,)), phantom())


def test_nothing_eligible_is_an_outcome_of_its_own():
    nothing = NothingEligibleError("", Reason.NO_DICOM)

    assert not judged(NothingEligible(), nothing=nothing)
    assert judged(NothingEligible(), phantom())
    assert judged(Exact(), nothing=nothing)
    assert judged(Refused(Reason.TILT), nothing=nothing)


def test_counts_are_judged_where_given(study):
    assert not judged(Exact(counts=Counts(not_dicom=2)), phantom(), study=study)
    assert judged(Exact(counts=Counts(not_dicom=2, unreadable=0)), phantom(), study=study) == [
        "unreadable: 0 expected, found 1"
    ]


@pytest.fixture
def study():
    class Found:
        not_dicom, not_image, unreadable = 2, 0, 1

    return Found()


def test_other_readers_are_held_against_the_same_volumes():
    assert not list(image_differences(Exact(), [phantom()]))
    assert list(image_differences(Exact(), [])) == ["0 volumes instead of 1"]


def test_a_case_has_traits_for_all_volumes_or_none():
    with pytest.raises(ValueError, match="for each volume"):
        Exact(volumes=3, traits=("a", "b"))
