import pytest

from imaging.image_kind import Plane, Weighting
from imaging.resolve_study import resolve_study
from imaging.study import Study
from tests.imaging.test_pair_series import MAP, T2, diffusion, series


def study(*series):
    return Study(tuple(series), not_dicom=0, not_image=0, unreadable=0)


def test_every_stack_is_told_with_its_kind_in_the_order_of_the_series():
    t2w = series("t2w", (4.0, 1.0, 1.2), SeriesNumber=2, **T2)
    adc = series("adc", (4.0, 2.0, 2.0), SeriesNumber=9, **MAP)

    found = resolve_study(study(adc, diffusion(SeriesNumber=4), t2w))

    assert [each.stack.series.number for each in found] == [2, 4, 4, 4, 9]
    assert [each.kind.weighting for each in found] == [Weighting.T2W, *[Weighting.DWI] * 3, Weighting.ADC]
    assert [each.kind.b_value for each in found] == [None, 50, 400, 800, None]
    assert found[0].kind.plane is Plane.AXIAL
    assert found[0].spacing_mm == pytest.approx((4.0, 1.0, 1.2))


def test_series_of_one_frame_of_reference_lie_in_one_place():
    here, also_here = series("a", (4.0, 1.0, 1.0), SeriesNumber=1), series("b", (4.0, 1.0, 1.0), SeriesNumber=2)
    elsewhere = series("c", (4.0, 1.0, 1.0), SeriesNumber=3, FrameOfReferenceUID="1.2.99")
    nowhere = series("d", (4.0, 1.0, 1.0), SeriesNumber=4, FrameOfReferenceUID=None)

    first, second, third, fourth = resolve_study(study(here, also_here, elsewhere, nowhere))

    assert first.group == second.group != third.group
    assert fourth.group is None


def test_a_stack_that_is_no_regular_volume_is_told_with_the_reason():
    with_gap = series("gap", (4.0, 1.0, 1.0))
    broken = type(with_gap)(with_gap.instances[:3] + with_gap.instances[4:])

    (found,) = resolve_study(study(broken))

    assert found.spacing_mm is None
    assert "8.00 mm between slices 3 and 4" in found.problem


def test_a_series_that_cannot_be_split_is_told_without_frames():
    many = series("many", (4.0, 1.0, 1.0), NumberOfFrames=12)

    (found,) = resolve_study(study(many))

    assert found.stack.frames == ()
    assert "a multi-frame image of 12 frames describes 0" in found.problem
