"""The beginning of what a model card says: what a model is for, what it learned from, and where it fails."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

CARD = "card.md"
SECTIONS = ("Intended use", "Training data", "Training", "Limits")
"""Headings whose text is quoted; a card has the one or the other."""
MOST_LETTERS = 700
"""Of a section; it ends with a whole sentence."""
MARKUP = re.compile(r"\*\*|`|^\s*[*-] ", re.MULTILINE)
LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


@dataclass(frozen=True)
class CardSection:
    """The beginning of a section of a model card."""

    heading: str
    text: str
    cut: bool  # the section says more

    @property
    def said(self) -> str:
        """The text, and that there is more where there is."""
        return f"{self.text} (The model card says more.)" if self.cut else self.text


def read_model_card(folder: Path) -> tuple[CardSection, ...]:
    """Return what the card in a model's folder says in short, () when there is none or it has no such section."""
    try:
        text = (folder / CARD).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ()
    found = dict(re.findall(r"^## (.+?)\s*\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    wanted = [name for name in SECTIONS if name in found]
    if "Training data" in wanted and "Training" in wanted:
        wanted.remove("Training")
    sections = [_beginning(name, found[name]) for name in wanted]
    return tuple(section for section in sections if section.text)


def _beginning(heading: str, markdown: str) -> CardSection:
    """Return the text before the first table, picture or code, cut after a sentence.

    >>> _beginning("Limits", "It is **bad**. See [x](y).\\n\\n| a |\\n").text
    'It is bad. See x.'
    """
    prose = re.split(r"^(?:\||```|!\[|###)", markdown, maxsplit=1, flags=re.MULTILINE)[0]
    words = " ".join(MARKUP.sub("", LINK.sub(r"\1", prose)).split())
    whole = len(prose) == len(markdown) and len(words) <= MOST_LETTERS
    if len(words) <= MOST_LETTERS:
        return CardSection(heading, words, not whole)
    kept = words[:MOST_LETTERS]
    end = kept.rfind(". ")
    return CardSection(heading, kept[: end + 1] if end > 0 else f"{kept} ...", True)
