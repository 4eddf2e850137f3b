import numpy as np
import pytest

from imaging.image_kind import Plane, Weighting
from imaging.outcome import NothingEligibleError
from imaging.pair_series import companion_of, overlap_of, pair_series, same_grid
from imaging.select_series import SeriesRule, judge_study
from imaging.study import Study
from tests.phantoms import oblique_affine, series_of, slice_headers, stack_of

T2W = SeriesRule(title="axial T2w", modality="MR", weighting=Weighting.T2W, plane=Plane.AXIAL)
HIGH_B = SeriesRule(title="diffusion with a high b-value", modality="MR", weighting=Weighting.DWI)
ADC = SeriesRule(title="ADC map", modality="MR", weighting=Weighting.ADC)
T2 = {"ScanningSequence": "SE", "SequenceVariant": "SK", "RepetitionTime": "5000", "EchoTime": "95"}
DWI = {"ScanningSequence": "EP", "RepetitionTime": "4000", "EchoTime": "70", "ImageType": ["ORIGINAL", "PRIMARY"]}
MAP = {**DWI, "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]}
HERE = {"FrameOfReferenceUID": "1.2.3", "StudyInstanceUID": "1.9"}


def series(name, spacing_mm, shape=(8, 40, 40), *, shift_mm=(0, 0, 0), **attributes):
    affine = oblique_affine(spacing_mm=spacing_mm)
    affine[:3, 3] += shift_mm
    return series_of(slice_headers(shape, affine, name=name, **{**HERE, **attributes}))


def diffusion(name="dwi", **attributes):
    """Three b-values in one series, on a coarser grid than the T2w series."""
    affine = oblique_affine(spacing_mm=(4.0, 2.0, 2.0))
    headers = [
        header
        for b_value in (50, 400, 800)
        for header in slice_headers(
            (8, 20, 20), affine, name=f"{name} {b_value}", **{**HERE, **DWI, "DiffusionBValue": b_value, **attributes}
        )
    ]
    for header in headers:
        header.SeriesInstanceUID = "1.2.77"
    return series_of(headers)


def study(*series):
    return Study(tuple(series), not_dicom=0, not_image=0, unreadable=0)


def test_t2w_high_b_and_adc_of_one_place_are_found_together():
    t2w = series("t2w", (4.0, 1.0, 1.0), SeriesNumber=2, **T2)
    adc = series("adc", (4.0, 2.0, 2.0), (8, 20, 20), SeriesNumber=5, **MAP)

    found = pair_series(study(adc, diffusion(SeriesNumber=4), t2w), T2W, [HIGH_B, ADC])

    assert found.first.stack.series is t2w
    high_b, taken_adc = found.companions
    assert high_b.selection.stack.traits == ("b-value 800 s/mm2",)
    assert taken_adc.selection.stack.series is adc
    assert high_b.overlap == taken_adc.overlap == 1.0


def test_t1w_and_flair_are_found_together():
    t1w = series("t1w", (1.0, 1.0, 1.0), ScanningSequence=["GR", "IR"], RepetitionTime="2300", EchoTime="3",
                 InversionTime="900", FlipAngle="9")  # fmt: skip
    flair = series("flair", (1.0, 1.0, 1.0), ScanningSequence=["SE", "IR"], RepetitionTime="9000", EchoTime="120",
                   InversionTime="2500")  # fmt: skip
    rules = [SeriesRule(title=kind.value, modality="MR", weighting=kind) for kind in (Weighting.T1W, Weighting.FLAIR)]

    found = pair_series(study(flair, t1w), rules[0], rules[1:])

    assert (found.first.stack.series, found.companions[0].selection.stack.series) == (t1w, flair)


def test_a_series_of_another_frame_of_reference_is_no_companion():
    t2w = series("t2w", (4.0, 1.0, 1.0), **T2)
    elsewhere = diffusion(FrameOfReferenceUID="1.2.4")

    with pytest.raises(NothingEligibleError, match="lies in another frame of reference"):
        pair_series(study(t2w, elsewhere), T2W, [HIGH_B])


def test_a_series_beside_the_first_one_is_no_companion():
    t2w = series("t2w", (4.0, 1.0, 1.0), shift_mm=(35.0, 0.0, 0.0), **T2)

    with pytest.raises(NothingEligibleError, match=r"covers \d+ % of its field of view, 30 % needed"):
        pair_series(study(t2w, diffusion()), T2W, [HIGH_B])


def test_a_first_series_that_has_companions_goes_before_a_better_one_that_has_none():
    finer = series("finer", (2.0, 0.5, 0.5), SeriesNumber=1, FrameOfReferenceUID="1.2.9", **T2)
    paired = series("paired", (4.0, 1.0, 1.0), SeriesNumber=2, **T2)

    found = pair_series(study(finer, paired, diffusion(SeriesNumber=3)), T2W, [HIGH_B])

    assert found.first.stack.series is paired
    assert [verdict.stack.series.number for verdict in found.first.verdicts[:2]] == [2, 1]


def test_what_is_missing_is_said():
    t2w = series("t2w", (4.0, 1.0, 1.0), SeriesNumber=2, **T2)

    with pytest.raises(NothingEligibleError) as refused:
        pair_series(study(t2w, diffusion(SeriesNumber=3)), T2W, [HIGH_B, ADC])

    said = str(refused.value)
    assert "With series 2 (MR, 8 slices) as axial T2w" in said
    assert "ADC map: the study holds none" in said
    assert "high b-value: " not in said


def test_the_overlap_is_the_part_of_the_first_that_the_other_covers():
    affine = oblique_affine(spacing_mm=(4.0, 1.0, 1.0))
    first = stack_of(slice_headers((8, 40, 40), affine))
    half = affine.copy()
    half[:3, 3] += affine[:3, 2] * 20

    shifted = stack_of(slice_headers((8, 40, 40), half))
    small = stack_of(slice_headers((8, 40, 20), affine))

    assert overlap_of(first, first) == 1.0
    assert overlap_of(first, shifted) == pytest.approx(0.5, abs=0.05)
    assert (overlap_of(first, small), overlap_of(small, first)) == (pytest.approx(0.5, abs=0.05), 1.0)


def test_the_overlap_of_stacks_that_are_turned_is_measured_in_mm():
    first = stack_of(slice_headers((20, 40, 40), oblique_affine((0, 0, 0), (2.0, 1.0, 1.0), (-20, -20, -20))))
    turned = stack_of(slice_headers((40, 40, 40), oblique_affine((0, 0, 45), (1.0, 1.0, 1.0), (0, -28.28, -20))))

    expected = 2 * (np.sqrt(2) - 1)  # of a square and the same square turned by 45 degrees

    assert overlap_of(first, turned) == pytest.approx(expected, abs=0.05)


def test_a_companion_in_another_frame_of_reference_is_found_only_when_asked_for_and_after_one_in_place():
    t2w = series("t2w", (4.0, 1.0, 1.0), **T2)
    (first,) = [verdict.stack for verdict in judge_study(study(t2w), T2W)]
    elsewhere = series("a", (4.0, 2.0, 2.0), (8, 20, 20), SeriesNumber=1, FrameOfReferenceUID="1.2.4", **MAP)
    in_place = series("b", (4.0, 2.0, 2.0), (8, 20, 20), SeriesNumber=2, **MAP)
    other_study = series("c", (4.0, 2.0, 2.0), (8, 20, 20), SeriesNumber=3, **{**MAP, "StudyInstanceUID": "1.7"})

    alone, both, foreign = (
        judge_study(study(*parts), ADC) for parts in ((elsewhere,), (elsewhere, in_place), (other_study,))
    )

    assert companion_of(first, alone) is None
    assert companion_of(first, alone, other_frame=True).selection.stack.series is elsewhere
    assert companion_of(first, both, other_frame=True).selection.stack.series is in_place
    assert companion_of(first, foreign, other_frame=True) is None


def test_a_grid_is_the_same_when_its_slices_and_pixels_are():
    affine = oblique_affine(spacing_mm=(4.0, 2.0, 2.0))
    shifted = affine.copy()
    shifted[:3, 3] += 1.0
    one = stack_of(slice_headers((8, 20, 20), affine, **HERE))

    assert same_grid(one, stack_of(slice_headers((8, 20, 20), affine, name="other", **HERE)[::-1]))
    assert not same_grid(one, stack_of(slice_headers((8, 20, 20), shifted, **HERE)))
    assert not same_grid(one, stack_of(slice_headers((7, 20, 20), affine, **HERE)))
    assert not same_grid(one, stack_of(slice_headers((8, 20, 24), affine, **HERE)))
    assert not same_grid(one, stack_of(slice_headers((8, 20, 20), affine, **{**HERE, "FrameOfReferenceUID": "1.8"})))
