"""A strict reader of HTML: every element that is opened is closed, in order, and what a page holds can be asked for."""

import re
from html.parser import HTMLParser
from itertools import pairwise

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Judge(HTMLParser):
    """Collects what a document holds and refuses one that is not well formed."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = []
        self.texts: list[tuple[str, str]] = []  # innermost element, text
        self.rows: list[list[str]] = []
        self.feed(document)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs), tuple(self.open)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        raise AssertionError(f"<{tag}/> is no HTML")

    def handle_endtag(self, tag):
        assert tag not in VOID, f"</{tag}> of an element without content"
        assert self.open, f"</{tag}> of nothing"
        assert self.open[-1] == tag, f"</{tag}> closes {self.open[-1]}"
        self.open.pop()

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of every element of a kind."""
        return [attributes for name, attributes, _ in self.elements if name == tag]

    @property
    def said(self) -> str:
        """Everything a reader sees, and what is read out in its place."""
        shown = [text for inside, text in self.texts if inside not in ("style", "script", "title")]
        return " ".join([*shown, *(str(image.get("alt")) for image in self.all("img"))])


def without_pictures(document: str) -> str:
    """A document without pictures, images and scripts in base64: their letters say nothing, and may spell anything."""
    return re.sub(r"[A-Za-z0-9+/=]{300,}", "", document)


def assert_accessible(judge: Judge) -> None:
    """What a program can tell of a page that all can use: language, headings, tables, pictures, targets of links."""
    assert judge.all("html") == [{"lang": "en"}]
    levels = [int(name[1]) for name, _, _ in judge.elements if name in ("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), levels
    assert all(image.get("alt") and image.get("width") and image.get("height") for image in judge.all("img"))
    assert all(head.get("scope") in ("col", "row") for head in judge.all("th"))
    assert len(judge.all("caption")) == len(judge.all("table"))
    ids = [attributes["id"] for _, attributes, _ in judge.elements if "id" in attributes]
    assert len(set(ids)) == len(ids)
    targets = [link["href"][1:] for link in judge.all("a") if link["href"].startswith("#")]
    assert set(targets) <= set(ids)


def assert_asks_for_nothing(judge: Judge) -> None:
    """No element loads anything from elsewhere, and the policy forbids it."""
    for name, attributes, _ in judge.elements:
        for key in ("src", "srcset", "data", "action", "poster", "background"):
            assert str(attributes.get(key, "data:")).startswith("data:"), (name, attributes)
        assert name not in ("link", "iframe", "object", "embed", "base", "form")
        assert not [key for key in attributes if key.startswith("on")], attributes
    (policy,) = [one["content"] for one in judge.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none';")
