"""A stack of frames as one volume."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.decode_pixels import decode_frame
from imaging.geometry import STRICT, GeometryPolicy, StackGeometry, stack_geometry
from imaging.image_attributes import shown_inverted
from imaging.outcome import Reason, RefusedError
from imaging.read_values import words
from imaging.resample import interpolation_weights
from imaging.study import Frame, Series, Stack

SAME_POSITION_MM = 0.01
ON_THE_GRID = 1e-6
"""Slices of the new grid that lie closer to a frame than so many slice distances have its values."""


@dataclass(frozen=True)
class Plane:
    """One slice that results are written for."""

    slice: int  # of the volume
    position_mm: tuple[float, float, float]  # LPS, centre of the first pixel
    frame: Frame  # the source frame that lies there; the nearest one when the volume is resampled


@dataclass(frozen=True)
class SourceImage:
    """A volume and the frames it came from, slice by slice."""

    volume: Volume  # (slice, row, column) float32, LPS mm
    stack: Stack  # frames in the order of their slices
    slices: tuple[int, ...]  # slice of the volume that each frame fills, or the nearest one when resampled
    flags: tuple[str, ...] = ()  # what is not as it should be, as sentences
    resampled: bool = False  # the volume's grid is not that of the frames

    @property
    def series(self) -> Series:
        """The series the frames belong to."""
        return self.stack.series

    @property
    def frames(self) -> tuple[Frame, ...]:
        """The frames in the order of their slices."""
        return self.stack.frames

    @cached_property
    def planes(self) -> tuple[Plane, ...]:
        """The slices results are written for: where the frames lie, or every slice of a resampled volume."""
        if not self.resampled:
            return tuple(
                Plane(at, frame.plane.position_mm, frame) for at, frame in zip(self.slices, self.frames, strict=True)
            )
        centres = self.volume.affine[:3, 3] + np.outer(range(self.volume.shape[0]), self.volume.affine[:3, 0])
        nearest = np.abs(np.subtract.outer(range(self.volume.shape[0]), self.slices)).argmin(axis=1)
        return tuple(
            Plane(at, (float(x), float(y), float(z)), self.frames[int(nearest[at])])
            for at, (x, y, z) in enumerate(centres)
        )

    def of_planes(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the slices of a (slice, row, column) array that results are written for, in plane order."""
        if len(self.planes) == array.shape[0]:
            return array
        return array[[plane.slice for plane in self.planes]]


def to_volume(stack: Stack, policy: GeometryPolicy = STRICT) -> SourceImage:
    """Return the volume of a stack in float32, each frame rescaled by its own slope and intercept.

    Where the policy tolerates a missing slice, the volume has it interpolated between its neighbours; it belongs to
    no frame. Where it tolerates uneven spacing or tilt, the frames are interpolated onto an even, upright grid. Flags
    say so. Raises RefusedError when geometry or pixels are not those of one regular volume.
    """
    _refuse_conflict(stack)
    stack, copies = _without_copies(stack)
    geometry = stack_geometry(stack, policy)
    ordered = Stack(stack.series, tuple(stack.frames[index] for index in geometry.order), stack.traits)
    array = _resampled(ordered, geometry) if geometry.resampled else _stacked(ordered, geometry)
    volume = Volume(
        array,
        geometry.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=ordered.header.get("FrameOfReferenceUID") or None,
    )
    flags = (*_flags(geometry), *_pixel_flags(ordered, copies))
    slices = tuple(round(at) for at in geometry.slices)
    return SourceImage(volume, ordered, slices, flags, resampled=geometry.resampled)


def _refuse_conflict(stack: Stack) -> None:
    """Refuse two different files with one SOP Instance UID: a reference to it would mean either."""
    surplus = len(stack.frames) - len({frame.identity for frame in stack.frames})
    if surplus:
        raise RefusedError(
            f"Every image needs a SOP Instance UID of its own; in {stack}, {surplus} files repeat that of another file "
            "with other content. Send the series again from its source.",
            Reason.SAME_UID,
        )


def _without_copies(stack: Stack) -> tuple[Stack, int]:
    """Drop frames that repeat another one at the same place, value by value; say how many."""
    try:
        places = [tuple(round(value / SAME_POSITION_MM) for value in frame.plane.position_mm) for frame in stack.frames]
    except RefusedError:
        return stack, 0
    if len(set(places)) == len(places):
        return stack, 0
    by_place: dict[tuple[int, ...], list[Frame]] = defaultdict(list)
    for place, frame in zip(places, stack.frames, strict=True):
        if not any(_same_values(frame, other) for other in by_place[place]):
            by_place[place].append(frame)
    kept = tuple(frame for frames in by_place.values() for frame in frames)
    return Stack(stack.series, kept, stack.traits), len(places) - len(kept)


def _same_values(one: Frame, other: Frame) -> bool:
    return np.array_equal(decode_frame(one), decode_frame(other))


def _stacked(ordered: Stack, geometry: StackGeometry) -> npt.NDArray[np.float32]:
    """Return the frames on their grid; slices without a frame are interpolated between their neighbours."""
    first = decode_frame(ordered.frames[0])  # before memory is taken for sizes that a header merely claims
    array = np.empty(geometry.shape, np.float32)
    array[0] = first
    for place, frame in zip(geometry.slices[1:], ordered.frames[1:], strict=True):
        array[int(place)] = decode_frame(frame)
    present = np.array(geometry.slices, int)
    for number in geometry.missing:
        after = int(np.searchsorted(present, number))
        _between(
            array[present[after - 1]], array[present[after]], present[after - 1 : after + 1], number, array[number]
        )
    return array


def _resampled(ordered: Stack, geometry: StackGeometry) -> npt.NDArray[np.float32]:
    """Return the frames interpolated onto an even, upright grid; beyond a leaning frame lies its lowest value.

    Between two frames, values are interpolated along the lean: from a pixel to the same pixel of the next frame.
    """
    array = np.empty(geometry.shape, np.float32)
    places, shifts = np.array(geometry.slices), geometry.shifts
    frames = map(decode_frame, ordered.frames)
    low, high, after = next(frames), next(frames), 1
    between = np.empty_like(low)
    for number in range(geometry.shape[0]):
        while places[after] < number - ON_THE_GRID and after < len(places) - 1:
            low, high, after = high, next(frames), after + 1
        share = _between(low, high, places[after - 1 : after + 1], number, between)
        if shifts is None:
            array[number] = between
        else:
            array[number] = _upright(between, (1 - share) * shifts[after - 1] + share * shifts[after], geometry.shape)
    return array


def _between(
    low: npt.NDArray[np.float32],
    high: npt.NDArray[np.float32],
    places: npt.NDArray[np.generic],
    at: float,
    into: npt.NDArray[np.float32],
) -> float:
    """Interpolate linearly between two slices and return the share of the second."""
    share = float(np.clip((at - float(places[0])) / (float(places[1]) - float(places[0])), 0, 1))
    np.multiply(low, np.float32(1 - share), out=into)
    into += np.float32(share) * high
    return share


def _upright(
    image: npt.NDArray[np.float32], shift: npt.NDArray[np.float64], shape: tuple[int, int, int]
) -> npt.NDArray[np.float32]:
    """Move a slice of a leaning stack by so many rows and columns to where its pixels lie on the upright grid."""
    lowest = image.min()
    rows, columns = (
        interpolation_weights(size, new_size, scale=1.0, offset=-float(aside))
        for size, new_size, aside in zip(image.shape, shape[1:], shift, strict=True)
    )
    return np.asarray(rows @ (image - lowest) @ columns.T + lowest, np.float32)


def _flags(geometry: StackGeometry) -> Iterable[str]:
    missing = geometry.missing
    if missing:
        numbers = ", ".join(str(number + 1) for number in missing)
        yield (
            f"{len(missing)} of {geometry.shape[0]} slices missing in the series (slice {numbers} by position), "
            "interpolated between its neighbours for the network"
            f"{'' if geometry.resampled else '; no result is written there'}"
        )
    if geometry.uneven_mm is not None:
        low, high = geometry.uneven_mm
        yield (
            f"slices {low:.2f} to {high:.2f} mm apart were resampled to an even "
            f"{float(np.linalg.norm(geometry.affine[:3, 0])):.2f} mm; results lie on the resampled grid"
        )
    if geometry.shifts is not None:
        yield ("the stack leans (gantry tilt) and was resampled to stand upright; results lie on the resampled grid")


def _pixel_flags(ordered: Stack, copies: int) -> Iterable[str]:
    if copies:
        yield f"{copies} slices were sent twice with the same values and count once"
    if any(shown_inverted(header) for header in ordered.headers):
        yield (
            "stored for inverted display (MONOCHROME1): values are taken as the rescale attributes define them, "
            "and pictures show low ones white"
        )
    if "01" in words(ordered.header, "LossyImageCompression"):
        yield "the images were compressed with loss"
