"""Words in the pixels of an image: nobody who looks at it can miss them, and no program loses them.

Letters are those of the font that comes with Pillow, which highdicom brings: legible at any size, no font file to ship.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Picture = npt.NDArray[np.uint8]
"""(row, column, RGB)."""
Rgb = tuple[int, int, int]

WHITE: Rgb = (255, 255, 255)
BLACK: Rgb = (0, 0, 0)
SMALLEST = 11
"""Height of a line in pixels below which letters cannot be told apart."""
ANCHORS = {"left": "lm", "right": "rm", "top": "ma", "bottom": "md", "middle": "mm"}
"""Which part of a text lies at its place, and the same for Pillow."""


@dataclass(frozen=True)
class Words:
    """A short text in a picture."""

    text: str
    at: tuple[float, float]  # row, column
    anchor: str = "middle"  # which part of the text lies there, a key of ANCHORS
    rgb: Rgb = WHITE


@dataclass(frozen=True)
class Entry:
    """A text of a legend, with the colour it explains."""

    text: str
    rgb: Rgb | None = None


def write_words(picture: Picture, words: Sequence[Words], size: int) -> Picture:
    """Return a picture with words in it, each letter with a black rim: legible on any tissue, and little is covered."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    for one in words:
        row, column = one.at
        draw.text((column, row), one.text, one.rgb, _font(size), ANCHORS[one.anchor], stroke_width=1, stroke_fill=BLACK)
    return np.array(image)


def legend(width: int, entries: Sequence[Entry], size: int) -> Picture:
    """Return a black strip of a width with entries side by side, in as many lines as they need.

    An entry that is wider than the strip is broken between words; a word that is wider is cut.
    """
    placed, lines = _placed(width, entries, size)
    height = sum(_font(size).getmetrics()) + 2
    strip = Image.new("RGB", (width, lines * height + 2))
    draw = ImageDraw.Draw(strip)
    for one in placed:
        top = one.line * height + 1
        if one.rgb is not None:
            draw.rectangle((one.left, top + size // 4, one.left + size // 2, top + 3 * size // 4 + 1), one.rgb)
        draw.text((one.left + one.indent, top), one.text, WHITE, _font(size))
    return np.asarray(strip)


def below(picture: Picture, strip: Picture) -> Picture:
    """Return a picture with a strip of the same width below it: nothing of the picture is covered."""
    return np.concatenate([picture, strip])


def text_width(text: str, size: int) -> float:
    """Return the width of a text in pixels."""
    return float(_font(size).getlength(text))


@dataclass(frozen=True)
class _Part:
    """A line of an entry and where it stands."""

    text: str
    line: int
    left: int  # column, of the colour
    indent: int  # of the text
    rgb: Rgb | None


def _placed(width: int, entries: Sequence[Entry], size: int) -> tuple[list[_Part], int]:
    """Return the parts of entries side by side, and the number of lines they need."""
    gap = size // 2
    placed, line, left = [], 0, gap
    for entry in entries:
        indent, rgb = (0 if entry.rgb is None else size), entry.rgb
        for part in _lines(entry.text, width - 2 * gap - indent, size):
            length = indent + text_width(part, size)
            if left > gap and left + length > width - gap:
                line, left = line + 1, gap
            placed.append(_Part(part, line, left, indent, rgb))
            left, rgb = left + int(length) + 2 * gap, None  # the colour stands before the first line alone
    return placed, line + 1


def _lines(text: str, width: int, size: int) -> list[str]:
    """Return a text in lines that fit into a width as far as words do."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, size) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # noqa: S101 the wheels of Pillow bring FreeType
    return font
