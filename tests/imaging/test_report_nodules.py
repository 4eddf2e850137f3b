from dataclasses import replace

import numpy as np
import pytest
from pydicom.sr.codedict import codes

from imaging.lung_mask import Side
from imaging.mark import Origin
from imaging.measure_nodule import measure_nodule
from imaging.region import region_of
from imaging.report_nodules import (
    LABEL_MEANING,
    NODULE,
    PLACE_MEANING,
    Nodule,
    nodule_headline,
    nodule_results,
    remarks_on,
    report_nodules,
)
from imaging.select_series import Selection, Verdict
from tests.nodule_samples import BALLS_MM, nodule, write_ct
from tests.series_samples import source_of


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


def with_side(found, side):
    return replace(found, measured=replace(found.measured, side=side))


@pytest.fixture(scope="module")
def report(source):
    """Ball 2 the most suspicious, ball 3 not classified, ball 1 on the left."""
    return report_nodules(
        [
            with_side(nodule(source, 1, malignancy=0.25, mark={"tracking_uid": "1.2.3"}), Side.LEFT),
            nodule(source, 2, malignancy=0.875, origin=Origin.SEG),
            nodule(source, 3, origin=Origin.SEG, mark={"tracking_uid": "1.2.3"}),
        ],
        [Origin.SEG, Origin.COMPUTER, Origin.SEG],
        calibration="Calibrated by hand.",
    )


def values(finding):
    return {quantity.name.meaning: (quantity.value, quantity.unit.value) for quantity in finding.quantities}


def selection_of(source):
    verdict = Verdict(source.stack, eligible=True, score=1.0, reasons=("thin",))
    return Selection(source.stack, (verdict,), tie=False)


def test_the_most_suspicious_comes_first_and_the_unclassified_last(report):
    assert [(one.number, one.malignancy) for one in report.nodules] == [(1, 0.875), (2, 0.25), (3, None)]


def test_unclassified_nodules_are_sorted_by_size(source):
    found = report_nodules([nodule(source, number) for number in BALLS_MM], [Origin.COMPUTER]).nodules

    lengths = [one.measured.longest_mm for one in found]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] == pytest.approx(2 * BALLS_MM[2][1], abs=1.0)


def test_the_order_in_which_they_were_found_does_not_matter(source):
    one = [nodule(source, number, malignancy=0.5) for number in (1, 2, 3)]

    forwards, backwards = (report_nodules(order, [Origin.SR]).nodules for order in (one, one[::-1]))

    assert [found.measured for found in forwards] == [found.measured for found in backwards]


def test_a_segment_is_coded_as_a_nodule_of_the_lung_on_its_side(report):
    labels = [segment.label for segment in report.segments]

    assert {(label.property_type.value, label.property_type.scheme_designator) for label in labels} == {
        ("786838002", "SCT")
    }
    assert {label.category.value for label in labels} == {"49755003"}
    assert [label.label for label in labels] == ["Nodule 1", "Nodule 2 (left lung)", "Nodule 3"]
    assert [label.site.laterality for label in labels] == [None, codes.SCT.Left, None]


def test_neighbouring_segments_differ_in_colour(source):
    report = report_nodules([nodule(source, 1)] * 50, [Origin.COMPUTER])
    colours = np.array([segment.label.display_rgb for segment in report.segments])

    assert np.abs(np.diff(colours, axis=0)).max(axis=1).min() > 60
    assert len({tuple(colour) for colour in colours}) == 50


def test_a_tracking_uid_is_kept_once(report):
    assert [segment.label.tracking_uid for segment in report.segments] == [None, "1.2.3", None]


def test_only_what_the_computer_found_alone_is_called_automatic(report):
    assert [segment.label.algorithm_type.value for segment in report.segments] == [
        "SEMIAUTOMATIC", "AUTOMATIC", "SEMIAUTOMATIC",
    ]  # fmt: skip


def test_a_nodule_is_reported_with_its_numbers_in_their_units(report):
    nodule_1, finding = report.nodules[0], report.findings[1]

    assert finding.segment == 1
    assert values(finding) == {
        "Long axis": (nodule_1.measured.longest_mm, "mm"),
        "Short axis": (nodule_1.measured.perpendicular_mm, "mm"),
        "Volume": (1000 * nodule_1.measured.volume_ml, "mm3"),
        "Attenuation Coefficient": (nodule_1.measured.mean_hu, "[hnsf'U]"),
        "Probability of cancer": (87.5, "%"),
    }


def test_the_numbers_are_those_of_the_ball(report):
    volume_mm3, _ = values(report.findings[1])["Volume"]

    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * BALLS_MM[2][1] ** 3, rel=0.1)


def test_without_a_probability_none_is_reported(report):
    finding = report.findings[3]

    assert "Probability of cancer" not in values(finding)
    assert not any(remark == LABEL_MEANING for remark in finding.remarks)
    assert any("no probability" in remark for remark in finding.remarks)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_where_a_probability_stands_it_says_what_it_means_and_how_it_was_calibrated(report, at):
    remarks = report.findings[at].remarks

    assert LABEL_MEANING in remarks
    assert "Calibrated by hand." in remarks
    assert "votes, not histology" in LABEL_MEANING


def test_a_nodule_says_how_it_was_found(report):
    assert "marked in a DICOM Segmentation" in report.findings[1].remarks[0]
    assert "computer-found, needs review" in report.findings[2].remarks[0]


def test_the_patient_has_the_highest_probability(report):
    patient = report.findings[0]

    assert patient.segment is None
    assert values(patient) == {"Number of lesions": (3, "1"), "Probability of cancer": (87.5, "%")}
    assert [(one.name, one.value) for one in patient.evaluations] == [(NODULE, codes.SCT.Present)]
    assert "87.5 % (nodule 1)" in patient.remarks[0]


def test_the_report_says_that_lobes_are_not_told_apart(report):
    assert PLACE_MEANING in report.findings[0].remarks
    assert PLACE_MEANING not in report_nodules([], [Origin.COMPUTER]).findings[0].remarks


@pytest.mark.parametrize(("threshold", "malignant"), [(0.87, True), (0.875, True), (0.88, False)])
def test_any_malignant_nodule_makes_the_patient_malignant(source, threshold, malignant):
    found = [nodule(source, 1, malignancy=0.1), nodule(source, 2, malignancy=0.875)]

    report = report_nodules(found, [Origin.SEG], threshold=threshold)

    assert report.malignant is malignant
    assert ("no nodule counts" in report.statement) is not malignant


def test_nothing_found_is_a_finding_without_a_segment():
    report = report_nodules([], [Origin.COMPUTER])

    (patient,) = report.findings
    assert report.segments == ()
    assert values(patient) == {"Number of lesions": (0, "1")}
    assert patient.evaluations[0].value == codes.SCT.Absent
    assert patient.finding_type is None
    assert report.malignant is None
    assert "no nodule was found" in patient.remarks[0]
    assert report.flags == ()


def test_each_way_is_said_once(report):
    assert report.way == ("Nodules: marked in a DICOM Segmentation of the study, and computer-found, needs review.")


def measured_of(source, mask):
    region = region_of(mask)
    return Nodule(mark=nodule(source, 1).mark, region=region, measured=measure_nodule(source.volume, region), number=1)


@pytest.mark.parametrize("number", BALLS_MM)
def test_a_ball_of_any_size_is_not_suspicious(source, number):
    assert remarks_on(nodule(source, number)) == ()


def test_a_column_across_the_slices_is_suspicious(source):
    mask = np.zeros(source.volume.shape, bool)
    mask[2:10, 20:25, 20:24] = True

    assert any("do not fit" in remark for remark in remarks_on(measured_of(source, mask)))


def test_a_nodule_at_the_edge_is_flagged(source):
    mask = np.zeros(source.volume.shape, bool)
    mask[3:6, :6, 20:26] = True

    assert any("edge of the image" in remark for remark in remarks_on(measured_of(source, mask)))


def test_a_nodule_on_one_slice_is_flagged_for_that_alone(source):
    mask = np.zeros(source.volume.shape, bool)
    mask[4, 9:15, 8:14] = True  # within ball 1

    (remark,) = remarks_on(measured_of(source, mask))
    assert "one slice only" in remark


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("mean_hu", 201.0, "calcified"),
        ("mean_hu", 199.0, None),
        ("mean_hu", -801.0, "as dark as lung"),
        ("mean_hu", -750.0, None),
        ("outside_lungs", True, "lies in neither lung"),
    ],
    ids=["dense", "soft", "dark", "ground glass", "elsewhere"],
)
def test_what_no_nodule_of_the_lung_measures_is_flagged(source, field, value, said):
    found = nodule(source, 1)

    remarks = remarks_on(replace(found, measured=replace(found.measured, **{field: value})))

    assert [said in remark for remark in remarks if said] == ([True] if said else [])
    assert bool(remarks) is bool(said)


def test_what_is_suspicious_of_the_whole_comes_before_what_is_of_one(source):
    found = [nodule(source, 1, remarks=("odd",))]

    report = report_nodules(found, [Origin.SR], flags=("a segment of the study is empty",))

    assert report.flags == ("a segment of the study is empty", "Nodule 1: odd")


def test_one_flag_names_all_nodules_it_is_about(source):
    found = [nodule(source, number, remarks=("odd",)) for number in (1, 2)]

    assert report_nodules(found, [Origin.SR]).flags == ("Nodule 1, 2: odd",)


def test_the_record_says_what_the_report_says(source, report):
    results = nodule_results(selection_of(source), source, report)

    assert results["patient"]["malignancy_probability"] == 0.875
    assert results["patient"]["malignant"] is True
    assert results["way"] == ["seg", "computer"]
    assert [one["malignancy_probability"] for one in results["measurements"]["nodules"]] == [0.875, 0.25, None]
    assert [one["side"] for one in results["measurements"]["nodules"]] == [None, "left", None]


def test_the_headline_names_the_number_the_size_and_the_meaning(source, report):
    said = nodule_headline(selection_of(source), report)

    assert "3 nodules" in said
    assert "87.5 % by radiologists' votes" in said
    assert "No nodule was found" in nodule_headline(selection_of(source), report_nodules([], [Origin.COMPUTER]))


@pytest.mark.parametrize("origin", Origin)
def test_pictures_say_that_a_computer_found_the_nodules_when_it_did(source, origin):
    caution = report_nodules([nodule(source, 1, origin=origin)], [origin]).caution

    assert caution == ("computer-found, needs review" if origin is Origin.COMPUTER else "")
    assert report_nodules([], [origin]).caution == ""
