from dataclasses import replace

import pytest
from pydicom import dcmread

from cli.write_page import PAGE, PAGE_DICOM, write_page
from imaging.outcome import OutputError
from imaging.publish import RECORD, RESULT, discard, open_stage, staged
from tests.page_samples import WISH, content_of, ct_source, facts, nodules


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return ct_source(tmp_path_factory.mktemp("ct"))


@pytest.fixture
def stage(tmp_path):
    opened = open_stage(tmp_path / "out")
    yield opened
    discard(opened)


@pytest.mark.parametrize(("html", "dicom"), [(True, False), (False, True), (True, True)])
def test_what_is_wished_is_staged_and_nothing_else(source, stage, tmp_path, html, dicom):
    before = {path.name for path in stage.folder.iterdir()}

    write_page(stage, content_of(source, nodules(source), replace(WISH, html=html, dicom=dicom)), facts(), tmp_path)

    wished = {f"{name}.part" for name, wanted in ((PAGE, html), (PAGE_DICOM, dicom)) if wanted}
    assert {path.name for path in stage.folder.iterdir()} - before == wished


def test_the_page_names_the_results_beside_it(source, stage, tmp_path):
    for name in ("seg.dcm", RECORD, RESULT):
        staged(stage.folder, name).write_text("x")

    write_page(stage, content_of(source, nodules(source)), facts(), tmp_path)

    assert "<dd>seg.dcm</dd>" in staged(stage.folder, PAGE).read_text(encoding="utf-8")


def test_the_object_refers_to_the_results_of_its_run(source, stage, tmp_path):
    wish = replace(WISH, html=False, dicom=True)
    content = content_of(source, nodules(source), wish)
    write_page(stage, content, facts(), tmp_path)
    first = dcmread(staged(stage.folder, PAGE_DICOM))
    staged(stage.folder, PAGE_DICOM).rename(staged(stage.folder, "seg.dcm"))

    write_page(stage, content, facts(), tmp_path)

    second = dcmread(staged(stage.folder, PAGE_DICOM))
    assert second.SourceInstanceSequence[-1].ReferencedSOPInstanceUID == first.SOPInstanceUID


@pytest.mark.parametrize("dicom", [False, True])
def test_a_page_that_cannot_be_written_ends_the_run(source, stage, tmp_path, dicom):
    staged(stage.folder, PAGE_DICOM if dicom else PAGE).mkdir()

    with pytest.raises(OutputError, match="cannot be written"):
        write_page(
            stage, content_of(source, nodules(source), replace(WISH, html=not dicom, dicom=dicom)), facts(), tmp_path
        )
