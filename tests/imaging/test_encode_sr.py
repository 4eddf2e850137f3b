import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from imaging.encode_seg import BRAIN_LABEL, Segment, encode_seg
from imaging.encode_sr import encode_sr
from imaging.finding import HOUNSFIELD, MILLIMETRE, NO_UNITS, Evaluation, Finding, Quantity, Site
from imaging.measure_brain import BrainMeasurement
from imaging.suite import RESEARCH_USE
from imaging.write_common import save_dicom
from tests.series_samples import (
    NAMES,
    OTHER_WEIGHTS,
    PROVENANCE,
    SHAPE,
    asymmetric_mask,
    raw_bytes,
    source_of,
    write_series,
)

VOLUME_ML = 1234.56


def report_on(source, provenance=PROVENANCE, volume_ml=VOLUME_ML, notes=()):
    """The segmentation of a source and the report on it."""
    seg = encode_seg([Segment(BRAIN_LABEL, asymmetric_mask())], source, provenance, "Brain mask")
    return seg, encode_sr(
        BrainMeasurement(volume_ml, ()).findings, seg, source, provenance, title="Brain volume", notes=notes
    )


def items(node, meaning):
    """Every content item whose concept has a meaning, at any depth."""
    found = []
    for item in node.get("ContentSequence", ()):
        concept = item.get("ConceptNameCodeSequence")
        if concept and concept[0].CodeMeaning == meaning:
            found.append(item)
        found += items(item, meaning)
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_series(tmp_path_factory.mktemp("series")))


@pytest.fixture(scope="module")
def seg_and_report(source):
    return report_on(source, notes=("One slice is missing", "Implausible brain volume"))


@pytest.fixture(scope="module")
def report(seg_and_report):
    return seg_and_report[1]


def test_the_report_holds_the_volume_in_millilitres(report):
    (volume,) = items(report, "Volume")

    value = volume.MeasuredValueSequence[0]
    unit = value.MeasurementUnitsCodeSequence[0]
    assert (float(value.NumericValue), unit.CodeValue, unit.CodingSchemeDesignator) == (VOLUME_ML, "mL", "UCUM")


@pytest.mark.parametrize(
    ("volume_ml", "said"), [(0.0, 0.0), (1 / 3, 0.33), (1999.999, 2000.0), (123456.789, 123456.79)]
)
def test_volumes_are_said_to_a_hundredth_of_a_millilitre(source, volume_ml, said):
    _, report = report_on(source, volume_ml=volume_ml)

    (volume,) = items(report, "Volume")
    assert float(volume.MeasuredValueSequence[0].NumericValue) == said


def test_the_report_follows_template_1500(report):
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"


def test_no_container_is_continuous_text_in_which_the_names_of_numbers_are_left_out(report):
    containers = [report, *items(report, "Imaging Measurements"), *items(report, "Measurement Group")]

    assert [one.ContinuityOfContent for one in containers] == ["SEPARATE"] * 3


def test_the_finding_is_the_brain(report):
    (finding,) = items(report, "Finding")

    code = finding.ConceptCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("12738006", "SCT", "Brain")


def test_the_report_references_the_first_segment_of_the_segmentation(seg_and_report):
    seg, report = seg_and_report

    (segment,) = items(report, "Referenced Segment")

    reference = segment.ReferencedSOPSequence[0]
    assert (reference.ReferencedSOPInstanceUID, reference.ReferencedSegmentNumber) == (seg.SOPInstanceUID, 1)


def test_the_report_names_the_series_it_was_measured_on(source, report):
    (series,) = items(report, "Source Series for Segmentation")

    assert source.series.uid == series.UID


def test_segmentation_and_report_share_the_tracking_uid(seg_and_report):
    seg, report = seg_and_report

    (tracking,) = items(report, "Tracking Unique Identifier")

    assert seg.SegmentSequence[0].TrackingUID == tracking.UID


def test_the_evidence_is_the_segmentation_and_every_source_instance(source, seg_and_report):
    seg, report = seg_and_report

    evidence = {
        item.ReferencedSOPInstanceUID
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in report.get(keyword, ())
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert evidence == {seg.SOPInstanceUID, *(header.SOPInstanceUID for header in source.series.headers)}
    assert len(evidence) == SHAPE[0] + 1


def test_the_report_names_the_weights_by_their_whole_hash(report):
    parameters = [item.TextValue for item in items(report, "Algorithm Parameters")]

    assert f"weights SHA-256 {PROVENANCE.weights_sha256}" in parameters


def test_the_report_names_algorithm_and_version(report):
    (name,), (version,) = items(report, "Algorithm Name"), items(report, "Algorithm Version")

    assert (name.TextValue, version.TextValue) == ("brains 0123456789ab", "4.5")


def test_the_observer_is_a_device(report):
    (observer,) = items(report, "Observer Type")

    assert observer.ConceptCodeSequence[0].CodeMeaning == "Device"


def test_the_comments_are_the_research_use_and_then_the_notes(report):
    comments = [item.TextValue for item in items(report, "Comment")]

    assert comments == [RESEARCH_USE, "One slice is missing", "Implausible brain volume"]


def test_a_report_without_notes_still_says_that_it_is_for_research(source):
    _, report = report_on(source)

    assert [item.TextValue for item in items(report, "Comment")] == [RESEARCH_USE]


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "PatientID", "PatientBirthDate", "AccessionNumber", "StudyID"])
def test_patient_and_study_are_those_of_the_source(source, report, keyword):
    assert report[keyword].value == source.series.header[keyword].value


def uids(report):
    (device,) = items(report, "Device Observer UID")
    return {report.SeriesInstanceUID, report.SOPInstanceUID}, device.UID


def test_a_second_run_has_the_same_uids(source, report):
    assert uids(report_on(source)[1]) == uids(report)


def test_other_weights_make_other_uids(source, report):
    ours, _ = uids(report)
    theirs, _ = uids(report_on(source, OTHER_WEIGHTS)[1])

    assert not ours & theirs


def test_report_and_segmentation_are_different_series(seg_and_report):
    seg, report = seg_and_report

    assert seg.SeriesInstanceUID != report.SeriesInstanceUID
    assert seg.SeriesNumber != report.SeriesNumber


@pytest.mark.parametrize("script", NAMES)
def test_a_patient_name_keeps_its_bytes(tmp_path, script):
    def rename(header, _number):
        header.SpecificCharacterSet, header.PatientName = NAMES[script]

    folder = write_series(tmp_path / "series", edit=rename)

    save_dicom(report_on(source_of(folder))[1], tmp_path / "sr.dcm")

    written = dcmread(tmp_path / "sr.dcm")
    assert raw_bytes(written, "PatientName") == raw_bytes(dcmread(folder / "0001.dcm"), "PatientName")


@pytest.mark.parametrize("script", NAMES)
def test_a_patient_name_reads_as_in_the_source(tmp_path, script):
    def rename(header, _number):
        header.SpecificCharacterSet, header.PatientName = NAMES[script]

    save_dicom(report_on(source_of(write_series(tmp_path / "series", edit=rename)))[1], tmp_path / "sr.dcm")

    assert dcmread(tmp_path / "sr.dcm").PatientName == NAMES[script][1]


NODULE = Code("27925004", "SCT", "Nodule")
LINE_MM = ((1.5, -2.25, 3.0), (4.5, 2.25, 3.0))
OF_ALL = Finding(
    segment=None,
    quantities=(Quantity(Code("246206008", "SCT", "Number of lesions"), 0, NO_UNITS),),
    sites=(codes.SCT.Lung,),
    remarks=("No nodule was found.",),
    evaluations=(Evaluation(NODULE, codes.SCT.Absent),),
    label="Lung nodules, patient level",
    finding_type=NODULE,
)
OF_SEGMENT = Finding(
    segment=1,
    quantities=(
        Quantity(codes.SCT.LongAxis, 7.5, MILLIMETRE, line_mm=LINE_MM),
        Quantity(codes.DCM.AttenuationCoefficient, 12.5, HOUNSFIELD, derivation=codes.SCT.Mean),
        Quantity(
            codes.DCM.Height, 20.0, MILLIMETRE,
            sites=(Site(codes.SCT.L4Vertebra, modifier=codes.SCT.Anterior),), method=codes.DCM.DiameterBasedMethod,
        ),
    ),
    sites=(Site(codes.SCT.Lung, codes.SCT.Left),),
    evaluations=(Evaluation(NODULE, codes.SCT.Present),),
)  # fmt: skip


@pytest.fixture(scope="module")
def report_without_segments(source):
    return encode_sr([OF_ALL], None, source, PROVENANCE, title="Nodules")


@pytest.fixture(scope="module")
def report_on_both(source):
    seg = encode_seg([Segment(BRAIN_LABEL, asymmetric_mask())], source, PROVENANCE, "Brain mask")
    return encode_sr([OF_ALL, OF_SEGMENT], seg, source, PROVENANCE, title="Nodules")


def read_again(report, folder):
    """The report as highdicom reads it from disk."""
    save_dicom(report, folder / "sr.dcm")
    return highdicom.sr.srread(folder / "sr.dcm")


def test_a_report_without_a_segmentation_is_read_by_highdicom(report_without_segments, tmp_path):
    document = read_again(report_without_segments, tmp_path)

    (group,) = document.content.get_image_measurement_groups()
    (count,) = group.get_measurements()
    assert (count.name.value, count.value, count.unit.value) == ("246206008", 0, "1")
    (answer,) = group.get_qualitative_evaluations()
    assert (answer.name.value, answer.value.value) == ("27925004", "272519000")


def test_a_report_without_a_segmentation_refers_to_the_images_alone(source, report_without_segments):
    (study,) = report_without_segments.CurrentRequestedProcedureEvidenceSequence

    (series,) = study.ReferencedSeriesSequence
    assert series.SeriesInstanceUID == source.series.uid
    assert items(report_without_segments, "Referenced Segment") == []


def test_what_holds_for_all_stands_beside_what_holds_for_a_segment(report_on_both, tmp_path):
    content = read_again(report_on_both, tmp_path).content

    assert len(content.get_image_measurement_groups()) == 1
    assert len(content.get_volumetric_roi_measurement_groups()) == 1
    assert [item.TextValue for item in items(report_on_both, "Comment")] == ["No nodule was found.", RESEARCH_USE]


def test_the_same_finding_is_tracked_under_one_uid(source, report_without_segments):
    again = encode_sr([OF_ALL], None, source, PROVENANCE, title="Nodules")

    (one,), (other,) = (items(report, "Tracking Unique Identifier") for report in (report_without_segments, again))
    assert one.UID == other.UID


def group_of_segment(report, folder):
    (group,) = read_again(report, folder).content.get_volumetric_roi_measurement_groups()
    return group


def test_a_measurement_says_which_value_of_many_it_is(report_on_both, tmp_path):
    length, density, height = group_of_segment(report_on_both, tmp_path).get_measurements()

    assert density.derivation == codes.SCT.Mean
    assert (length.derivation, height.derivation) == (None, None)
    assert (height.method, length.method) == (codes.DCM.DiameterBasedMethod, None)


def test_a_measurement_has_a_site_of_its_own(report_on_both, tmp_path):
    _, density, height = group_of_segment(report_on_both, tmp_path).get_measurements()

    (site,) = height.finding_sites
    assert (site.value, site.topographical_modifier) == (codes.SCT.L4Vertebra, codes.SCT.Anterior)
    assert density.finding_sites == []


def test_a_finding_says_its_side(report_on_both, tmp_path):
    (site,) = group_of_segment(report_on_both, tmp_path).finding_sites

    assert (site.value, site.laterality, site.topographical_modifier) == (codes.SCT.Lung, codes.SCT.Left, None)


def test_a_length_has_the_line_it_was_measured_on(source, report_on_both):
    length, line = items(report_on_both, "Long axis")

    assert (length.ValueType, line.ValueType, line.GraphicType) == ("NUM", "SCOORD3D", "POLYLINE")
    np.testing.assert_allclose(np.reshape(line.GraphicData, (2, 3)), LINE_MM)
    assert line.ReferencedFrameOfReferenceUID == source.volume.frame_of_reference_uid


def test_a_centre_without_a_segmentation_is_in_the_space_of_the_source(source):
    finding = Finding(None, (), centre_mm=(1.0, 2.0, 3.0), label="Place", finding_type=NODULE)

    report = encode_sr([finding], None, source, PROVENANCE, title="Nodules")

    (centre,) = items(report, "Center of Mass")
    assert centre.ReferencedFrameOfReferenceUID == source.volume.frame_of_reference_uid


def test_without_a_frame_of_reference_segmentation_and_report_share_one(tmp_path):
    folder = write_series(tmp_path / "series", edit=lambda header, _number: header.pop("FrameOfReferenceUID", None))
    source = source_of(folder)
    seg = encode_seg([Segment(BRAIN_LABEL, asymmetric_mask())], source, PROVENANCE, "Brain mask")
    finding = Finding(1, (Quantity(codes.SCT.LongAxis, 5.4, MILLIMETRE, line_mm=LINE_MM),), centre_mm=(1.0, 2.0, 3.0))

    report = encode_sr([finding], seg, source, PROVENANCE, title="Nodules")

    (centre,), (_, line) = items(report, "Center of Mass"), items(report, "Long axis")
    assert centre.ReferencedFrameOfReferenceUID == seg.FrameOfReferenceUID
    assert line.ReferencedFrameOfReferenceUID == seg.FrameOfReferenceUID
