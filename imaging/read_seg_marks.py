"""Segments of a DICOM Segmentation (BINARY, FRACTIONAL or LABELMAP) as marks on the grid of a CT.

Each frame is put where its own position, orientation and spacing say; its pixels have to be voxels of the CT. A segment
of several separate parts is several marks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from scipy import ndimage

from imaging.found_marks import FoundMarks, nothing
from imaging.keep_largest import bounding_box
from imaging.mark import Mark, Origin
from imaging.marked_kind import Kind, chosen, kind_of
from imaging.outcome import Reason
from imaging.read_values import items, number, numbers, words
from imaging.region import Region, region_of
from imaging.to_volume import SourceImage

OFF_GRID = 0.1
"""Largest distance of a frame's corner from a voxel of the CT, in voxels: positions are stored with few digits."""
APART_MM = 5.0
"""Parts of a segment that are nearer belong together: a reader's stray voxels are no nodule."""
LARGEST_FRAMES = 100_000
LARGEST_UNSAID_MM = 100.0
"""A segment of which nothing is said is no nodule when it is longer."""
OTHER_SPACE = "a segmentation of the study lies in another frame of reference and was not used"
MOST_PARTS = 200
OTHER_GRID = (
    "a segmentation of the study does not lie on the voxels of this CT and was not used: segment the series that is "
    "worked on"
)

Frame = npt.NDArray[np.bool_]


class NotOnGridError(ValueError):
    """The pixels of a frame are no voxels of the volume."""


def seg_marks(seg: Dataset, source: SourceImage) -> FoundMarks:
    """Return the nodules among the segments of an object.

    seg  with its pixels; one whose pixels cannot be decoded raises what pydicom raises
    """
    segments = items(seg, "SegmentSequence")
    wanted = chosen([_kind(segment) for segment in segments])
    unsaid = bool(wanted) and _kind(segments[wanted[0]]) is Kind.UNSAID
    by_number = {int(number(segments[at], "SegmentNumber") or at + 1): segments[at] for at in wanted}
    if not by_number:
        return FoundMarks(flags=("a segmentation of the study marks no nodules and was not used",))
    if not _is_in_space(seg, source):
        return nothing(Reason.OTHER_FRAME, OTHER_SPACE, sure=not unsaid)
    try:
        frames, shared = (items(seg, f"{which}FunctionalGroupsSequence") for which in ("PerFrame", "Shared"))
        parts = _voxels(_Seg(seg, frames, shared), frozenset(by_number), source)
    except NotOnGridError:
        return nothing(Reason.OTHER_FRAME, OTHER_GRID, sure=not unsaid)
    return FoundMarks.all_of(
        _marks(parts.get(key), segment, source, unsaid=unsaid) for key, segment in sorted(by_number.items())
    )


def _is_in_space(seg: Dataset, source: SourceImage) -> bool:
    """Return whether frames of reference agree; where one is not stated, whether the CT's series is referred to."""
    space, own = str(seg.get("FrameOfReferenceUID") or ""), source.volume.frame_of_reference_uid
    if space and own:
        return bool(space == own)
    referenced = items(seg, "ReferencedSeriesSequence")
    return source.series.uid in {str(one.get("SeriesInstanceUID") or "") for one in referenced}


def _kind(segment: Dataset) -> Kind:
    types = items(segment, "SegmentedPropertyTypeCodeSequence")
    return kind_of(types, (*words(segment, "SegmentLabel"), *words(segment, "SegmentDescription")))


def _marks(parts: _Parts | None, segment: Dataset, source: SourceImage, *, unsaid: bool) -> FoundMarks:
    flags = []
    if parts is None or parts.region is None:
        flag = "a segment of the study that marks a nodule is empty"
        if parts is None or not parts.cut:
            return FoundMarks(flags=(flag,))
        return nothing(Reason.OUTSIDE, f"{flag} within this CT", sure=not unsaid)
    if parts.cut:
        flags.append("a mark of the study lies partly outside this CT and was cut off there")
    if unsaid:
        flags.append("a segmentation of the study does not say what it marks; its segments were taken for nodules")
    if words(segment, "SegmentAlgorithmType") == ("AUTOMATIC",):
        flags.append("a segmentation of the study says that a computer alone made it; its segments need review")
    if unsaid and _length_mm(parts.region, source) > LARGEST_UNSAID_MM:
        return FoundMarks(flags=("a segmentation of the study marks something larger than a nodule; it was not used",))
    regions = _separate(parts.region, source)
    if len(regions) > 1:
        flags.append(f"a segment of the study has {len(regions)} separate parts; each is a nodule of its own here")
    uid = _uid(segment) if len(regions) == 1 else None
    return FoundMarks(tuple(_mark(region, source, uid) for region in regions), tuple(flags))


def _mark(region: Region, source: SourceImage, uid: str | None) -> Mark:
    centre = np.argwhere(region.mask).mean(axis=0) + region.start
    x, y, z = source.volume.map_indices_to_reference(centre[None])[0]
    return Mark(centre_mm=(float(x), float(y), float(z)), origin=Origin.SEG, region=region, tracking_uid=uid)


def _uid(segment: Dataset) -> str | None:
    """Return a Tracking UID that has the form of one."""
    found = "".join(words(segment, "TrackingUID"))
    return found if 0 < len(found) <= 64 and all(part.isdigit() for part in found.split(".")) else None


def _length_mm(region: Region, source: SourceImage) -> float:
    return float((np.array(region.mask.shape) * source.volume.spacing).max())


def _separate(region: Region, source: SourceImage) -> tuple[Region, ...]:
    """Return the parts of a region that are further apart than ``APART_MM``, box from box."""
    labels, count = ndimage.label(region.mask, np.ones((3, 3, 3)))
    if not 1 < count <= MOST_PARTS:
        return (region,)
    boxes = ndimage.find_objects(labels)
    margin = np.ceil(APART_MM / np.array(source.volume.spacing) / 2).astype(int)
    low = np.array([[part.start for part in box] for box in boxes]) - margin
    high = np.array([[part.stop for part in box] for box in boxes]) + margin
    near = ((low[:, None] < high[None]) & (low[None] < high[:, None])).all(axis=-1)
    groups = _connected(near)
    group_of = np.concatenate([[-1], groups])
    return tuple(
        found
        for group in range(int(groups.max()) + 1)
        if (found := region_of(group_of[labels] == group, region.start)) is not None
    )


def _connected(near: npt.NDArray[np.bool_]) -> npt.NDArray[np.int_]:
    """Return the number of the group of each, from 0, when those that are near one another are together."""
    groups = np.full(len(near), -1)
    for first in range(len(near)):
        if groups[first] < 0:
            waiting = [first]
            group = int(groups.max()) + 1
            while waiting:
                at = waiting.pop()
                if groups[at] < 0:
                    groups[at] = group
                    waiting += list(np.flatnonzero(near[at] & (groups < 0)))
    return groups


@dataclass(frozen=True)
class _Seg:
    """A segmentation with its functional groups (PS3.3 C.7.6.16) at hand."""

    header: Dataset
    per_frame: tuple[Dataset, ...]
    shared: tuple[Dataset, ...]

    @property
    def kind(self) -> str:
        """BINARY, FRACTIONAL or LABELMAP."""
        return " ".join(words(self.header, "SegmentationType"))

    def of_frame(self, at: int, macro: str, keyword: str) -> tuple[float, ...]:
        """Return numbers of a frame, or shared by all."""
        for groups in (*self.per_frame[at : at + 1], *self.shared):
            for macro_item in items(groups, macro):
                return numbers(macro_item, keyword)
        return ()


@dataclass
class _Parts:
    """Pixels of one segment that have been found so far."""

    voxels: list[npt.NDArray[np.int_]] = field(default_factory=list)  # (voxel, 3) indices of the volume
    cut: bool = False  # some lie outside the volume

    @property
    def region(self) -> Region | None:
        """All of them, None when there are none."""
        if not self.voxels:
            return None
        index = np.concatenate(self.voxels)
        first = index.min(axis=0)
        mask = np.zeros(index.max(axis=0) - first + 1, bool)
        mask[tuple((index - first).T)] = True
        k, j, i = (int(value) for value in first)
        return Region(mask, (k, j, i))


def _voxels(seg: _Seg, wanted: frozenset[int], source: SourceImage) -> dict[int, _Parts]:
    """Return the voxels of each wanted segment; NotOnGridError when a frame that shows it is on another grid."""
    found: dict[int, _Parts] = defaultdict(_Parts)
    shape = np.array(source.volume.shape)
    for segment, at, mask in _frames(seg, wanted):
        box = bounding_box(mask[None])
        if box is None:
            continue
        pixels = np.argwhere(mask)
        to_volume = _placement(seg, at, source)
        corners = np.array([[box[1].start, box[2].start], [box[1].stop - 1, box[2].stop - 1]])
        if np.abs(_placed(corners, to_volume) - np.rint(_placed(corners, to_volume))).max() > OFF_GRID:
            raise NotOnGridError("the frame lies beside the voxels")
        index = np.rint(_placed(pixels, to_volume)).astype(int)
        inside = ((index >= 0) & (index < shape)).all(axis=1)
        found[segment].cut |= not inside.all()
        if inside.any():
            found[segment].voxels.append(index[inside])
    return found


def _placed(pixels: npt.NDArray[np.int_], to_volume: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the indices in the volume of (row, column) pixels of a frame."""
    return np.asarray(pixels @ to_volume[:, :2].T + to_volume[:, 2])


def _placement(seg: _Seg, at: int, source: SourceImage) -> npt.NDArray[np.float64]:
    """Return (3, 3): what a step of row and of column is in indices of the volume, and where the first pixel lies."""
    orientation = np.array(seg.of_frame(at, "PlaneOrientationSequence", "ImageOrientationPatient"))
    position = np.array(seg.of_frame(at, "PlanePositionSequence", "ImagePositionPatient"))
    spacing_mm = np.array(seg.of_frame(at, "PixelMeasuresSequence", "PixelSpacing"))
    if (orientation.size, position.size, spacing_mm.size) != (6, 3, 2):
        raise NotOnGridError("the frame does not say where it lies")
    steps = np.stack([orientation[3:] * spacing_mm[0], orientation[:3] * spacing_mm[1]], axis=1)
    inverse = np.linalg.inv(source.volume.affine)
    steps = inverse[:3, :3] @ steps
    if not np.allclose(np.sort(np.abs(steps), axis=0), [[0, 0], [0, 0], [1, 1]], atol=1e-2):
        raise NotOnGridError("the frame is turned against the voxels, or has others")
    return np.column_stack([steps, inverse[:3, :3] @ position + inverse[:3, 3]])


def _frames(seg: _Seg, wanted: frozenset[int]) -> Iterator[tuple[int, int, Frame]]:
    """Yield the number of a segment, of a frame from 0, and what the frame shows of the segment."""
    labelmap = seg.kind == "LABELMAP"
    for at in range(min(int(number(seg.header, "NumberOfFrames") or 1), LARGEST_FRAMES)):
        segment = None if labelmap else _segment_of(seg, at)
        if labelmap:
            values = pixel_array(seg.header, index=at, raw=True)
            yield from ((key, at, values == key) for key in sorted(wanted & set(np.unique(values).tolist())))
        elif segment in wanted:
            yield segment, at, _binary(seg, at)


def _segment_of(seg: _Seg, at: int) -> int:
    found = seg.of_frame(at, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
    return int(found[0]) if found else 0


def _binary(seg: _Seg, at: int) -> Frame:
    """Return a frame; of a FRACTIONAL one what is at least half."""
    header = seg.header
    if seg.kind == "FRACTIONAL":
        half = (number(header, "MaximumFractionalValue") or 255) / 2
        return np.asarray(pixel_array(header, index=at, raw=True) >= half)
    if header.file_meta.TransferSyntaxUID.is_encapsulated:
        return np.asarray(pixel_array(header, index=at, raw=True) > 0)
    return _unpacked(header.PixelData, at, (int(header.Rows), int(header.Columns)))


def _unpacked(pixels: bytes, at: int, shape: Sequence[int]) -> Frame:
    """Return a frame of one bit for each pixel; frames need not end with a byte. ValueError when it is not there."""
    size = shape[0] * shape[1]
    first = at * size
    octets = np.frombuffer(pixels, np.uint8)[first // 8 : -(-(first + size) // 8)]
    bits = np.unpackbits(octets, bitorder="little")[first % 8 : first % 8 + size]
    return bits.reshape(shape).astype(bool)
