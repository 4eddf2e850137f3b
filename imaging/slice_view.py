"""Slices of a volume with the masks of segments, as they were acquired or turned as radiologists look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.burn_text import Rgb
from imaging.contours import Mask
from imaging.encode_seg import Segment
from imaging.image_kind import Plane
from imaging.mask_frames import on_slice, reaches
from imaging.region import Region

OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
VIEWS: dict[Plane, tuple[str, str, str]] = {
    Plane.AXIAL: ("HF", "P", "L"),
    Plane.CORONAL: ("AP", "F", "L"),
    Plane.SAGITTAL: ("LR", "F", "P"),
}
"""Ends of the axis across a plane, and where its rows and columns run to: seen from the feet, from the front, and from
the left of the patient, as radiologists look at them."""


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
            Outlined(np.asarray(turn(on_slice(segment.mask, number, volume.shape, axis)), bool), *_look(segment))
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
            Outlined(on_slice(segment.mask, number, volume.shape), *_look(segment))
            for segment in segments
            if reaches(segment.mask, number)
        ),
        (float(spacing_mm[1]), float(spacing_mm[2])),
        ends[1],
        ends[2],
    )


def _look(segment: Segment) -> tuple[Rgb, str]:
    return segment.label.display_rgb, segment.label.short


def _ends(volume: Volume) -> tuple[str, str, str]:
    """Return the end of the patient that each axis of the array runs to, or most nearly so."""
    slices, rows, columns = (end.value for end in volume.get_closest_patient_orientation())
    return slices, rows, columns
