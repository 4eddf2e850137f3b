"""HTML that is put together from elements: every text is escaped, unless it is HTML already."""

from __future__ import annotations

import html
from collections.abc import Iterable


class Html(str):
    """Text that is HTML: it is not escaped again."""

    __slots__ = ()


VOID = {"img", "meta", "br", "link", "input"}
"""Elements without content and end tag."""


def element(name: str, /, *content: str, **attributes: str | int | bool | None) -> Html:
    """Return an element; attributes that are None or False are left out, of those that are True the name is given.

    Names of attributes are written with ``_`` for ``-``, and one at the end where Python has the word for itself.

    >>> element("p", "a < b", element("br"), class_="x", aria_label='"')
    '<p class="x" aria-label="&quot;">a &lt; b<br></p>'
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in VOID:
        return Html(f"<{name}{said}>")
    return Html(f"<{name}{said}>{joined(content)}</{name}>")


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Return parts one after the other, texts escaped.

    >>> joined(["&", Html("<br>")])
    '&amp;<br>'
    """
    return Html(between.join(part if isinstance(part, Html) else html.escape(part) for part in parts))


def table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]], **attributes: str) -> Html:
    """Return a table whose first column names its rows, in a frame that scrolls where the screen is narrow.

    caption  read out as the name of the table, and shown above it
    rows     the first cell of each is its header
    """
    heads = [element("th", text, scope="col") for text in head]
    body = [
        element("tr", element("th", first, scope="row"), *(element("td", cell) for cell in cells))
        for first, *cells in (list(row) for row in rows)
    ]
    whole = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", *heads)),
        element("tbody", *body),
        **attributes,
    )
    return element("div", whole, class_="scroll", role="region", aria_label=caption, tabindex="0")


def _attribute(key: str, value: str | int | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{html.escape(str(value))}"'
