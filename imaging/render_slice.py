"""Pictures of a slice with the outlines of segments, for people: the patient's left on the right, pixels square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from PIL import Image

from imaging.burn_text import SMALLEST, Entry, Picture, Rgb, Words, below, legend, write_words
from imaging.contours import Mask, outline
from imaging.encode_seg import Segment
from imaging.image_kind import Plane
from imaging.mask_frames import reaches
from imaging.region import Region
from imaging.window import GreyWindow

LEAST_PIXELS = 512
"""Longer side of a picture, so that small objects can be seen."""
RESEARCH_ONLY = "RESEARCH USE ONLY"
OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
VIEWS: dict[Plane, tuple[str, str, str]] = {
    Plane.AXIAL: ("HF", "P", "L"),
    Plane.CORONAL: ("AP", "F", "L"),
    Plane.SAGITTAL: ("LR", "F", "P"),
}
"""Ends of the axis across a plane, and where its rows and columns run to: seen from the feet, from the front, and from
the left of the patient, as radiologists look at them."""
LINE_OF_PICTURE = 40
"""A line of text is this part of the longer side of a picture."""


@dataclass(frozen=True)
class Outlined:
    """What is outlined on a slice."""

    mask: Mask  # (row, column)
    rgb: Rgb
    short: str = ""  # a few letters, written beside it


@dataclass(frozen=True)
class SliceView:
    """A slice as it is looked at."""

    values: npt.NDArray[np.float32]  # (row, column)
    outlined: tuple[Outlined, ...]
    pixel_mm: tuple[float, float]  # distance of two rows, of two columns
    bottom: str  # end of the patient that rows run to: L, R, A, P, H or F
    right: str  # the same for columns


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


def axis_across(volume: Volume, plane: Plane) -> int:
    """Return the axis of a volume's array that runs across a plane of the patient, or most nearly so."""
    return [end in VIEWS[plane][0] for end in _ends(volume)].index(True)


def key_slice(volume: Volume, segments: Sequence[Segment], plane: Plane) -> int:
    """Return the slice that shows the most voxels of segments, the middle one without any."""
    axis = axis_across(volume, plane)
    others = tuple(other for other in range(3) if other != axis)
    counts = np.zeros(volume.shape[axis], int)
    for segment in segments:
        if isinstance(segment.mask, Region):
            counts[segment.mask.box[axis]] += np.count_nonzero(segment.mask.mask, axis=others)
        else:
            counts += np.count_nonzero(segment.mask, axis=others)
    return int(counts.argmax()) if counts.any() else int(volume.shape[axis]) // 2


def turned_slice(volume: Volume, segments: Sequence[Segment], plane: Plane, number: int) -> SliceView:
    """Return a slice in a plane of the patient, turned as radiologists look at it."""
    axis, ends = axis_across(volume, plane), _ends(volume)
    _, bottom, right = VIEWS[plane]
    rows = next(at for at, end in enumerate(ends) if end in (bottom, OPPOSITE[bottom]))
    columns = 3 - axis - rows

    def turn(image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        image = image if rows < columns else image.T
        return image[:: 1 if ends[rows] == bottom else -1, :: 1 if ends[columns] == right else -1]

    spacing_mm = volume.spacing
    return SliceView(
        np.asarray(turn(volume.array.take(number, axis)), np.float32),
        tuple(
            Outlined(np.asarray(turn(mask_on(segment.mask, axis, number, volume.shape)), bool), *_look(segment))
            for segment in segments
        ),
        (float(spacing_mm[rows]), float(spacing_mm[columns])),
        bottom,
        right,
    )


def acquired_slice(volume: Volume, segments: Sequence[Segment], number: int) -> SliceView:
    """Return a slice as it was acquired, rows and columns those of the source, with the segments that reach it."""
    ends, spacing_mm = _ends(volume), volume.spacing
    return SliceView(
        np.asarray(volume.array[number], np.float32),
        tuple(
            Outlined(mask_on(segment.mask, 0, number, volume.shape), *_look(segment))
            for segment in segments
            if reaches(segment.mask, number)
        ),
        (float(spacing_mm[1]), float(spacing_mm[2])),
        ends[1],
        ends[2],
    )


def mask_on(mask: npt.NDArray[np.bool_] | Region, axis: int, number: int, shape: Sequence[int]) -> Mask:
    """Return a mask on one slice across any axis of a volume of that shape."""
    if not isinstance(mask, Region):
        return np.asarray(mask.take(number, axis))
    others = [other for other in range(3) if other != axis]
    image = np.zeros([shape[other] for other in others], bool)
    part = mask.box[axis]
    if part.start <= number < part.stop:
        image[mask.box[others[0]], mask.box[others[1]]] = mask.mask.take(number - part.start, axis)
    return image


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


def _look(segment: Segment) -> tuple[Rgb, str]:
    return segment.label.display_rgb, segment.label.short


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


def _ends(volume: Volume) -> tuple[str, str, str]:
    """Return the end of the patient that each axis of the array runs to, or most nearly so."""
    slices, rows, columns = (end.value for end in volume.get_closest_patient_orientation())
    return slices, rows, columns
