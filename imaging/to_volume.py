"""A series of slices as one volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.decode_pixels import decode_pixels
from imaging.geometry import GeometryPolicy, StackGeometry, stack_geometry
from imaging.study import Series


@dataclass(frozen=True)
class SourceImage:
    """A volume and the instances it came from, slice by slice."""

    volume: Volume  # (slice, row, column) float32, LPS mm
    series: Series  # instances in the order of their slices
    slices: tuple[int, ...]  # slice of the volume that each instance fills
    flags: tuple[str, ...] = ()  # what is not as it should be, as sentences

    def of_instances(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Return the slices of a (slice, row, column) array that have an instance, in the order of the instances."""
        if len(self.slices) == array.shape[0]:
            return array
        return array[list(self.slices)]


def to_volume(series: Series, policy: GeometryPolicy | None = None) -> SourceImage:
    """Return the volume of a series in float32, each slice rescaled by its own slope and intercept.

    Where the policy tolerates a missing slice, the volume has it interpolated between its neighbours; it belongs to
    no instance and a flag says so. Raises RefusedError when geometry or pixels are not those of one regular volume.
    """
    geometry = stack_geometry(series, policy)
    ordered = Series(tuple(series.instances[index] for index in geometry.order))
    first = decode_pixels(ordered.instances[0])  # before memory is taken for sizes that a header merely claims
    array = np.empty(geometry.shape, np.float32)
    array[0] = first
    for number, instance in zip(geometry.slices[1:], ordered.instances[1:], strict=True):
        array[number] = decode_pixels(instance)
    _interpolate_missing(array, geometry)
    volume = Volume(
        array,
        geometry.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=ordered.header.get("FrameOfReferenceUID"),
    )
    return SourceImage(volume, ordered, geometry.slices, _flags(geometry))


def _interpolate_missing(array: npt.NDArray[np.float32], geometry: StackGeometry) -> None:
    present = np.array(geometry.slices)
    for number in geometry.missing:
        after = int(np.searchsorted(present, number))
        low, high = int(present[after - 1]), int(present[after])
        share = np.float32((number - low) / (high - low))
        array[number] = (1 - share) * array[low] + share * array[high]


def _flags(geometry: StackGeometry) -> tuple[str, ...]:
    missing = geometry.missing
    if not missing:
        return ()
    numbers = ", ".join(str(number + 1) for number in missing)
    return (
        f"{len(missing)} of {geometry.shape[0]} slices missing in the series (slice {numbers} by position), "
        "interpolated between its neighbours for the network; no result is written there",
    )
