"""A cohort of runs as one HTML file: what stands out first; it asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from imaging.cohort import LEAST_RUNS, LIMIT, PAGE, AppCohort, Cohort, CohortRun, JudgedRun, Measure
from imaging.histogram import histogram
from imaging.html_parts import Html, element, joined, table
from imaging.page_frame import box, document, facts_list, section
from imaging.publish import RECORD
from imaging.suite import RESEARCH_USE, SUITE

MOST_COLUMNS = 6
"""Measures with a column in the table; the distributions show all."""
RULE = (
    f"A value stands out when its modified z-score is above {LIMIT} (Iglewicz and Hoaglin 1993): 0.6745 times its "
    "distance from the median of the runs of the same application, over the median of these distances. Below "
    f"{LEAST_RUNS} values nothing is said to stand out. Runs whose values stand out come first, the farthest before "
    "the others, then runs with flags. To stand out is no error, and an error need not stand out."
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src '{}'; base-uri 'none'; form-action 'none'"
"""The browser may run the one script whose hash stands there, and load nothing."""
SORT = """
for(const button of document.querySelectorAll("th button"))button.addEventListener("click",()=>{
const head=button.closest("th"),table=head.closest("table"),at=head.cellIndex,
up=head.getAttribute("aria-sort")!=="ascending";
for(const other of head.parentNode.cells)other.removeAttribute("aria-sort");
head.setAttribute("aria-sort",up?"ascending":"descending");
const key=row=>row.cells[at].dataset.v??row.cells[at].textContent;
const rows=[...table.tBodies[0].rows].map(row=>[key(row),row]);
rows.sort(([a],[b])=>{if(a===""||b==="")return (a==="")-(b==="");
const order=isNaN(a)||isNaN(b)?a.localeCompare(b,"en",{numeric:true}):a-b;return up?order:-order});
table.tBodies[0].append(...rows.map(([,row])=>row))});
"""
"""Sorts a table by the column whose heading is pressed; what has no value stays last."""


def cohort_html(cohort: Cohort, root: Path, page: Path, *, named: bool = True) -> str:
    """Return the page of a cohort.

    root   folder that the names of the runs are below
    page   where the page will lie: links are relative to it
    named  whether runs go by their folders, with links; else by numbers: names of folders may name patients
    """
    links = _Links(root, page.parent, cohort, named=named)
    digest = base64.b64encode(hashlib.sha256(SORT.encode()).digest()).decode()
    policy = POLICY.format(f"sha256-{digest}")
    body = (
        element("aside", element("p", RESEARCH_USE), class_="research", aria_label="Research use only"),
        element("header", element("h1", "Cohort"), *_summary(cohort)),
        element(
            "main",
            *(_app(app, links) for app in cohort.apps),
            *([_failed(cohort.failed, links)] if cohort.failed else []),
        ),
        element("footer", element("p", RULE), element("p", f"{RESEARCH_USE} Made by {SUITE}.")),
        element("script", Html(SORT)),
    )
    return document("Cohort - research use only", policy, body)


class _Links:
    """What runs are called, and where their pages lie."""

    def __init__(self, root: Path, base: Path, cohort: Cohort, *, named: bool) -> None:
        self.below, self.named = os.path.relpath(root, base), named
        runs = [judged.run for app in cohort.apps for judged in app.runs] + list(cohort.failed)
        self.numbers = {id(run): number for number, run in enumerate(sorted(runs, key=lambda run: run.name), start=1)}

    def cell(self, run: CohortRun) -> Html:
        """Return the name of a run, with a link to its page, or to its record where it has none."""
        if not self.named:
            return joined([f"run {self.numbers[id(run)]}"])
        target = Path(self.below, run.name, PAGE if run.has_page else RECORD).as_posix()
        return element("a", run.name if run.name != "." else "this folder", href=quote(target))


def _summary(cohort: Cohort) -> list[Html]:
    good = cohort.count - len(cohort.failed)
    out = sum(bool(judged.outliers) for app in cohort.apps for judged in app.runs)
    flagged = sum(bool(judged.run.flags) for app in cohort.apps for judged in app.runs)
    facts = facts_list([
        ("Runs", str(cohort.count)),
        ("With results", str(good)),
        ("Standing out", str(out)),
        ("With flags", str(flagged)),
        ("Without results", str(len(cohort.failed))),
        ("Unreadable records", str(cohort.unreadable) if cohort.unreadable else ""),
    ])  # fmt: skip
    parts = [(f"app-{app.app}", f"{app.app} ({len(app.runs)})") for app in cohort.apps]
    parts += [("failed", f"Without results ({len(cohort.failed)})")] if cohort.failed else []
    links = (element("li", element("a", text, href=f"#{anchor}")) for anchor, text in parts)
    return [facts, element("nav", element("ul", *links), aria_label="Parts of this page")]


def _app(app: AppCohort, links: _Links) -> Html:
    columns = app.measures[:MOST_COLUMNS]
    head = ["Run", "Attention", *(_capital(measure.name) for measure in columns), "Time (s)", "Finding"]
    rows = [_row(judged, columns, links) for judged in app.runs]
    versions = ", ".join(f"{version} ({count})" for version, count in app.versions.most_common())
    mixed = (
        [box("warn", "Several versions", (f"Values of different versions need not agree: {versions}.",))]
        if len(app.versions) > 1
        else [element("p", f"Version {app.runs[0].run.version}.", class_="soft")]
    )
    charts = [histogram(measure) for measure in app.measures if len(measure.values) > 1]
    return section(
        f"app-{app.app}",
        app.app,
        *mixed,
        *([element("h3", "Distributions"), element("div", *charts, class_="pictures")] if charts else []),
        element("h3", "Runs"),
        sortable(f"Runs of {app.app}, what stands out first", head, rows),
    )


def _row(judged: JudgedRun, columns: Sequence[Measure], links: _Links) -> list[tuple[Html, str]]:
    run, notes = judged.run, _attention(judged)
    weight = max((abs(one.z) for one in judged.outliers), default=0.0) + len(run.flags) / 1000
    attention = element("ul", *(element("li", note) for note in notes)) if notes else joined(["-"])
    numbers = [run.measures.get(measure.name) for measure in columns]
    return [
        (links.cell(run), run.name if links.named else ""),
        (attention, f"{weight:.3f}"),
        *((joined([_number(value)]), "" if value is None else repr(value)) for value in (*numbers, run.seconds)),
        (joined([run.finding]), run.finding),
    ]


def _attention(judged: JudgedRun) -> list[str]:
    out = [
        f"{one.measure}: {_number(one.value)} is far {'above' if one.z > 0 else 'below'} the others (z {one.z:+.1f})"
        for one in judged.outliers
    ]
    return [*out, *judged.run.flags]


def sortable(caption: str, head: Sequence[str], rows: Sequence[Sequence[tuple[Html, str]]]) -> Html:
    """Return a table whose headings sort it; each cell comes with the value it is sorted by."""
    heads = (element("th", element("button", text, type="button"), scope="col") for text in head)
    body = [
        element(
            "tr",
            element("th", rows_first, scope="row"),
            *(element("td", cell, data_v=value) for cell, value in rest),
        )
        for (rows_first, _), *rest in rows
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        class_="sorts",
    )
    return element("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _failed(failed: Sequence[CohortRun], links: _Links) -> Html:
    counts = Counter((run.app, run.outcome.replace("_", " "), run.reason.replace("_", " ")) for run in failed)
    rows = [[app, outcome, reason or "-", str(count)] for (app, outcome, reason), count in counts.most_common()]
    every = [
        [links.cell(run), run.app, run.reason.replace("_", " ") or "-", run.message]
        for run in sorted(failed, key=lambda run: (run.app, run.reason, run.name))
    ]
    return section(
        "failed",
        "Without results",
        table("How many, and why", ["Application", "Outcome", "Reason", "Runs"], rows),
        element(
            "details",
            element("summary", f"Each of the {len(failed)}, with its message"),
            table("Runs without results", ["Run", "Application", "Reason", "Message"], every),
        ),
    )


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.4g}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
