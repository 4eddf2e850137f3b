import pytest
from pydicom import dcmread

from imaging.encode_seg import BRAIN_LABEL, Segment, encode_seg
from imaging.encode_sr import encode_sr
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
