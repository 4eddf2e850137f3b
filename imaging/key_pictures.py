"""Pictures of findings for the page: three planes through each, and whole slices that show where they lie."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from PIL import Image
from scipy import ndimage

from imaging.encode_seg import Segment
from imaging.image_kind import Plane
from imaging.render_slice import draw_view, square_size
from imaging.report_page import KeyPicture
from imaging.slice_view import SliceView, axis_across, key_slice, turned_slice
from imaging.window import GreyWindow, value_window

if TYPE_CHECKING:
    from imaging.align_sequences import AlignedImage  # it imports much that other applications never run

PLANES = (Plane.AXIAL, Plane.CORONAL, Plane.SAGITTAL)
MOST_PICTURED = 10
"""Findings with pictures of their own; the others are in the table."""
LEAST_FIELD_MM = 70.0
"""Side of a close-up, unless the finding needs more: twice its extent."""
PIXELS, WHOLE_PIXELS = 288, 400
"""Longer side of a close-up, of a whole slice."""
QUALITY = 82
"""Of JPEG, in full resolution of colour: outlines are thin."""
WHOLE = 0.8
"""A close-up of more than this part of a slice is the whole slice."""


def overview(volume: Volume, segments: Sequence[Segment], window: GreyWindow) -> KeyPicture | None:
    """Return a whole slice, in the plane of acquisition, that shows every segment; None when none does."""
    if not segments:
        return None
    plane = acquired_plane(volume)
    number = key_slice(volume, segments, plane)
    if not all(seen_on(one, volume, plane, number) for one in segments):
        return None
    return _picture(volume, segments, window, plane, number, names_of(segments))


def whole_slice(volume: Volume, segments: Sequence[Segment], at: int, window: GreyWindow) -> KeyPicture:
    """Return the whole slice, in the plane of acquisition, that shows most of one segment."""
    plane = acquired_plane(volume)
    number = key_slice(volume, [segments[at]], plane)
    shown = [one for one in segments if seen_on(one, volume, plane, number)]
    return _picture(volume, segments, window, plane, number, names_of(shown))


def close_ups(
    volume: Volume, segments: Sequence[Segment], at: int, window: GreyWindow, hide_beyond_mm: float | None = None
) -> tuple[KeyPicture, ...]:
    """Return three planes through one segment, through where it is largest; the others are outlined, too.

    hide_beyond_mm  what is farther from any segment is black in the coronal and sagittal plane: of a head, the face
    """
    one = segments[at]
    return tuple(
        _picture(
            volume,
            segments,
            window,
            plane,
            key_slice(volume, [one], plane),
            one.label.label,
            close_to=at,
            hide_beyond_mm=None if plane is Plane.AXIAL else hide_beyond_mm,
        )
        for plane in PLANES
    )


def close_up_of_companion(name: str, companion: AlignedImage, segments: Sequence[Segment], at: int) -> KeyPicture:
    """Return the slice that shows most of one segment as another image shows it.

    name       of that image, such as "ADC"
    companion  it, on the grid of the segments
    """
    volume, one = companion.volume, segments[at]
    plane = acquired_plane(volume)
    number = key_slice(volume, [one], plane)
    window = replace(value_window(volume.array), inverted=companion.inverted)
    found = _picture(volume, segments, window, plane, number, one.label.label, close_to=at)
    return replace(found, caption=f"{found.caption}, {name}", alt=f"{name}: {found.alt[0].lower()}{found.alt[1:]}")


def acquired_plane(volume: Volume) -> Plane:
    """Return the plane of the patient that the slices of a volume lie in, or most nearly so."""
    return next(plane for plane in PLANES if axis_across(volume, plane) == 0)


def names_of(segments: Sequence[Segment]) -> str:
    """Return the names of segments as a phrase."""
    return ", ".join(one.label.label for one in segments)


def seen_on(segment: Segment, volume: Volume, plane: Plane, number: int) -> bool:
    """Return whether a slice shows any voxel of a segment."""
    return bool(turned_slice(volume, [segment], plane, number).outlined[0].mask.any())


def _picture(
    volume: Volume,
    segments: Sequence[Segment],
    window: GreyWindow,
    plane: Plane,
    number: int,
    names: str,
    *,
    close_to: int | None = None,
    hide_beyond_mm: float | None = None,
) -> KeyPicture:
    view = turned_slice(volume, segments, plane, number)
    hidden = ""
    if hide_beyond_mm is not None:
        view = replace(view, values=np.where(near(view, hide_beyond_mm), view.values, np.float32(window.black)))
        hidden = f"; farther than {hide_beyond_mm:.0f} mm from the outline is black, so that no face is shown"
    whole = view.values.shape
    view = view if close_to is None else cropped(view, close_to)
    part = "" if view.values.shape == whole else "close-up of "
    image = draw_view(view, window, square_size(view, PIXELS if close_to is not None else WHOLE_PIXELS))
    count = volume.shape[axis_across(volume, plane)]
    where = f"{part}{plane.value} slice {number + 1} of {count}"
    return KeyPicture(
        jpeg=jpeg_of(image),
        width_px=image.shape[1],
        height_px=image.shape[0],
        plane=plane.value,
        caption=f"{where[0].upper()}{where[1:]}{hidden}",
        alt=f"{where[0].upper()}{where[1:]} with the outline of {names or 'nothing'}; {ENDS[plane]}",
    )


ENDS = {
    Plane.AXIAL: "the patient's left is on the right, anterior is up",
    Plane.CORONAL: "the patient's left is on the right, the head is up",
    Plane.SAGITTAL: "anterior is on the left, the head is up",
}


def cropped(view: SliceView, at: int) -> SliceView:
    """Return the part of a slice about one outlined object; all of it where little would be left out."""
    mask = view.outlined[at].mask
    if not mask.any():
        return view
    seen = [np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))]
    extents_mm = [(found[-1] + 1 - found[0]) * mm for found, mm in zip(seen, view.pixel_mm, strict=True)]
    side_mm = max(LEAST_FIELD_MM, 2 * max(extents_mm))
    whole_mm = [count * mm for count, mm in zip(mask.shape, view.pixel_mm, strict=True)]
    if side_mm > WHOLE * max(whole_mm):
        return view
    middles = [(found[0] + found[-1] + 1) / 2 for found in seen]
    rows, columns = (
        _window(middle, side_mm / mm, count)
        for middle, mm, count in zip(middles, view.pixel_mm, mask.shape, strict=True)
    )
    outlined = tuple(replace(one, mask=one.mask[rows, columns]) for one in view.outlined)
    return replace(view, values=view.values[rows, columns], outlined=outlined)


def near(view: SliceView, distance_mm: float) -> npt.NDArray[np.bool_]:
    """Return where a slice is at most so far from any outlined object of its own."""
    inside = np.any([one.mask for one in view.outlined], axis=0)
    if not inside.any():
        return np.zeros_like(inside)
    return np.asarray(ndimage.distance_transform_edt(~inside, sampling=view.pixel_mm) <= distance_mm)


def jpeg_of(image: npt.NDArray[np.uint8]) -> bytes:
    """Return a (row, column, RGB) picture as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=QUALITY, subsampling=0, optimize=True)
    return stream.getvalue()


def _window(centre: float, size: float, count: int) -> slice:
    """Return so many pixels about a centre, moved into the picture where they would leave it."""
    size = min(round(size), count)
    start = min(max(0, round(centre - size / 2)), count - size)
    return slice(start, start + size)
