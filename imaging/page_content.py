"""What the graph of an application gives to the page: findings with their numbers and pictures."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from imaging.coarse_image import coarse_image
from imaging.finding import Finding
from imaging.key_pictures import MOST_PICTURED, close_up_of_companion, close_ups, overview, whole_slice
from imaging.page_values import values_of
from imaging.provenance import Provenance
from imaging.read_values import raw_value
from imaging.report import Report
from imaging.report_page import Identity, KeyPicture, PageContent, PageFinding, PageWish
from imaging.to_volume import SourceImage
from imaging.window import GreyWindow

if TYPE_CHECKING:
    from imaging.align_sequences import AlignedImage


def page_content(
    report: Report,
    source: SourceImage,
    *,
    window: GreyWindow,
    title: str,
    wish: PageWish,
    provenance: Provenance,
    hide_beyond_mm: float | None = None,
    companions: Mapping[str, AlignedImage] | None = None,
) -> PageContent:
    """Return the findings of a report with their pictures.

    hide_beyond_mm  as in ``close_ups``
    companions      other images on the grid of the source, by their names; findings are shown on them, too
    """
    volume, segments = source.volume, report.segments
    shows_all = overview(volume, segments, window) if hide_beyond_mm is None else None

    said = {remark for finding in report.findings if finding.segment is None for remark in finding.remarks}

    def pictures(at: int) -> tuple[KeyPicture, ...]:
        if not 0 <= at < min(len(segments), MOST_PICTURED):
            return ()
        whole = () if shows_all or hide_beyond_mm is not None else (whole_slice(volume, segments, at, window),)
        others = (close_up_of_companion(name, one, segments, at) for name, one in (companions or {}).items())
        return (*whole, *close_ups(volume, segments, at, window, hide_beyond_mm), *others)

    def shown(finding: Finding) -> PageFinding:
        at = (finding.segment or 0) - 1
        label = segments[at].label.label if at >= 0 else finding.label
        return PageFinding(
            label=label,
            rgb=segments[at].label.display_rgb if at >= 0 else None,
            values=values_of(finding),
            remarks=own_remarks(finding, label, said),
            pictures=pictures(at),
        )

    return PageContent(
        wish=wish,
        title=title,
        source=source,
        provenance=provenance,
        overview=shows_all,
        general=tuple(shown(finding) for finding in report.findings if finding.segment is None),
        findings=tuple(shown(finding) for finding in report.findings if finding.segment is not None),
        window=window.basis,
        coarse=coarse_image(volume, segments, window, hide_beyond_mm) if wish.html and wish.viewer else None,
        identity=identity_of(source) if wish.identity else None,
    )


def own_remarks(finding: Finding, label: str, said: Collection[str]) -> tuple[str, ...]:
    """Return the remarks on a finding without its name, and of a segment without those that hold for all."""
    remarks = [one for one in finding.remarks if finding.segment is None or one not in said]
    short = (one.removeprefix(f"{label}: ") for one in remarks)
    return tuple(f"{one[:1].upper()}{one[1:]}" for one in short)


def identity_of(source: SourceImage) -> Identity:
    """Return whose images they are, from the header of the source."""
    header = source.stack.header

    def said(keyword: str) -> str:
        return " ".join(str(raw_value(header, keyword) or "").replace("^", " ").split())

    date = said("StudyDate")
    whole = len(date) == 8 and date.isdigit()
    return Identity(
        name=said("PatientName"),
        patient_id=said("PatientID"),
        study_date=f"{date[:4]}-{date[4:6]}-{date[6:]}" if whole else date,
    )
