"""A written picture, read again: whether each outline lies around its mask at the millimetres that the file states."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from imaging.contours import outline
from imaging.encode_seg import Segment
from imaging.mask_frames import on_slice, reaches
from imaging.outcome import OutputError
from imaging.render_slice import line_width
from imaging.to_volume import Plane, SourceImage

OFF_PLANE = 0.01
"""Slices by which a pixel may lie beside its slice."""


def check_outlines(read: Dataset, segments: Sequence[Segment], plane: Plane, source: SourceImage) -> None:
    """Compare the colours of a picture, as it was read again, with masks; the file's own geometry places each pixel.

    segments  drawn in this order: a later outline lies over an earlier one
    plane     that the picture shows; where the source puts it counts, not where an ideal stack would

    Raises OutputError when a pixel around a mask has not its colour.
    """
    pixels = np.frombuffer(read.PixelData, np.uint8)[: read.Rows * read.Columns * 3].reshape(read.Rows, read.Columns, 3)
    rows, columns = _voxels_of(read, plane, source)
    drawn = np.zeros((rows.size, columns.size), np.uint16)
    for at, segment in enumerate(segments, start=1):
        if reaches(segment.mask, plane.slice):
            mask = on_slice(segment.mask, plane.slice, source.volume.shape)
            drawn[outline(mask[np.ix_(rows, columns)], line_width(drawn.shape))] = at
    for at in np.unique(drawn[drawn > 0]).tolist():
        places = np.flatnonzero(drawn == at)
        if (pixels.reshape(-1, 3)[places] != segments[at - 1].label.display_rgb).any():
            raise OutputError(
                f"The outline of segment {at} in the written picture of slice {plane.slice + 1} is not around its mask."
            )


def _voxels_of(read: Dataset, plane: Plane, source: SourceImage) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the row of the volume that each row of a picture shows, those of the legend left out, and its columns."""
    along_row, along_column = np.array(read.ImageOrientationPatient, float).reshape(2, 3)
    row_mm, column_mm = (float(mm) for mm in read.PixelSpacing)
    first = np.array(read.ImagePositionPatient, float) - plane.position_mm
    to_voxels = np.linalg.inv(source.volume.affine[:3, :3])
    down = (first + np.outer(np.arange(read.Rows) * row_mm, along_column)) @ to_voxels.T
    across = (first + np.outer(np.arange(read.Columns) * column_mm, along_row)) @ to_voxels.T
    rows, columns = np.rint(down[:, 1]).astype(int), np.rint(across[:, 2]).astype(int)
    rows = rows[rows < source.volume.shape[1]]  # below them lies the legend
    beside = np.abs(np.concatenate([down[: rows.size, 0], across[:, 0]])).max()
    if beside > OFF_PLANE or columns[-1] != source.volume.shape[2] - 1:
        raise OutputError(f"The written picture of slice {plane.slice + 1} does not lie on it.")
    return rows, columns
