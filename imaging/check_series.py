"""A written image series, read again and compared with what was computed, before anybody else sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging.decode_pixels import decode_frame
from imaging.flatten_frames import frames_of
from imaging.outcome import OutputError, RefusedError
from imaging.parse_header import DAMAGE
from imaging.read_header import read_header
from imaging.study import Frame
from imaging.to_volume import Plane, SourceImage
from imaging.write_common import in_plane

POSITION_TOLERANCE_MM = 1e-3


def check_series(paths: Sequence[Path], mask: npt.NDArray[np.bool_], source: SourceImage) -> None:
    """Read the images again, with the reader of this package, and compare each with its plane of the source.

    paths  in the order of the planes
    mask   (slice, row, column) on the grid of the source volume; outside it the stored value is 0

    Raises OutputError when an image is missing, displaced, turned, or holds other values.
    """
    if len(paths) != len(source.planes):
        raise OutputError(f"{len(source.planes)} images were to be written, {len(paths)} are there.")
    for path, plane in zip(paths, source.planes, strict=True):
        try:
            (frame,) = frames_of(read_header(path))
            _check_place(frame, plane, source)
            _check_values(frame, plane, mask, source)
        except (RefusedError, *DAMAGE) as error:
            raise OutputError(f"Image {plane.slice + 1} of the written series cannot be read again.") from error


def _check_place(frame: Frame, plane: Plane, source: SourceImage) -> None:
    written = frame.plane
    displaced_mm = float(np.linalg.norm(np.subtract(written.position_mm, plane.position_mm)))
    if displaced_mm > POSITION_TOLERANCE_MM:
        raise OutputError(f"Image {plane.slice + 1} of the written series lies {displaced_mm:.3f} mm beside its slice.")
    orientation, spacing_mm = in_plane(source)
    found = [*written.row_cosine, *written.column_cosine, written.spacing_between_rows_mm]
    if not np.allclose([*found, written.spacing_between_columns_mm], [*orientation, *spacing_mm], rtol=0, atol=1e-6):
        raise OutputError(f"Image {plane.slice + 1} of the written series is turned or scaled against the source.")


def _check_values(frame: Frame, plane: Plane, mask: npt.NDArray[np.bool_], source: SourceImage) -> None:
    inside = mask[plane.slice]
    step = abs(float(frame.header.get("RescaleSlope", 1) or 1))
    off = np.abs(decode_frame(frame) - source.volume.array[plane.slice])[inside]
    if off.size and float(off.max()) > 0.51 * step:
        raise OutputError(f"Image {plane.slice + 1} of the written series holds other values than were computed.")
