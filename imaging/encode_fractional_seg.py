"""Probabilities as DICOM Segmentation: FRACTIONAL, of type PROBABILITY, with the same frames as a BINARY one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from imaging.encode_seg import Segment, SegmentLabel, encode_seg
from imaging.provenance import Provenance
from imaging.to_volume import SourceImage
from imaging.write_common import uids_of

MAXIMUM = 255
"""Stored value of probability 1 (Maximum Fractional Value)."""
SERIES_AFTER_SEG = 3
"""Series Number minus that of the BINARY segmentation; report and derived images lie between."""


@dataclass(frozen=True)
class Votes:
    """How probable it is, voxel by voxel, that a voxel belongs to a segment."""

    label: SegmentLabel
    probability: npt.NDArray[np.float32]  # (slice, row, column) on the grid of the source volume, 0 to 1

    @property
    def stored(self) -> npt.NDArray[np.uint8]:
        """The values as they are stored, rounded to 1/255."""
        return np.asarray(np.rint(self.probability * np.float32(MAXIMUM)), np.uint8)


def encode_fractional_seg(votes: Sequence[Votes], source: SourceImage, provenance: Provenance, title: str) -> Dataset:
    """Return a FRACTIONAL Segmentation (PS3.3 A.51, C.8.20.2): for each segment one frame on each plane of the source.

    title  of the series, such as "Vertebral bodies, probability"

    It has a series and UIDs of its own beside a BINARY segmentation of the same source. Raises ValueError when a value
    is no probability.
    """
    for one in votes:
        if not (one.probability.min() >= 0 and one.probability.max() <= 1):
            raise ValueError(
                f"probabilities lie between 0 and 1, got {one.probability.min()} to {one.probability.max()}"
            )
    marked = [Segment(one.label, one.probability > 0) for one in votes]
    frames = [(number, at) for number in range(1, len(votes) + 1) for at in range(len(source.planes))]
    seg = encode_seg(marked, source, provenance, title, frames=frames)
    uids = uids_of(source.frames)
    seg.SOPInstanceUID = provenance.uid("fractional SEG", uids)
    seg.SeriesInstanceUID = provenance.uid("fractional SEG series", uids)
    seg.SeriesNumber += SERIES_AFTER_SEG
    seg.SegmentationType, seg.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
    seg.MaximumFractionalValue = MAXIMUM
    seg.SegmentsOverlap = "UNDEFINED" if len(votes) > 1 else "NO"
    seg.BitsAllocated, seg.BitsStored, seg.HighBit = 8, 8, 7
    values = b"".join(source.of_planes(one.stored).tobytes() for one in votes)
    seg.add_new("PixelData", "OB", values + b"\0" * (len(values) % 2))
    return seg
