import itertools

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from imaging.label_levels import LEVELS
from imaging.measure_bodies import measure_bodies
from imaging.order_bodies import order_bodies
from imaging.outcome import Reason, RefusedError
from imaging.report_spine import disc_code, report_spine, segment_label
from tests.lumbar_bodies import LUMBAR, grid_around, labels_of

pytestmark = pytest.mark.system  # slow: many voxels


def report_on(labels, lowest="auto"):
    bodies = order_bodies(labels)
    image = labels.with_array(np.full(labels.shape, 100.0, np.float32))
    return report_spine(bodies, measure_bodies(bodies), image, lowest)


@pytest.fixture(scope="module")
def lumbar():
    return labels_of(LUMBAR, *grid_around(LUMBAR, spacing_mm=(4.4, 1.2, 1.2)))


@pytest.fixture(scope="module")
def report(lumbar):
    return report_on(lumbar)


def test_each_body_is_a_segment_with_the_code_of_its_vertebra(report, lumbar):
    segments = report.segments

    assert [segment.label.property_type for segment in segments] == [
        codes.SCT.L5Vertebra, codes.SCT.L4Vertebra, codes.SCT.L3Vertebra, codes.SCT.L2Vertebra, codes.SCT.L1Vertebra,
        codes.SCT.T12Vertebra,
    ]  # fmt: skip
    np.testing.assert_array_equal(segments[2].mask, lumbar.array == 3)


def test_each_finding_belongs_to_the_segment_of_its_number(report):
    assert [finding.segment for finding in report.findings] == [1, 2, 3, 4, 5, 6]
    assert [finding.sites[0] for finding in report.findings] == [
        segment.label.property_type for segment in report.segments
    ]


def said(quantity):
    """Name, place and part of a quantity."""
    parts = [(site.location.meaning, site.modifier and site.modifier.meaning) for site in quantity.sites]
    return (quantity.name.meaning, *parts)


def test_every_quantity_says_of_what_it_is_and_only_the_uppermost_body_has_no_space_above(report):
    found = [[said(quantity) for quantity in finding.quantities] for finding in report.findings]

    assert found[0] == [
        ("Volume",), ("Height", ("L5 vertebra", "Anterior")), ("Height", ("L5 vertebra", "Central")),
        ("Height", ("L5 vertebra", "Posterior")), ("Height", ("L4/L5 disc", None)),
    ]  # fmt: skip
    assert [row[-1][1][0] for row in found[:5]] == [
        "L4/L5 disc",
        "L3/L4 disc",
        "L2/L3 disc",
        "L1/L2 disc",
        "T12/L1 disc",
    ]
    assert [len(row) for row in found] == [5, 5, 5, 5, 5, 4]
    assert {quantity.unit.value for finding in report.findings for quantity in finding.quantities} == {"mL", "mm"}


def test_the_heights_are_those_of_their_parts(report):
    heights = report.measured[0].heights

    values = {said(quantity)[1]: quantity.value for quantity in report.findings[0].quantities[1:4]}
    assert values == {
        ("L5 vertebra", "Anterior"): heights.anterior_mm,
        ("L5 vertebra", "Central"): heights.middle_mm,
        ("L5 vertebra", "Posterior"): heights.posterior_mm,
    }


def test_every_code_is_one_of_a_public_scheme(report):
    coded = [
        code
        for finding in report.findings
        for quantity in finding.quantities
        for code in (quantity.name, quantity.unit, *(site.location for site in quantity.sites))
    ]
    assert {code.scheme_designator for code in coded} == {"SCT", "DCM", "UCUM"}


@pytest.mark.parametrize(("lower", "upper"), list(itertools.pairwise(LEVELS)))
def test_the_disc_above_a_level_is_that_between_it_and_the_next(lower, upper):
    assert disc_code(lower).meaning.split()[0] == f"{upper}/{lower}"


def test_without_a_level_a_disc_is_that_above_its_body(lumbar):
    report = report_on(lumbar.with_array(np.where(lumbar.array == 1, 0, lumbar.array)))

    disc = report.findings[0].quantities[-1]
    assert said(disc) == ("Height", ("Intervertebral disc", "Superior"))


def test_a_note_on_the_series_is_among_the_flags(lumbar):
    bodies = order_bodies(lumbar)
    image = lumbar.with_array(np.full(lumbar.shape, 100.0, np.float32))

    report = report_spine(bodies, measure_bodies(bodies), image, notes=("Another station was not joined",))

    assert report.flags == ("Another station was not joined",)


def test_without_evidence_neither_name_nor_code_says_a_level(lumbar):
    labels = lumbar.with_array(np.where(lumbar.array == 1, 0, lumbar.array))

    report = report_on(labels)

    assert report.segments[0].label.label == "Vertebral body 1 (from below), level not established"
    assert {segment.label.property_type for segment in report.segments} == {codes.SCT.Vertebra}
    assert "Level not established" in report.flags[0]


def test_a_stated_level_is_recorded_as_stated(lumbar):
    report = report_on(lumbar.with_array(np.where(lumbar.array == 1, 0, lumbar.array)), "L4")

    assert report.labels[0] == "L4 vertebral body"
    assert "as stated by the user" in report.findings[0].remarks[0]


def test_no_space_is_given_across_a_gap(lumbar):
    report = report_on(lumbar.with_array(np.where(lumbar.array == 3, 0, lumbar.array)))

    assert report.space_above_mm(1) is None
    assert report.space_above_mm(0) is not None
    assert "one may be missing" in " ".join(report.flags)


def test_equal_remarks_are_said_once(lumbar):
    slices = np.flatnonzero((lumbar.array > 0).any(axis=(1, 2)))

    report = report_on(lumbar[slices[3] :])

    assert len([flag for flag in report.flags if "leaves the image at a side" in flag]) == 1


def test_an_empty_result_is_refused(lumbar):
    with pytest.raises(RefusedError, match="none was found") as refused:
        report_on(lumbar.with_array(np.zeros_like(lumbar.array)))

    assert refused.value.reason is Reason.EMPTY_RESULT


def test_no_two_bodies_have_similar_colours():
    colours = np.array([segment_label(number, None).display_rgb for number in range(1, 20)], float)

    apart = [np.abs(colours[one] - colours[other]).sum() for one, other in itertools.pairwise(range(19))]
    assert min(apart) > 150
    assert len({tuple(colour) for colour in colours}) == 19


@pytest.mark.parametrize(("number", "level"), [(19, None), (7, "T11")])
def test_a_label_fits_the_attribute(number, level):
    assert len(segment_label(number, level).label) <= 64


@pytest.mark.parametrize("lost", [2, 3])
def test_a_flag_names_its_body_as_the_pictures_do(lumbar, lost):
    report = report_on(lumbar.with_array(np.where(lumbar.array == lost, 0, lumbar.array)))

    own = [flag for flag in report.plausibility if flag.segment]
    assert "body-gap" in {flag.check.code for flag in own}
    assert all(flag.name == report.segments[flag.segment - 1].label.short for flag in own)


def test_pictures_say_that_the_level_is_not_established(lumbar):
    report = report_on(lumbar.with_array(np.where(lumbar.array == 1, 0, lumbar.array)))

    assert "level not established" in report.caution
    assert report_on(lumbar).caution == ""
