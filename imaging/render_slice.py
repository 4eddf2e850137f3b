"""Pictures of a slice with the outlines of segments, for people: square pixels, names, the ends of the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from PIL import Image

from imaging.burn_text import SMALLEST, Entry, Picture, Words, below, legend, write_words
from imaging.contours import outline
from imaging.encode_seg import Segment
from imaging.image_kind import Plane
from imaging.slice_view import OPPOSITE, Outlined, SliceView, turned_slice
from imaging.window import GreyWindow

LEAST_PIXELS = 512
"""Longer side of a picture, so that small objects can be seen."""
RESEARCH_ONLY = "RESEARCH USE ONLY"
LINE_OF_PICTURE = 40
"""A line of text is this part of the longer side of a picture."""


def render_slice(
    volume: Volume,
    segments: Sequence[Segment],
    plane: Plane,
    number: int,
    window: GreyWindow,
    *,
    entries: Sequence[Entry] = (),
    least_pixels: int = LEAST_PIXELS,
) -> Picture:
    """Return a slice of a volume in a plane of the patient with outlines, (row, column, RGB); pixels are square.

    An oblique volume is cut along its own nearest axis, so that every pixel is one of the image.

    number   of the slice, along ``axis_across(volume, plane)`` of the volume's array
    entries  of a legend below the picture; that it is for research only is always written there
    """
    view = turned_slice(volume, segments, plane, number)
    picture = draw_view(view, window, square_size(view, least_pixels))
    size = line_height(picture.shape[:2])
    return below(picture, legend(picture.shape[1], (Entry(RESEARCH_ONLY), *entries), size))


def square_size(view: SliceView, least_pixels: int = LEAST_PIXELS) -> tuple[int, int]:
    """Return rows and columns of a picture of square pixels that loses none of the slice's and is large enough.

    >>> square_size(SliceView(np.zeros((10, 400), np.float32), (), (4.0, 0.5), "F", "P"))
    (102, 512)
    """
    extent_mm = [count * mm for count, mm in zip(view.values.shape, view.pixel_mm, strict=True)]
    pixel_mm = min(*view.pixel_mm, max(extent_mm) / least_pixels)
    rows, columns = (max(1, round(mm / pixel_mm)) for mm in extent_mm)
    return rows, columns


def draw_view(view: SliceView, window: GreyWindow, size: tuple[int, int]) -> Picture:
    """Return a slice in a window, enlarged to (rows, columns), with outlines, names and the ends of the patient."""
    grey = _enlarged(window.grey(view.values), size, Image.Resampling.BILINEAR)
    picture = np.repeat(grey[..., None], 3, axis=2)
    shown = [
        replace(one, mask=_enlarged(one.mask.astype(np.uint8), size, Image.Resampling.NEAREST).astype(bool))
        for one in view.outlined
        if one.mask.any()
    ]
    names = [_beside(one) for one in shown if one.short]
    picture = write_words(picture, [*_ends_of(view, size), *names], line_height(size))
    for one in shown:  # last: no letter hides a part of an outline
        picture[outline(one.mask, line_width(size))] = one.rgb
    return picture


def line_width(size: Sequence[int]) -> int:
    """Return the width in pixels of an outline in a picture of (rows, columns)."""
    return 1 if max(size) < 2 * LEAST_PIXELS else 2


def line_height(size: Sequence[int]) -> int:
    """Return the height of a line of text in a picture of (rows, columns)."""
    return max(SMALLEST, max(size) // LINE_OF_PICTURE)


def _ends_of(view: SliceView, size: tuple[int, int]) -> tuple[Words, ...]:
    """Return the ends of the patient at the four edges of a picture."""
    rows, columns = size
    return (
        Words(OPPOSITE[view.right], (rows / 2, 4), "left"),
        Words(view.right, (rows / 2, columns - 4), "right"),
        Words(OPPOSITE[view.bottom], (2, columns / 2), "top"),
        Words(view.bottom, (rows - 2, columns / 2), "bottom"),
    )


def _beside(one: Outlined) -> Words:
    """Return the name of an object at its left, or at its right where there is no room."""
    rows, columns = np.nonzero(one.mask)
    room = 3 * SMALLEST
    left = columns.min() - 4 >= room
    return Words(
        one.short,
        (float(rows.mean()), float(columns.min() - 4 if left else columns.max() + 4)),
        "right" if left else "left",
        one.rgb,
    )


def _enlarged(image: npt.NDArray[np.uint8], size: tuple[int, int], how: Image.Resampling) -> npt.NDArray[np.uint8]:
    """Return an image with other numbers of rows and columns; its edges stay where they are."""
    if image.shape == size:
        return image
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((size[1], size[0]), how))
