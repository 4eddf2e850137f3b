"""The page of a run, written when everything it says is known: as HTML, and as DICOM for the PACS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging.outcome import OutputError
from imaging.publish import RECORD, RESULT, Stage, result_names, staged

if TYPE_CHECKING:  # it imports numpy, which has to wait until the process is prepared
    from imaging.report_page import PageContent, ReportPage

PAGE, PAGE_DICOM = "report.html", "report.dcm"


def write_page(stage: Stage, content: PageContent, facts: Mapping[str, Any], model_folder: Path) -> None:
    """Write the pages that were asked for into the stage; OutputError when that fails.

    facts         what metadata.json says of the run, as far as it is known
    model_folder  where the model card lies
    """
    from imaging.build_page import report_page
    from imaging.model_card import read_model_card
    from imaging.page_html import page_html

    files = [name for name in result_names(stage) if name not in (RECORD, RESULT)]
    page = report_page(facts, content, read_model_card(model_folder), files)
    if content.wish.html:
        _write(staged(stage.folder, PAGE), page_html(page))
    if content.wish.dicom:
        _write_dicom(stage, page)


def _write_dicom(stage: Stage, page: ReportPage) -> None:
    """Write the page as Encapsulated PDF that references the source and the other results."""
    from pydicom import dcmread

    from imaging.encapsulate_pdf import encapsulate_pdf
    from imaging.page_pdf import page_pdf
    from imaging.write_common import save_dicom

    content = page.content
    paths = [staged(stage.folder, name) for name in ("seg.dcm", "sr.dcm")]
    tags = ["SOPClassUID", "SOPInstanceUID"]
    results = [dcmread(path, stop_before_pixels=True, specific_tags=tags) for path in paths if path.exists()]
    document = encapsulate_pdf(
        page_pdf(page),
        content.source,
        results,
        content.provenance,
        title=content.title,
        identified=content.identity is not None,
    )
    save_dicom(document, staged(stage.folder, PAGE_DICOM))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"The page of the run cannot be written ({error.strerror}). Free space or choose another folder with -o."
        ) from error
