import itertools
from dataclasses import replace

import numpy as np
import pytest

from imaging import select_series as module
from imaging.evidence import Evidence
from imaging.image_kind import Kernel, Weighting
from imaging.outcome import NothingEligibleError
from imaging.select_series import SeriesRule, judge_rules, judge_study, select_series
from imaging.study import Study
from tests.phantoms import MPRAGE, PATIENT, decimal, oblique_affine, series_of, slice_headers

RULE = SeriesRule(
    title="T1w head MR",
    modality="MR",
    weighting=Weighting.T1W,
    min_slices=6,
    min_extent_mm=30.0,
    max_spacing_mm=6.5,
    body_parts=("HEAD", "BRAIN"),
    other_body_parts=("SPINE", "KNEE"),
)
T2 = {"ScanningSequence": "SE", "SequenceVariant": "SK", "RepetitionTime": "5000", "EchoTime": "95"}
NO_PHYSICS = dict.fromkeys(MPRAGE)


def head(name="head", shape=(7, 110, 120), spacing_mm=(5.0, 1.0, 1.2), **attributes):
    """A series that covers what the rule asks for."""
    return series_of(slice_headers(shape, oblique_affine(spacing_mm=spacing_mm), name=name, **attributes))


def study(*series):
    return Study(tuple(series), not_dicom=0, not_image=0, unreadable=0)


def judge(series, rule):
    """The verdict on a series that is one stack, or the best of its stacks."""
    return judge_study(study(series), rule)[0]


def reasons(series, rule=RULE):
    verdict = judge(series, rule)
    assert not verdict.eligible
    return verdict.reasons


def test_the_t1_weighted_series_is_taken_among_others():
    wanted = head("t1", SeriesNumber=7)
    others = [head("t2", SeriesNumber=1, **T2), head("ct", SeriesNumber=2, Modality="CT")]

    selection = select_series(study(others[0], wanted, others[1]), RULE)

    assert selection.stack.series is wanted
    assert not selection.tie
    assert len(selection.verdicts) == 3
    assert selection.summary().startswith("series 7 (MR, 7 slices): 7 slices, voxels 5.00 x 1.00 x 1.20 mm; ")


def test_a_misleading_description_does_not_change_the_choice():
    wanted = head("t1", SeriesDescription="t2_flair_dwi")
    other = head("t2", SeriesDescription="t1_mprage", **T2)

    assert select_series(study(other, wanted), RULE).stack.series is wanted


@pytest.mark.parametrize("echo", ["3", "20", "60", None])
@pytest.mark.parametrize(("sequence", "repetition"), list(itertools.product(["GR", "SE", None], ["8", "600", "4000"])))
def test_a_description_never_decides_whether_a_series_is_eligible(sequence, repetition, echo):
    physics = {"ScanningSequence": sequence, "RepetitionTime": repetition, "EchoTime": echo, "ImageType": ["DERIVED"]}
    described = [head(**NO_PHYSICS | physics, SeriesDescription=text) for text in ("t1 mprage", "t2 flair", "")]

    assert len({judge(series, RULE).eligible for series in described}) == 1


def test_the_description_ranks_what_physics_leaves_equal():
    named, nameless = head("a", SeriesNumber=9, SeriesDescription="t1"), head("b", SeriesNumber=2)

    selection = select_series(study(nameless, named), RULE)

    assert selection.stack.series is named
    assert not selection.tie


def test_a_header_without_times_is_eligible():
    verdict = judge(head(**NO_PHYSICS), RULE)

    assert verdict.eligible
    assert "no TR or TE: weighting cannot be confirmed" in verdict.reasons


def test_a_confirmed_series_goes_before_one_that_cannot_be_confirmed():
    unconfirmed, confirmed = head("a", SeriesNumber=1, **NO_PHYSICS), head("b", SeriesNumber=2)

    assert select_series(study(unconfirmed, confirmed), RULE).stack.series is confirmed


def test_the_finer_of_two_series_is_taken():
    coarse, fine = head("a", SeriesNumber=1), head("b", SeriesNumber=2, shape=(30, 110, 120), spacing_mm=(1.1, 1, 1))

    assert select_series(study(coarse, fine), RULE).stack.series is fine


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_of_equal_series_the_first_by_number_is_taken_and_the_tie_is_said(order):
    equal = [head("x", SeriesNumber=8), head("y", SeriesNumber=5), head("z", SeriesNumber=None)]

    selection = select_series(study(*[equal[index] for index in order]), RULE)

    assert selection.stack.series is equal[1]
    assert [verdict.stack.series.number for verdict in selection.verdicts] == [5, 8, None]
    assert selection.tie
    assert "An equally good series was passed over" in selection.summary()


def test_of_equal_series_with_one_number_the_first_by_identifier_is_taken():
    equal = [head(name) for name in "pqr"]
    first = min(equal, key=lambda series: series.uid)

    assert all(
        select_series(study(*shuffled), RULE).stack.series.uid == first.uid
        for shuffled in itertools.permutations(equal)
    )


def test_a_study_of_another_modality_is_refused_with_every_series_and_no_patient():
    series = [head(str(number), SeriesNumber=number, Modality="CT") for number in (4, 9)]

    with pytest.raises(NothingEligibleError, match="No series is a T1w head MR") as refused:
        select_series(study(*series), RULE)

    said = str(refused.value)
    assert "series 4 (CT, 7 instances): modality is CT, not MR" in said
    assert "series 9 (CT, 7 instances): modality is CT, not MR" in said
    assert "Send such a series" in said
    assert not [value for value in PATIENT.values() if value in said]


def test_every_series_has_a_verdict_the_eligible_first():
    verdicts = judge_study(study(head("a", Modality="CT"), head("b", **T2), head("c")), RULE)

    assert [verdict.eligible for verdict in verdicts] == [True, False, False]


NOT_COVERING = [
    ({"Modality": "CT"}, "modality is CT, not MR"),
    ({"Modality": None}, "modality is absent, not MR"),
    ({"shape": (5, 110, 120), "spacing_mm": (6.5, 1, 1)}, "5 slices, at least 6 needed"),
    ({"spacing_mm": (3.9, 1, 1)}, "covers 27 mm, at least 30 needed"),
    ({"spacing_mm": (5, 0.2, 1)}, "covers 22 mm, at least 30 needed"),
    ({"spacing_mm": (5, 1, 0.2)}, "covers 24 mm, at least 30 needed"),
    ({"spacing_mm": (7, 1, 1)}, "voxels of 7.0 mm, at most 6.5 allowed"),
    ({"spacing_mm": (5, 7, 1)}, "voxels of 7.0 mm, at most 6.5 allowed"),
    ({"BodyPartExamined": "LSPINE"}, "body part LSPINE"),
]


@pytest.mark.parametrize(("options", "reason"), NOT_COVERING, ids=[reason for _, reason in NOT_COVERING])
def test_a_series_that_does_not_cover_what_is_needed_is_refused_with_the_number(options, reason):
    assert reasons(head(**options)) == (reason,)


def test_slices_without_geometry_are_refused_with_the_attribute():
    assert "Image Position (Patient); found None" in reasons(head(ImagePositionPatient=None))[0]


def test_all_slices_at_one_place_cover_nothing():
    position = [decimal(value) for value in (1, 2, 3)]

    assert reasons(head(ImagePositionPatient=position)) == ("covers 0 mm, at least 30 needed",)


@pytest.mark.parametrize(("part", "points"), [("HEAD", 0.5), ("BRAIN", 0.5), ("WHOLEBODY", 0), (None, 0)])
def test_the_body_part_adds_to_the_score(part, points):
    with_part, without = (judge(head(BodyPartExamined=each), RULE).score for each in (part, None))

    assert with_part - without == points


def test_the_slices_may_come_in_any_order(rng):
    series = head()
    shuffled = series_of([series.headers[number] for number in rng.permutation(7)])

    assert judge(shuffled, RULE).score == judge(series, RULE).score


def test_two_echoes_in_one_series_do_not_hide_its_spacing():
    headers = [*head("a").headers, *head("b").headers]

    assert "voxels 5.00 x 1.00 x 1.20 mm" in judge(series_of(headers), RULE).reasons[0]


def test_a_rule_without_weighting_asks_for_coverage_only():
    rule = SeriesRule(title="MR", modality="MR")

    assert judge(head(**T2), rule).eligible
    assert judge(head(shape=(2, 4, 4)), rule).eligible


def test_evidence_against_that_outweighs_the_rest_is_refused(monkeypatch):
    monkeypatch.setattr(module, "weigh", lambda header, wanted: [Evidence("an odd contrast", -9.0)])

    assert reasons(head())[-2:] == ("an odd contrast", "the evidence speaks against a T1w head MR")


def test_scores_are_finite_for_the_series_that_are_taken():
    assert np.isfinite(judge(head(), RULE).score)


CHEST = SeriesRule(title="chest CT", modality="CT", weighting=Weighting.CT, kernel=Kernel.SHARP)


def chest(name, slice_mm, **attributes):
    headers = slice_headers((8, 40, 44), oblique_affine(spacing_mm=(slice_mm, 0.7, 0.8)), name=name)
    for header in headers:
        header.Modality, header.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        for keyword, value in attributes.items():
            setattr(header, keyword, value)
    return series_of(headers)


def test_of_two_equally_thin_series_the_one_with_the_wanted_kernel_is_taken_and_said():
    soft = chest("soft", 1.25, SeriesNumber=2, ConvolutionKernel="STANDARD")
    sharp = chest("sharp", 1.25, SeriesNumber=5, ConvolutionKernel="LUNG")

    selection = select_series(study(soft, sharp), CHEST)

    assert selection.stack.series is sharp
    assert not selection.tie
    assert "sharp reconstruction kernel" in selection.summary()


def test_thin_slices_of_another_kernel_go_before_thick_ones_of_the_wanted_kernel():
    soft = chest("soft", 1.25, SeriesNumber=5, ConvolutionKernel="B30f")
    sharp = chest("sharp", 2.5, SeriesNumber=2, ConvolutionKernel="B70f")

    assert select_series(study(soft, sharp), CHEST).stack.series is soft


def test_a_kernel_that_is_not_stated_refuses_no_series():
    assert judge(chest("unstated", 1.25), CHEST).eligible


def test_where_the_rule_wants_it_the_lower_of_two_equally_good_series_is_taken():
    def at(name, z_mm, number):
        affine = oblique_affine(spacing_mm=(5.0, 1.0, 1.2))
        affine[2, 3] += z_mm
        return series_of(slice_headers((7, 110, 120), affine, name=name, SeriesNumber=number))

    upper, lower = at("upper", 100, 2), at("lower", -100, 8)

    assert select_series(study(upper, lower), RULE).stack.series is upper  # the first by number
    assert select_series(study(upper, lower), replace(RULE, lowest_first=True)).stack.series is lower


# -- small fields, fat, b-values, several rules ----------------------------------------------------------------------

DIFFUSION = {**NO_PHYSICS, "ScanningSequence": "EP", "RepetitionTime": "4000", "EchoTime": "70",
             "ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW"]}  # fmt: skip
HIGH_B = SeriesRule(title="high b", modality="MR", weighting=Weighting.DWI, min_b_value=500.0)


def test_a_small_field_of_view_goes_before_thin_slices_where_it_is_wanted():
    large, small = head("large", (40, 200, 200), (1.0, 2.0, 2.0)), head("small", (20, 180, 180), (4.0, 1.0, 1.0))

    assert select_series(study(large, small), RULE).stack.series is large
    assert select_series(study(large, small), replace(RULE, small_field=True)).stack.series is small


def test_fine_pixels_go_before_coarse_ones_of_one_field_of_view():
    fine, coarse = head("fine", (9, 200, 200), (5.0, 0.9, 0.9)), head("coarse", (9, 180, 180), (5.0, 1.0, 1.0))

    found = [judge(series, replace(RULE, small_field=True)).score for series in (fine, coarse)]

    assert found[0] > found[1]


def test_fat_is_a_preference_and_no_need():
    bright, dark = head("bright", ScanOptions="SAT1"), head("dark", ScanOptions="FS")
    unknown = head("unknown", ScanOptions=None)

    for wanted, first in ((False, bright), (True, dark)):
        rule = replace(RULE, fat_suppressed=wanted)
        assert select_series(study(bright, dark), rule).stack.series is first
        assert judge(unknown, rule).eligible


@pytest.mark.parametrize(("b_value", "eligible"), [(0.0, False), (499.0, False), (500.0, True), (1000.0, True)])
def test_a_least_b_value_is_held(b_value, eligible):
    assert judge(head("dwi", **DIFFUSION, DiffusionBValue=b_value), HIGH_B).eligible is eligible


@pytest.mark.parametrize(
    ("description", "eligible"), [("ep2d_b1000", True), ("dwi b=50", False), ("ep2d_b50_400_1000", False), ("", False)]
)
def test_an_unstated_b_value_is_that_of_the_description_or_none(description, eligible):
    assert judge(head("dwi", **DIFFUSION, SeriesDescription=description), HIGH_B).eligible is eligible


def test_several_rules_say_what_each_says_alone():
    parts = study(
        head("t1"), head("t2", **T2), head("dwi", **DIFFUSION, DiffusionBValue=800.0), head("ct", Modality="CT")
    )
    rules = (RULE, HIGH_B, replace(RULE, modality="CT", weighting=None))

    together = judge_rules(parts, rules)

    for verdicts, rule in zip(together, rules, strict=True):
        alone = judge_study(parts, rule)
        assert [(one.stack.series.uid, one.eligible, one.score, one.reasons) for one in verdicts] == [
            (one.stack.series.uid, one.eligible, one.score, one.reasons) for one in alone
        ]
