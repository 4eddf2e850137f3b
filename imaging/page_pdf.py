"""The page of a run as PDF, for archives that keep DICOM: the same facts and the same pictures as in the browser."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from imaging.page_html import NO_FLAGS, of_pictures
from imaging.report_page import BROKEN_HEAD, KeyPicture, PageFinding, ReportPage, Wanted

A4_POINTS = (595.28, 841.89)
MARGIN, WIDTH = 42.0, 595.28 - 2 * 42.0
PICTURES_IN_ROW = 4
GAP, TALLEST = 6.0, 280.0
REGULAR, BOLD = "page", "page-bold"
FONTS = {REGULAR: "Vera.ttf", BOLD: "VeraBd.ttf"}
"""Of Bitstream, which come with reportlab and may be embedded; they have the letters of Western Europe."""
RED, SOFT, LINE = "#8a1c1c", "#444444", "#999999"


def page_pdf(page: ReportPage) -> bytes:
    """Return the page of a run as PDF on A4 with its fonts embedded."""
    from reportlab.platypus import SimpleDocTemplate  # a quarter of a second that runs without it need not spend

    _register_fonts()
    stream = io.BytesIO()
    document = SimpleDocTemplate(
        stream, pagesize=A4_POINTS, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN + 12, bottomMargin=MARGIN,
        title=f"{page.title} - research use only", author=page.made_by, creator=f"{page.app} {page.app_version}",
        subject=page.research_use, lang="en", invariant=1,
        initialFontName=REGULAR,  # else a font that is not embedded is named in the file
    )  # fmt: skip

    def frame(canvas: Any, _document: Any) -> None:
        canvas.setFillColor(RED)
        canvas.setFont(BOLD, 8)
        canvas.drawCentredString(A4_POINTS[0] / 2, A4_POINTS[1] - MARGIN + 4, page.research_use)
        canvas.setFont(REGULAR, 7)
        canvas.drawRightString(A4_POINTS[0] - MARGIN, MARGIN - 14, f"{page.app}, page {canvas.getPageNumber()}")

    parts = [*_head(page), *_findings(page), *_series(page), *_model(page), *_run(page)]
    document.build(parts, onFirstPage=frame, onLaterPages=frame)
    return stream.getvalue()


def drawable(text: str) -> str:
    """Return a text with a question mark for each letter that the fonts lack, escaped for a paragraph.

    >>> drawable("Buc Jérôme <山田>")
    'Buc Jérôme &lt;??&gt;'
    """
    return escape("".join(letter if letter in _letters() else "?" for letter in " ".join(text.split())))


@cache
def _letters() -> frozenset[str]:
    from reportlab.pdfbase import pdfmetrics

    _register_fonts()
    return frozenset(map(chr, pdfmetrics.getFont(REGULAR).face.charToGlyph))


@cache
def _register_fonts() -> None:
    import reportlab
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name, file in FONTS.items():
        pdfmetrics.registerFont(TTFont(name, Path(reportlab.__file__).parent / "fonts" / file))


# -- parts -----------------------------------------------------------------------------------------------------------


def _head(page: ReportPage) -> list[Any]:
    found = f"{page.finding.rstrip('.')}." if page.finding else ""
    one = page.content.identity
    flags = [_text("Look at this first", BOLD), *_list(page.flags)] if page.flags else [_text(NO_FLAGS)]
    return [
        _text(page.title, BOLD, 16),
        _text(found, BOLD, 11),
        _text(f"Found by {page.app} {page.app_version} in {page.taken}.", colour=SOFT),
        *_facts(one.facts if one else ()),
        *flags,
    ]


def _findings(page: ReportPage) -> list[Any]:
    content = page.content
    parts = [_heading("Findings")]
    for finding in content.general:
        parts += [*_facts((value.name, value.text) for value in finding.values), *_list(finding.remarks)]
    if content.findings:
        parts.append(_values(content.findings))
    if page.broken:
        parts.append(_table(BROKEN_HEAD, [one.row for one in page.broken]))
    if content.overview:
        parts += picture_rows([content.overview], 2)
    for finding in content.findings:
        if finding.pictures or finding.remarks:
            pictures = picture_rows(finding.pictures, PICTURES_IN_ROW)
            parts.append(_together([_text(finding.label, BOLD, 9.5), *_list(finding.remarks), *pictures]))
    return [*parts, _text(of_pictures(page), colour=SOFT)] if content.findings else parts


def _values(findings: Sequence[PageFinding]) -> Any:
    names = list(dict.fromkeys(value.name for finding in findings for value in finding.values))
    rows = []
    for finding in findings:
        said = {value.name: f"{value.text} ({value.place})" if value.place else value.text for value in finding.values}
        rows.append([finding.label, *(said.get(name, "-") for name in names)])
    return _table(["Finding", *names], rows)


def _series(page: ReportPage) -> list[Any]:
    parts = [_heading("Series")]
    parts += [_text(f"Measured on {page.source_voxels}.", colour=SOFT)] if page.source_voxels else []
    for wanted in page.series:
        parts += _wanted(wanted)
    return parts


def _wanted(wanted: Wanted) -> list[Any]:
    rows = [
        [one.name, one.modality, str(one.images), one.parts or "-", one.verdict, "; ".join(one.reasons)]
        for one in wanted.verdicts
    ]
    head = ["Series", "Modality", "Images", "Part", "Verdict", "Why"]
    title = [_text(wanted.title, BOLD)] if wanted.title else []
    return [*title, _table(head, rows, (0.11, 0.1, 0.09, 0.15, 0.14, 0.41))]


def _model(page: ReportPage) -> list[Any]:
    parts = [_heading("Model")]
    parts += _facts((("Model", f"{page.model} {page.model_version}"), ("SHA-256 of its weights", page.model_sha256)))
    for section in page.card:
        parts += [_text(section.heading, BOLD), _text(section.said)]
    return parts


def _run(page: ReportPage) -> list[Any]:
    rows = [[one.name.replace("_", " "), f"{one.seconds:.2f} s", f"{one.cpu_seconds:.2f} s"] for one in page.stages]
    return [_heading("How it was made"), *_facts(page.run_facts), _table(["Stage", "Time", "CPU time"], rows)]


# -- pieces ----------------------------------------------------------------------------------------------------------


def _text(text: str, font: str = REGULAR, size: float = 8, colour: str = "#000000", space: float = 3) -> Any:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.platypus import Paragraph

    style = ParagraphStyle(
        f"{font} {size}", fontName=font, fontSize=size, leading=1.3 * size, textColor=colour, spaceAfter=space,
        splitLongWords=True,
    )  # fmt: skip
    return Paragraph(drawable(text), style)


def _heading(text: str) -> Any:
    from reportlab.platypus import CondPageBreak, KeepTogether, Spacer

    return KeepTogether([CondPageBreak(80), Spacer(1, 8), _text(text, BOLD, 12)])


def _list(lines: Sequence[str]) -> list[Any]:
    return [_text(f"- {line}") for line in lines]


def _facts(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    return [_text(f"{name}: {text}") for name, text in pairs if text]


def _together(parts: list[Any]) -> Any:
    from reportlab.platypus import KeepTogether

    return KeepTogether(parts)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], shares: Sequence[float] = ()) -> Any:
    shares = shares or [1 / len(head)] * len(head)
    cells = [[_text(text, BOLD, 7, space=0) for text in head]]
    cells += [[_text(text, REGULAR, 7, space=0) for text in row] for row in rows]
    return _grid(
        cells,
        {"LINEBELOW": (0.4, LINE), "TOPPADDING": (1.5,), "BOTTOMPADDING": (2.5,)},
        colWidths=[WIDTH * share for share in shares],
        repeatRows=1,
        spaceBefore=4,
        spaceAfter=6,
        splitInRow=1,
    )


def picture_rows(pictures: Sequence[KeyPicture], in_row: int) -> list[Any]:
    """Return pictures in as many rows as they need."""
    return [_row(pictures[at : at + in_row], in_row) for at in range(0, len(pictures), in_row)]


def _row(pictures: Sequence[KeyPicture], in_row: int) -> Any:
    """Return pictures side by side, each above its caption; none is higher than a third of the page."""
    from reportlab.platypus import Image

    wide = (WIDTH - GAP * (in_row - 1)) / in_row
    images = []
    for one in pictures:
        width = min(wide, TALLEST * one.width_px / one.height_px)
        images.append(Image(io.BytesIO(one.jpeg), width=width, height=width * one.height_px / one.width_px))
    captions = [_text(one.caption, REGULAR, 6.5, SOFT) for one in pictures]
    return _grid(
        [images, captions],
        {"LEFTPADDING": (0,), "RIGHTPADDING": (GAP,), "TOPPADDING": (2,), "BOTTOMPADDING": (1,)},
        colWidths=[wide + GAP] * len(pictures),
        hAlign="LEFT",
    )


def _grid(cells: list[list[Any]], style: Mapping[str, tuple[Any, ...]], **layout: Any) -> Any:
    """Return a table whose style holds for all cells."""
    from reportlab.platypus import Table

    table = Table(cells, **layout)
    every = {"FONTNAME": (REGULAR,), "VALIGN": ("TOP",), **style}
    table.setStyle([(name, (0, 0), (-1, -1), *values) for name, values in every.items()])
    return table
