"""A written segmentation, read again and compared with what was computed, before anybody else sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset

from imaging.mask_frames import Mask, frames_of, on_slice
from imaging.outcome import OutputError
from imaging.to_volume import SourceImage
from imaging.write_common import in_plane

POSITION_TOLERANCE_MM = 1e-3


def check_seg(path: Path, masks: Sequence[Mask], source: SourceImage) -> None:
    """Read a written segmentation again and compare each frame with its mask at the same millimetres.

    masks  of the segments by number, on the grid of the source volume

    Raises OutputError when a frame is missing, displaced, or holds another mask.
    """
    seg = pydicom.dcmread(path)
    volume = source.volume
    inverse = np.linalg.inv(volume.affine)
    _check_plane(seg, source)
    planes = {plane.slice: plane for plane in source.planes}
    found: set[tuple[int, int]] = set()
    for number, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        segment = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        nearest = round((inverse @ np.append(position, 1))[0])
        # positions stored with few digits: the plane's own counts, not the ideal stack
        expected = planes[nearest].position_mm if nearest in planes else volume.affine[:3, 3]
        displaced_mm = float(np.linalg.norm(position - expected))
        if nearest not in planes or displaced_mm > POSITION_TOLERANCE_MM:
            raise OutputError(
                f"A frame of the written segmentation lies {displaced_mm:.3f} mm beside its source slice."
            )
        if not np.array_equal(_frame(seg, number), on_slice(masks[segment - 1], nearest, volume.shape)):
            raise OutputError(f"Slice {nearest + 1} of the written segmentation is not the mask that was computed.")
        found.add((segment, nearest))
    wanted = {(segment, source.planes[at].slice) for segment, at in frames_of(masks, source)}
    missing = len(wanted - found)
    if missing:
        raise OutputError(f"{missing} source slices have no frame in the written segmentation.")


def _frame(seg: Dataset, number: int) -> npt.NDArray[np.bool_]:
    """Return a frame of a written segmentation, (row, column), counted from 0."""
    size = int(seg.Rows) * int(seg.Columns)
    first, last = number * size, (number + 1) * size
    octets = np.frombuffer(seg.PixelData, np.uint8)[first // 8 : -(-last // 8)]
    bits = np.unpackbits(octets, bitorder="little")[first % 8 : first % 8 + size]
    if bits.size < size:
        raise OutputError(f"The written segmentation ends within frame {number + 1}.")
    return bits.reshape(seg.Rows, seg.Columns).astype(bool)


def _check_plane(seg: Dataset, source: SourceImage) -> None:
    """Refuse frames that are turned or have other voxels than the source."""
    shared = seg.SharedFunctionalGroupsSequence[0]
    written = [
        *shared.PlaneOrientationSequence[0].ImageOrientationPatient,
        *shared.PixelMeasuresSequence[0].PixelSpacing,
    ]
    orientation, pixel_spacing_mm = in_plane(source)
    if not np.allclose(written, [*orientation, *pixel_spacing_mm], rtol=0, atol=1e-6):
        raise OutputError("The frames of the written segmentation are turned or scaled against the source.")
