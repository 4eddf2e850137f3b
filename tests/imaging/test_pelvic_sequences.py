import time
from dataclasses import replace

import pytest

from imaging.outcome import NothingEligibleError
from imaging.pelvic_sequences import PELVIS, judge_pelvis, resolve_pelvis, verdict_rows
from tests.pelvic_series import (
    ADC,
    CALCULATED,
    DCE,
    DIFFUSION,
    DIRECTION,
    DWI_MM,
    DWI_SHAPE,
    T2,
    adc,
    affine_about,
    diffusion,
    plane_affine,
    series,
    study,
    t2w,
)

MOST_SECONDS = 20  # of CPU time


def number_of(selection):
    return selection.stack.series.number


def taken(found):
    """Series numbers of T2w, diffusion and ADC, and the b-value."""
    return number_of(found.t2w), number_of(found.dwi.selection), number_of(found.adc.selection), found.b_value


def test_the_three_sequences_are_found_in_any_order():
    parts = [adc(), diffusion(), t2w()]

    assert taken(resolve_pelvis(study(*parts))) == taken(resolve_pelvis(study(*parts[::-1]))) == (2, 4, 5, 800)


@pytest.mark.parametrize(
    "decoy",
    [
        series(1, T2, affine=plane_affine("sagittal", (12, 40, 40), (3.3, 4.5, 4.5))),
        series(1, T2, affine=plane_affine("coronal", (12, 40, 40), (3.3, 4.5, 4.5))),
        series(1, T2, (12, 50, 50), (5.0, 7.6, 7.6)),  # 380 mm
        series(1, T2, (40, 48, 48), (3.3, 7.5, 7.5)),  # more slices, 360 mm
        series(1, {**T2, "ScanOptions": "FS"}),
        series(1, {**T2, "RepetitionTime": "500", "EchoTime": "10", "ContrastBolusAgent": "Gd"}),
        series(1, DCE),
        series(1, {**T2, "BodyPartExamined": "LSPINE"}),
        series(1, T2, (3, 40, 40)),
    ],
    ids=["sagittal", "coronal", "large field", "long", "fat-suppressed", "T1w", "dynamic", "spine", "localizer"],
)
def test_another_series_of_a_lower_number_is_no_match_for_the_axial_small_field_t2w(decoy):
    found = resolve_pelvis(study(decoy, diffusion(), adc(), series(9, {**T2, "ScanOptions": "SAT1"})))

    assert number_of(found.t2w) == 9
    assert 1 in [verdict.stack.series.number for verdict in found.t2w.verdicts[1:]]


def test_of_two_fields_of_one_size_that_with_finer_pixels_is_taken():
    coarse = series(1, T2, (12, 90, 90), (3.3, 2.0, 2.0))
    fine = series(3, T2, (12, 200, 200), (3.3, 0.9, 0.9))

    assert number_of(resolve_pelvis(study(coarse, fine, diffusion(), adc())).t2w) == 3


def test_a_large_field_is_taken_when_there_is_no_other_and_said():
    found = resolve_pelvis(study(series(2, T2, (12, 50, 50), (3.3, 7.0, 7.0)), diffusion(), adc()))

    assert "large field of view (350 mm)" in " ".join(found.flags)


def test_each_b_value_may_be_a_series():
    found = resolve_pelvis(study(t2w(), diffusion(5, [50]), diffusion(6, [1000]), diffusion(7, [500]), adc(8)))

    assert taken(found) == (2, 6, 8, 1000)


def test_a_measured_b_value_goes_before_a_higher_calculated_one():
    found = resolve_pelvis(study(t2w(), diffusion(3, [2000], CALCULATED), diffusion(), adc()))

    assert taken(found) == (2, 4, 5, 800)
    assert not found.calculated
    assert not found.flags


@pytest.mark.parametrize("attributes", [CALCULATED, {**DIFFUSION, "SeriesDescription": "DWI_b1500_calc"}])
def test_a_calculated_b_value_is_taken_when_there_is_no_other_and_said(attributes):
    found = resolve_pelvis(study(t2w(), diffusion(3, [1500], attributes), diffusion(4, [0, 400]), adc()))

    assert (taken(found), found.calculated) == ((2, 3, 5, 1500), True)
    assert "calculated, not measured" in " ".join(found.flags)


def test_a_trace_goes_before_a_direction_of_the_same_b_value():
    found = resolve_pelvis(study(t2w(), diffusion(3, [1000], DIRECTION), diffusion(6, [1000]), adc()))

    assert number_of(found.dwi.selection) == 6


def test_a_direction_alone_is_taken_and_said():
    found = resolve_pelvis(study(t2w(), diffusion(3, [1000], DIRECTION), adc()))

    assert "one gradient direction" in " ".join(found.flags)


@pytest.mark.parametrize("b_value", [0, 50, 499])
def test_a_low_b_value_is_no_match(b_value):
    with pytest.raises(NothingEligibleError, match="b of 500 s/mm2 or more: the study holds none"):
        resolve_pelvis(study(t2w(), diffusion(4, [b_value]), adc()))


def test_the_least_b_value_is_a_rule():
    rules = replace(PELVIS, dwi=replace(PELVIS.dwi, min_b_value=300.0))

    assert resolve_pelvis(study(t2w(), diffusion(4, [400]), adc()), rules).b_value == 400


def test_a_b_value_that_only_the_description_names_is_taken_and_said():
    unstated = series(4, {**DIFFUSION, "SeriesDescription": "ep2d_diff_b1000"}, DWI_SHAPE, DWI_MM)

    found = resolve_pelvis(study(t2w(), unstated, adc()))

    assert found.b_value == 1000
    assert "series description alone" in " ".join(found.flags)


@pytest.mark.parametrize("description", ["ep2d_diff", "ep2d_diff_b50_400_800", "dwi_b50"])
def test_a_b_value_that_nothing_names_is_no_match(description):
    unstated = series(4, {**DIFFUSION, "SeriesDescription": description}, DWI_SHAPE, DWI_MM)

    with pytest.raises(NothingEligibleError):
        resolve_pelvis(study(t2w(), unstated, adc()))


def test_of_two_maps_that_on_the_grid_of_the_diffusion_series_is_taken():
    other = series(3, ADC, (20, 24, 20), (2.0, 8.0, 9.0))

    assert number_of(resolve_pelvis(study(t2w(), diffusion(), other, adc(7))).adc.selection) == 7


def test_without_a_map_the_adc_is_fitted_to_all_b_values_of_one_grid():
    elsewhere = diffusion(3, [0], spacing_mm=(3.4, 8.0, 8.0))

    found = resolve_pelvis(study(t2w(), elsewhere, diffusion(4, [800, 50, 400]), diffusion(6, [1500], CALCULATED)))

    assert found.adc is None
    assert [stack.header.DiffusionBValue for stack in found.fit_from] == [50, 400, 800]
    assert "fitted to b = 50, 400, 800 s/mm2" in " ".join(found.flags)


def test_b_values_of_several_series_are_fitted_together_and_a_trace_goes_before_a_direction():
    found = resolve_pelvis(
        study(t2w(), diffusion(3, [0, 1000], DIRECTION), diffusion(4, [1000]), diffusion(5, [0], DIRECTION))
    )

    assert [stack.header.DiffusionBValue for stack in found.fit_from] == [0, 1000]
    assert found.fit_from[1].series.number == 4


@pytest.mark.parametrize("b_values", [[800], [700, 800]])
def test_too_few_b_values_are_not_fitted(b_values):
    with pytest.raises(NothingEligibleError, match="ADC map, or two b-values on one grid: the study holds none"):
        resolve_pelvis(study(t2w(), diffusion(4, b_values)))


def test_diffusion_is_needed_unless_told_otherwise():
    alone = study(t2w(), adc())

    with pytest.raises(NothingEligibleError, match="--allow-missing"):
        resolve_pelvis(alone)
    found = resolve_pelvis(alone, allow_missing=True)

    assert (found.dwi, found.b_value, number_of(found.adc.selection)) == (None, None, 5)
    assert "no diffusion-weighted images" in " ".join(found.flags)


def test_t2w_alone_is_enough_when_told_so():
    found = resolve_pelvis(study(t2w()), allow_missing=True)

    assert (found.dwi, found.adc, found.fit_from, found.missing) == (None, None, (), 2)


def test_without_t2w_nothing_is_taken_even_then():
    with pytest.raises(NothingEligibleError, match="No series is a pelvic axial T2w MR"):
        resolve_pelvis(study(diffusion(), adc()), allow_missing=True)


def test_another_frame_of_reference_is_refused_unless_registration_was_asked_for():
    parts = study(t2w(), diffusion(FrameOfReferenceUID="1.9"), adc(FrameOfReferenceUID="1.9"))

    with pytest.raises(NothingEligibleError, match=r"(?s)another frame of reference.*--register"):
        resolve_pelvis(parts)
    found = resolve_pelvis(parts, other_frame=True)

    assert taken(found) == (2, 4, 5, 800)
    assert sum("another frame of reference" in flag for flag in found.flags) == 2


def test_what_shares_the_frame_of_reference_goes_before_what_does_not():
    elsewhere = diffusion(3, [1000], FrameOfReferenceUID="1.9")

    assert taken(resolve_pelvis(study(t2w(), elsewhere, diffusion(), adc()), other_frame=True)) == (2, 4, 5, 800)


def test_other_studies_are_never_mixed_in():
    with pytest.raises(NothingEligibleError):
        resolve_pelvis(study(t2w(), diffusion(StudyInstanceUID="1.5"), adc()), other_frame=True)


def test_a_series_beside_the_t2w_series_is_refused():
    away = affine_about((12, 40, 40), (3.3, 4.5, 4.5), centre_mm=(3.0, -8.0, 80.0))

    with pytest.raises(NothingEligibleError, match=r"covers \d+ % of its field of view, 20 % needed"):
        resolve_pelvis(study(t2w(affine=away), diffusion(), adc()))


def test_of_two_t2w_series_that_with_companions_is_taken():
    away = affine_about((12, 40, 40), (3.3, 4.5, 4.5), centre_mm=(3.0, -8.0, 200.0))

    found = resolve_pelvis(study(t2w(1, affine=away), t2w(3), diffusion(), adc()))

    assert number_of(found.t2w) == 3


def test_a_series_with_a_missing_slice_is_taken():
    whole = diffusion()
    gap = replace(whole, instances=whole.instances[:5] + whole.instances[6:])

    found = resolve_pelvis(study(t2w(), gap, adc()))

    assert len(found.dwi.selection.stack.frames) == 12


def test_the_verdicts_name_every_series_for_every_sequence_and_what_was_taken():
    parts = study(t2w(), diffusion(), adc(), series(9, DCE))
    verdicts = judge_pelvis(parts)

    rows = verdict_rows(verdicts, resolve_pelvis(parts))

    assert [(row["sequence"], row["series_number"]) for row in rows if row["taken"]] == [
        (PELVIS.t2w.title, 2), (PELVIS.dwi.title, 4), (PELVIS.adc.title, 5),
    ]  # fmt: skip
    for rule in (PELVIS.t2w, PELVIS.dwi, PELVIS.adc):
        assert {row["series_number"] for row in rows if row["sequence"] == rule.title} == {2, 4, 5, 9}


@pytest.mark.system
def test_ninety_three_series_are_resolved_in_seconds():
    many = [series(100 + number, DCE, (24, 40, 40)) for number in range(90)]
    parts = study(*many[:45], t2w(), diffusion(), *many[45:], adc())
    started = time.process_time()

    found = resolve_pelvis(parts)

    assert time.process_time() - started < MOST_SECONDS
    assert taken(found) == (2, 4, 5, 800)
