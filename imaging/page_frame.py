"""What every page of the suite is made of: document with style, parts with headings, lists of facts, warnings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from imaging.html_parts import Html, element, joined
from imaging.page_style import STYLE


def document(title: str, policy: str, body: Iterable[str]) -> str:
    """Return a whole HTML document in English with the style of the suite."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="referrer", content="no-referrer"),
        element("title", title),
        element("style", Html(STYLE)),
    )
    whole = element("html", head, Html("\n"), element("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def facts_list(pairs: Iterable[tuple[str, str]]) -> Html:
    """Return names and what belongs to them; what is empty is left out."""
    return element("dl", *(joined([element("dt", name), element("dd", text)]) for name, text in pairs if text))


def section(anchor: str, title: str, *content: str) -> Html:
    """Return a part of the page with its heading."""
    return element("section", element("h2", title, id=anchor), *content, aria_labelledby=anchor)


def box(kind: str, title: str, lines: Sequence[str]) -> Html:
    """Return sentences that must not be overlooked."""
    items = element("ul", *(element("li", line) for line in lines)) if len(lines) > 1 else element("p", *lines)
    return element("div", element("p", element("strong", title)), items, class_=f"box {kind}")
