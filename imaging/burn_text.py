"""Words in the pixels of an image: nobody who looks at it can miss them, and no program loses them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WIDTH, HEIGHT = 5, 7
GLYPHS = {
    "A": "0E11111F111111", "C": "0E11101010110E", "D": "1E11111111111E", "E": "1F10101E10101F",
    "F": "1F10101E101010", "H": "1111111F111111", "I": "0E04040404040E", "L": "1010101010101F",
    "M": "111B1515111111", "N": "11191513111111", "O": "0E11111111110E", "P": "1E11111E101010",
    "R": "1E11111E141211", "S": "0F10100E01011E", "T": "1F040404040404", "U": "1111111111110E",
    "Y": "11110A04040404", "0": "0E13151515190E", "1": "040C040404040E", "2": "0E11010204081F",
    "3": "1E01010E01011E", "4": "02060A121F0202", "5": "1F101E0101110E", "6": "0608101E11110E",
    "7": "1F010204080808", "8": "0E11110E11110E", "9": "0E11110F01020C", ",": "00000000000408",
    " ": "00000000000000",
}  # fmt: skip
"""Rows of 5 pixels from the top, two hexadecimal digits each, the leftmost pixel in the highest bit."""


def text_mask(text: str, scale: int = 1) -> npt.NDArray[np.bool_]:
    """Return the pixels of a line of text, (row, column); KeyError for a letter that has no glyph.

    scale  pixels for each pixel of a glyph

    >>> text_mask("L").sum(), text_mask("NO", 2).shape
    (np.int64(11), (14, 22))
    """
    letters = []
    for letter in text:
        rows = np.frombuffer(bytes.fromhex(GLYPHS[letter]), np.uint8)[:, None]
        letters += [np.unpackbits(rows, axis=1)[:, -WIDTH:], np.zeros((HEIGHT, 1), np.uint8)]
    return np.kron(np.concatenate(letters[:-1], axis=1), np.ones((scale, scale), np.uint8)).astype(bool)


def burn_text(image: npt.NDArray[np.uint8], lines: tuple[str, ...], scale: int = 1) -> None:
    """Write white lines on black into the upper left corner of an RGB image, (row, column, 3); what is beyond is cut.

    scale  pixels for each pixel of a glyph
    """
    top = 0
    for line in lines:
        text = np.pad(text_mask(line, scale), scale)
        part = image[top : top + text.shape[0], : text.shape[1]]
        part[:] = 255 * text[: part.shape[0], : part.shape[1], None]
        top += text.shape[0]
