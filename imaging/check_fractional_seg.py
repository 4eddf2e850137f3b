"""A written segmentation of probabilities, read again and compared with what was computed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from imaging.check_seg import POSITION_TOLERANCE_MM
from imaging.encode_fractional_seg import MAXIMUM, Votes
from imaging.outcome import OutputError
from imaging.to_volume import SourceImage
from imaging.write_common import in_plane


def check_fractional_seg(path: Path, votes: Sequence[Votes], source: SourceImage) -> None:
    """Read a written segmentation again and compare each frame with its probabilities at the same millimetres.

    Raises OutputError when a frame is missing, displaced or turned, or holds other values.
    """
    seg = pydicom.dcmread(path)
    wanted = [(number, plane) for number in range(1, len(votes) + 1) for plane in source.planes]
    _check_form(seg, source, len(wanted))
    values = np.frombuffer(seg.PixelData, np.uint8)[: len(wanted) * seg.Rows * seg.Columns]
    frames = values.reshape(len(wanted), seg.Rows, seg.Columns)
    stored = [one.stored for one in votes]
    for frame, groups, (number, plane) in zip(frames, seg.PerFrameFunctionalGroupsSequence, wanted, strict=True):
        position_mm = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        displaced_mm = float(np.linalg.norm(position_mm - plane.position_mm))
        if displaced_mm > POSITION_TOLERANCE_MM:
            raise OutputError(
                f"A frame of the written segmentation lies {displaced_mm:.3f} mm beside its source slice."
            )
        of_segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number
        if not of_segment or not np.array_equal(frame, stored[number - 1][plane.slice]):
            raise OutputError(f"Slice {plane.slice + 1} of the written segmentation is not what was computed.")


def _check_form(seg: Dataset, source: SourceImage, count: int) -> None:
    """Refuse another number of frames, frames that are turned or scaled, and values of another meaning."""
    size = count * seg.Rows * seg.Columns
    if len(seg.PerFrameFunctionalGroupsSequence) != count or len(seg.PixelData) != size + size % 2:
        raise OutputError(f"{count} frames are needed in the written segmentation, and as many of pixels.")
    if seg.SegmentationType != "FRACTIONAL" or seg.MaximumFractionalValue != MAXIMUM:
        raise OutputError("The written segmentation does not say that it holds probabilities.")
    shared = seg.SharedFunctionalGroupsSequence[0]
    grid = [*shared.PlaneOrientationSequence[0].ImageOrientationPatient, *shared.PixelMeasuresSequence[0].PixelSpacing]
    orientation, pixel_spacing_mm = in_plane(source)
    if not np.allclose(grid, [*orientation, *pixel_spacing_mm], rtol=0, atol=1e-6):
        raise OutputError("The frames of the written segmentation are turned or scaled against the source.")
