from dataclasses import replace

import pytest
from pydicom.uid import EncapsulatedPDFStorage

from imaging.build_page import report_page
from imaging.encapsulate_pdf import encapsulate_pdf
from imaging.model_card import CardSection
from imaging.page_pdf import GAP, WIDTH, drawable, page_pdf, picture_rows
from imaging.report_page import BrokenLimit, Identity
from tests.page_samples import content_of, ct_source, facts, nodules
from tests.series_samples import NAMES, PROVENANCE

CARD = (CardSection("Limits", "Many <b>& more.", cut=True),)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return ct_source(tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def content(source):
    return content_of(source, nodules(source))


@pytest.fixture(scope="module")
def pdf(content):
    return page_pdf(report_page(facts(), content, CARD, ("seg.dcm",)))


def test_the_same_page_is_the_same_pdf(content, pdf):
    assert pdf.startswith(b"%PDF-")
    assert page_pdf(report_page(facts(), content, CARD, ("seg.dcm",))) == pdf


def test_fonts_are_embedded_and_no_other_is_named(pdf):
    assert pdf.count(b"/FontFile2") == 2
    assert b"Helvetica" not in pdf


@pytest.mark.parametrize("name", [name for _, name in NAMES.values()])
def test_a_name_in_any_script_can_be_printed(content, name):
    who = Identity(name=name, patient_id="1", study_date="")

    assert page_pdf(report_page(facts(), replace(content, identity=who), (), ())).startswith(b"%PDF-")
    assert len(drawable(name)) == len(name)


def test_a_long_page_goes_on(content):
    many = replace(content, findings=content.findings * 20)

    assert page_pdf(report_page(facts(), many, CARD, ())).count(b"/Type /Page\n") >= 8


def encapsulated(source, pdf, *, identified=False):
    return encapsulate_pdf(pdf, source, [], PROVENANCE, title="Lung nodules", identified=identified)


def test_the_object_holds_the_pdf_and_refers_to_every_source_image(source, pdf):
    made = encapsulated(source, pdf)

    assert made.SOPClassUID == EncapsulatedPDFStorage
    assert made.EncapsulatedDocument[: made.EncapsulatedDocumentLength] == pdf
    assert len(made.EncapsulatedDocument) % 2 == 0
    assert {one.ReferencedSOPInstanceUID for one in made.SourceInstanceSequence} == {
        frame.instance.uid for frame in source.frames
    }
    assert made.StudyInstanceUID == source.stack.header.StudyInstanceUID
    assert "Research use only" in made.DocumentTitle


def test_results_are_referred_to(source, pdf):
    result = encapsulated(source, pdf)
    made = encapsulate_pdf(pdf, source, [result], PROVENANCE, title="x", identified=False)

    assert made.SourceInstanceSequence[-1].ReferencedSOPInstanceUID == result.SOPInstanceUID
    assert made.SOPInstanceUID != result.SOPInstanceUID


def test_a_page_that_names_the_patient_is_another_object_and_says_so(source, pdf):
    plain, named = encapsulated(source, pdf), encapsulated(source, pdf, identified=True)

    assert (plain.BurnedInAnnotation, named.BurnedInAnnotation) == ("NO", "YES")
    assert plain.SOPInstanceUID != named.SOPInstanceUID
    assert plain.SOPInstanceUID == encapsulated(source, pdf).SOPInstanceUID


def test_many_pictures_of_a_finding_take_several_rows_and_stay_on_the_page(content):
    pictures = content.findings[0].pictures * 3
    rows = picture_rows(pictures[:-1], 4)
    sizes = [row.wrap(WIDTH, 800) for row in rows]

    assert len(rows) == 3
    assert all(width <= WIDTH + GAP for width, _ in sizes)
    assert all(height < 400 for _, height in sizes)


def test_what_is_too_high_for_the_page_is_made_to_fit(content):
    finding = content.findings[0]
    tower = replace(finding.pictures[0], width_px=10, height_px=900)
    wordy = replace(finding, pictures=(tower,), remarks=("word " * 3000,))
    odd = replace(content, findings=(wordy,), overview=tower)
    page = report_page(facts(flags=["flag " * 2000]), odd, (), ())
    long = replace(page, broken=(BrokenLimit(text="limit " * 1500, found="", expected="", basis=""),))

    assert page_pdf(long).startswith(b"%PDF-")
