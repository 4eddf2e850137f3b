"""The page of a run as one HTML file: it asks the network for nothing, and needs no script but for the viewer."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from imaging.html_parts import Html, element, joined, table
from imaging.page_frame import box, document, facts_list, section
from imaging.page_values import Value
from imaging.page_viewer import script_policy, viewer
from imaging.report_page import (
    BROKEN_HEAD,
    BrokenLimit,
    KeyPicture,
    PageFinding,
    ReportPage,
    SeriesVerdict,
    Stage,
    Wanted,
)

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What the browser may load: nothing from elsewhere, and no script."""
SECTIONS = (
    ("findings", "Findings"),
    ("series", "Series"),
    ("model", "Model"),
    ("run", "How it was made"),
)
NO_FLAGS = "None of the automatic checks noticed anything. They do not replace a look at the images."


def page_html(page: ReportPage) -> str:
    """Return the page of a run."""
    title = f"{page.title} - {page.app} - research use only"
    body = (
        element("a", "Skip to the findings", class_="skip", href="#findings"),
        element("aside", element("p", page.research_use), class_="research", aria_label="Research use only"),
        _header(page),
        element("main", _findings(page), _series(page), _model(page), _run(page)),
        element("footer", element("p", f"{page.research_use} Made by {page.made_by}; the file needs no network.")),
    )
    return document(title, policy_of(page), body)


def policy_of(page: ReportPage) -> str:
    """Return what the browser may load: of scripts, those of the viewer alone where there is one."""
    return POLICY if page.content.coarse is None else f"{POLICY}; {script_policy()}"


def _header(page: ReportPage) -> Html:
    links = (element("li", element("a", title, href=f"#{anchor}")) for anchor, title in SECTIONS)
    found = f"{page.finding[0].upper()}{page.finding[1:].rstrip('.')}." if page.finding else ""
    return element(
        "header",
        element("h1", page.title),
        element("p", found, class_="finding"),
        element("p", f"Found by {page.app} {page.app_version} in {page.taken}.", class_="soft"),
        _identity(page),
        box("warn", "Look at this first", page.flags) if page.flags else box("good", "No flags", (NO_FLAGS,)),
        element("nav", element("ul", *links), aria_label="Parts of this page"),
    )


def _identity(page: ReportPage) -> Html:
    one = page.content.identity
    return Html("") if one is None else facts_list(one.facts)


# -- findings --------------------------------------------------------------------------------------------------------


def _findings(page: ReportPage) -> Html:
    content = page.content
    parts: list[str] = [_general(finding) for finding in content.general]
    parts += [values_table("Measurements of each finding", content.findings)] if content.findings else []
    if content.overview:
        parts.append(_pictures([content.overview], "pictures wide"))
    parts += [_broken(page.broken)] if page.broken else []
    parts += [_finding(one, anchor_of(at)) for at, one in enumerate(content.findings) if has_own_part(one)]
    parts += [element("p", of_pictures(page), class_="soft")] if content.findings else []
    parts += [viewer(content.coarse)] if content.coarse else []
    return section("findings", "Findings", *parts)


def _general(finding: PageFinding) -> Html:
    values = facts_list((value.name, value.text) for value in finding.values)
    return joined([values, element("ul", *(element("li", remark) for remark in finding.remarks))])


def _broken(broken: Sequence[BrokenLimit]) -> Html:
    return table("Checks that noticed something", BROKEN_HEAD, [one.row for one in broken], class_="why")


def values_table(caption: str, findings: Sequence[PageFinding]) -> Html:
    """Return one row for each finding, one column for each quantity that any of them has."""
    names = list(dict.fromkeys(value.name for finding in findings for value in finding.values))
    rows = [
        [_label(one, anchor_of(at) if has_own_part(one) else None), *(_cell(one.values, name) for name in names)]
        for at, one in enumerate(findings)
    ]
    return table(caption, ["Finding", *names], rows, class_="numbers")


def _cell(values: Sequence[Value], name: str) -> Html:
    found = [value for value in values if value.name == name]
    if not found:
        return joined(["-"])
    place = [Html(" "), element("small", f"({found[0].place})")] if found[0].place else []
    return joined([found[0].text, *place])


def anchor_of(at: int) -> str:
    """Return where the part of a finding can be found in the page."""
    return f"finding-{at + 1}"


def has_own_part(finding: PageFinding) -> bool:
    """Return whether there is more to say of a finding than its row in the table."""
    return bool(finding.pictures or finding.remarks)


def _label(finding: PageFinding, anchor: str | None = None) -> Html:
    name = element("a", finding.label, href=f"#{anchor}") if anchor else joined([finding.label])
    if finding.rgb is None:
        return name
    return joined([element("span", class_="swatch", style=f"background:rgb{finding.rgb}", aria_hidden="true"), name])


def _finding(finding: PageFinding, anchor: str) -> Html:
    return element(
        "div",
        element("h3", _label(finding), id=anchor),
        *([element("ul", *(element("li", remark) for remark in finding.remarks))] if finding.remarks else []),
        *([_pictures(finding.pictures, "pictures")] if finding.pictures else []),
        class_="keep",
    )


def _pictures(pictures: Sequence[KeyPicture], kind: str) -> Html:
    return element("div", *(_picture(one) for one in pictures), class_=kind)


def _picture(one: KeyPicture) -> Html:
    source = f"data:image/jpeg;base64,{base64.b64encode(one.jpeg).decode()}"
    image = element("img", src=source, alt=one.alt, width=one.width_px, height=one.height_px)
    return element("figure", image, element("figcaption", one.caption))


def of_pictures(page: ReportPage) -> str:
    """Return how many findings have pictures, and what these show."""
    shown, every = page.pictured, len(page.content.findings)
    of_all = f"Pictures of {shown} of {every} findings; the table has all of them. " if shown < every else ""
    return f"{of_all}Pictures show the {page.content.window}, the patient's left on the right. Research use only."


# -- series, model, run ----------------------------------------------------------------------------------------------


def _series(page: ReportPage) -> Html:
    parts = [_wanted(wanted) for wanted in page.series]
    voxels = [element("p", f"Measured on {page.source_voxels}.", class_="soft")] if page.source_voxels else []
    return section("series", "Series", *voxels, *parts)


def _wanted(wanted: Wanted) -> Html:
    taken = [one for one in wanted.verdicts if one.taken]
    rest = [one for one in wanted.verdicts if not one.taken]
    heading = [element("h3", wanted.title[0].upper() + wanted.title[1:])] if wanted.title else []
    of = f": {wanted.title}" if wanted.title else ""
    parts = [_verdicts(f"Taken{of}", taken)] if taken else [element("p", "None was taken.")]
    if rest:
        summary = element("summary", f"{len(rest)} not taken, with the reasons")
        parts.append(element("details", summary, _verdicts(f"Not taken{of}", rest)))
    return joined([*heading, *parts])


def _verdicts(caption: str, verdicts: Sequence[SeriesVerdict]) -> Html:
    rows = [
        [one.name, one.modality, f"{one.slices} of {one.images} images" if one.slices != one.images else
         f"{one.images} images", one.parts or "-", one.verdict, "; ".join(one.reasons)]
        for one in verdicts
    ]  # fmt: skip
    return table(caption, ["Series", "Modality", "Size", "Part", "Verdict", "Why"], rows, class_="why")


def _model(page: ReportPage) -> Html:
    facts = (
        ("Model", f"{page.model} {page.model_version}"),
        ("SHA-256 of its weights", element("code", page.model_sha256)),
    )
    card = [
        joined([
            element("h3", part.heading),
            element("p", part.said),
        ])
        for part in page.card
    ]  # fmt: skip
    missing = element("p", "The folder of the model holds no model card: nothing is known of its intended use.")
    return section("model", "Model", facts_list(facts), *(card or [missing]))


def _run(page: ReportPage) -> Html:
    return section("run", "How it was made", facts_list(page.run_facts), _stages(page.stages))


def _stages(stages: Sequence[Stage]) -> Html:
    longest = max((stage.seconds for stage in stages if stage.name != "total"), default=0.0) or 1.0
    rows = [
        [stage.name.replace("_", " "), f"{stage.seconds:.2f} s", f"{stage.cpu_seconds:.2f} s",
         "" if stage.name == "total" else _bar(stage.seconds / longest)]
        for stage in stages
    ]  # fmt: skip
    head = ["Stage", "Time", "CPU time", "Share of the longest"]
    return table("Time of each stage; the total is until this page was begun", head, rows, class_="numbers bars")


def _bar(share: float) -> Html:
    return element("span", class_="bar", style=f"width:{100 * min(1.0, share):.1f}%", aria_hidden="true")
