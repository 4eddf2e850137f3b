"""The slices of a source with the outlines of segments and a legend, as a colour series: for viewers without SEG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imaging.burn_text import Entry, Picture, Rgb, Words, below, legend, write_words
from imaging.check_overlays import check_outlines
from imaging.encode_seg import Segment, digests_of
from imaging.finding import Finding
from imaging.mask_frames import on_slice, reaches
from imaging.picture_series import PictureSeries, write_pictures
from imaging.plausibility import in_brief
from imaging.provenance import Provenance
from imaging.render_slice import RESEARCH_ONLY, draw_view, line_height
from imaging.report import Report
from imaging.slice_view import acquired_slice
from imaging.to_volume import Plane, SourceImage
from imaging.window import GreyWindow, grey_window

KIND = "overlay"
SERIES_AFTER_SEG = 6
"""Series Number minus that of the segmentation."""
NEIGHBOURS = 3
"""Slices without a finding shown on either side of one with a finding: what goes on there can be seen."""
LEAST_PIXELS = 256
"""Longer side of a picture: enough for words, and no larger than it must be, as the archive keeps every byte."""
CAUTION: Rgb = (255, 190, 0)


@dataclass(frozen=True)
class Overlay:
    """What is drawn on the slices of a source."""

    title: str  # such as "Brain mask"
    body_part: str  # where the source names none: without one, DICOM asks for the laterality
    segments: tuple[Segment, ...]
    window: GreyWindow
    zoom: tuple[int, int]  # pixels for each row and column of the source
    strip: Picture  # legend below each picture, always the same: pictures of one series have one size


def overlay_of(
    report: Report, source: SourceImage, title: str, body_part: str, window: GreyWindow | None = None
) -> Overlay:
    """Return what is to be drawn of a report.

    body_part  Body Part Examined where the source names none
    window     grey window; that of the series, or of the image, when None
    """
    zoom = zoom_of(source)
    rows, columns = (size * times for size, times in zip(source.volume.shape[1:], zoom, strict=True))
    strip = legend(columns, entries_of(report, title), line_height((rows, columns)))
    return Overlay(title, body_part, tuple(report.segments), grey_window(source, window), zoom, strip)


def entries_of(report: Report, title: str) -> tuple[Entry, ...]:
    """Return the legend: what it is for, each segment with what was measured of it first, and what is suspicious."""
    found = [_entry(segment, report.findings, number) for number, segment in enumerate(report.segments, start=1)]
    nothing = [] if report.segments else [Entry(report.nothing, CAUTION)]
    checks = [Entry(f"Check: {brief}", CAUTION) for brief in in_brief(report.plausibility)]
    caution = [Entry(report.caution, CAUTION)] if report.caution else []
    return (Entry(RESEARCH_ONLY), Entry(f"{title}:"), *found, *nothing, *caution, *checks)


def write_overlays(folder: Path, overlay: Overlay, source: SourceImage, provenance: Provenance) -> list[Path]:
    """Write the pictures, read them again and compare; return their paths, in slice order.

    Raises OutputError when a picture is not the one that was drawn, or an outline does not lie at its millimetres.
    """
    planes = planes_shown(overlay.segments, source)
    series = PictureSeries(
        kind=KIND,
        title=f"{overlay.title} outlined",
        number=SERIES_AFTER_SEG,
        derivation=(
            f"Outlines by {provenance.algorithm} on the source, {overlay.window.basis}: "
            f"{overlay.window.low:g} to {overlay.window.high:g}"
        ),
        digest="".join(digests_of(overlay.segments)),
        zoom=overlay.zoom,
        body_part=overlay.body_part,
    )
    return write_pictures(
        folder,
        KIND,
        series,
        planes,
        lambda plane: picture(overlay, source, plane.slice),
        source,
        provenance,
        lambda read, plane: check_outlines(read, overlay.segments, plane, source),
    )


def planes_shown(segments: Sequence[Segment], source: SourceImage) -> list[Plane]:
    """Return the planes with a segment and some on either side of each; the middle one when there is no segment."""
    shape = source.volume.shape
    shown = np.array(
        [
            any(reaches(one.mask, plane.slice) and on_slice(one.mask, plane.slice, shape).any() for one in segments)
            for plane in source.planes
        ]
    )
    if not shown.any():
        return [source.planes[len(source.planes) // 2]]
    near = np.convolve(shown, np.ones(2 * NEIGHBOURS + 1, int))[NEIGHBOURS:-NEIGHBOURS] > 0
    return [plane for plane, one in zip(source.planes, near, strict=True) if one]


def picture(overlay: Overlay, source: SourceImage, number: int) -> Picture:
    """Return a slice of the source with outlines, and the legend below it, (row, column, RGB)."""
    view = acquired_slice(source.volume, overlay.segments, number)
    rows, columns = (size * times for size, times in zip(view.values.shape, overlay.zoom, strict=True))
    image = draw_view(view, overlay.window, (rows, columns))
    if not overlay.segments:
        size = line_height((rows, columns))
        image = write_words(image, [Words("NOTHING FOUND IN THE SERIES", (3 * size, columns / 2), rgb=CAUTION)], size)
    return below(image, overlay.strip)


def zoom_of(source: SourceImage) -> tuple[int, int]:
    """Return how many pixels a row and a column of the source have in a picture: nearly square, and enough of them."""
    _, rows, columns = source.volume.shape
    _, row_mm, column_mm = source.volume.spacing
    finest = min(row_mm, column_mm)
    zoom = round(row_mm / finest), round(column_mm / finest)
    times = -(-LEAST_PIXELS // max(rows * zoom[0], columns * zoom[1]))
    return times * zoom[0], times * zoom[1]


def _entry(segment: Segment, findings: Sequence[Finding], number: int) -> Entry:
    """Return the short name of a segment with what was measured of it first."""
    name = segment.label.short or segment.label.label
    for finding in findings:
        if finding.segment == number and finding.quantities:
            quantity = finding.quantities[0]
            name = f"{name}: {quantity.value:.1f} {quantity.unit.value}"
    return Entry(name, segment.label.display_rgb)
