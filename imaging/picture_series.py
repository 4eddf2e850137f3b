"""Pictures of the slices of a source as a colour Secondary Capture series, for eyes, and the proof of their place.

One single-frame RGB image for each slice, without compression: every viewer shows those, few show a Parametric Map or
the functional groups of a multi-frame image. The first rows are the grid of the source, or one that is a whole number
of times as fine; below them there may be a legend. Position, orientation and spacing are of that grid, beyond what the
IOD asks for, so that a viewer scrolls the pictures with their source.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from imaging.burn_text import Picture
from imaging.encode_elements import encode_elements, write_encoded
from imaging.outcome import OutputError
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.suite import RESEARCH_USE, SUITE
from imaging.to_volume import Plane, SourceImage
from imaging.write_common import (
    copy_attribute,
    decimal_strings,
    in_plane,
    item,
    new_object,
    refer_to,
    source_image,
    uids_of,
)

COPIED = ("BodyPartExamined", "PositionReferenceIndicator", "PatientPosition", "SliceThickness")
POSITION_TOLERANCE_MM = 1e-3

PIXEL_DATA = 0x7FE00010
PROVED = ("PixelData", "Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")

Draw = Callable[[Plane], Picture]
Prove = Callable[[Dataset, Plane], None]


@dataclass(frozen=True, kw_only=True)
class PictureSeries:
    """What a series of pictures is."""

    kind: str  # of which its UIDs are made
    title: str
    number: int  # Series Number minus that of the segmentation
    derivation: str  # how the pictures were made, as a phrase
    digest: str = ""  # what tells the content from another of the same source, application and weights
    zoom: tuple[int, int] = (1, 1)  # pixels for each row and each column of the source
    body_part: str = ""  # where the source names none


def write_pictures(
    folder: Path,
    stem: str,
    series: PictureSeries,
    planes: Sequence[Plane],
    draw: Draw,
    source: SourceImage,
    provenance: Provenance,
    prove: Prove = lambda _read, _plane: None,
) -> list[Path]:
    """Write a picture of each plane, read it again and compare it; return the paths, in the order of the planes.

    UIDs are fixed by source, application, weights and what the series is.

    stem   of the file names
    draw   returns the picture of a plane, (row, column, RGB); all have one size
    prove  raises OutputError when a picture that was read again does not show its plane

    Raises OutputError when what was written is not what was drawn, or lies elsewhere.
    """
    if not planes:
        return []
    dataset = _shared(series, source, provenance)
    shared, paths = encode_elements(dataset), []
    for number, plane in enumerate(planes, start=1):
        pixels = draw(plane)
        own = _own(dataset.SeriesInstanceUID, number, plane, series, source, provenance)
        own.Rows, own.Columns = pixels.shape[:2]
        octets = pixels.tobytes() + b"\0" * (pixels.size % 2)
        head = struct.pack("<HH2sHI", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OB", 0, len(octets))
        path = staged(folder, f"{stem}_{number:04d}.dcm")
        elements = shared | encode_elements(own) | {PIXEL_DATA: head + octets}
        write_encoded(path, elements, SecondaryCaptureImageStorage, own.SOPInstanceUID)
        prove(check_picture(path, octets, plane, source, series.zoom), plane)
        paths.append(path)
    return paths


def first_pixel_mm(plane: Plane, source: SourceImage, zoom: tuple[int, int]) -> tuple[float, ...]:
    """Return the centre of the first pixel of a picture, LPS: the outer edges of both grids are the same.

    >>> plane = Plane(0, (10.0, 20.0, 30.0), None)
    >>> from types import SimpleNamespace
    >>> header = SimpleNamespace(ImageOrientationPatient=[1, 0, 0, 0, 1, 0], PixelSpacing=[3.0, 1.0])
    >>> first_pixel_mm(plane, SimpleNamespace(resampled=False, stack=SimpleNamespace(header=header)), (3, 2))
    (9.75, 19.0, 30.0)
    """
    if zoom == (1, 1):
        return plane.position_mm
    orientation, spacing_mm = in_plane(source)
    along_row, along_column = np.array(orientation, float).reshape(2, 3)
    rows_mm, columns_mm = (float(mm) * (1 / times - 1) / 2 for mm, times in zip(spacing_mm, zoom, strict=True))
    return tuple(float(mm) for mm in np.array(plane.position_mm) + columns_mm * along_row + rows_mm * along_column)


def check_picture(path: Path, pixels: bytes, plane: Plane, source: SourceImage, zoom: tuple[int, int]) -> Dataset:
    """Read a written picture again and return it; OutputError unless it holds these pixels at the place of a plane.

    What is compared is where the file puts the middle of the first and of the last pixel of the source's plane.
    """
    read = dcmread(path, specific_tags=list(PROVED))
    if read.PixelData != pixels:
        raise OutputError(f"The written picture {path.name} is not the one that was drawn.")
    along_row, along_column = np.array(read.ImageOrientationPatient, float).reshape(2, 3)
    row_mm, column_mm = (float(mm) for mm in read.PixelSpacing)
    volume = source.volume
    for row, column in ((0, 0), (volume.shape[1] - 1, volume.shape[2] - 1)):
        at = [(index + 0.5) * times - 0.5 for index, times in zip((row, column), zoom, strict=True)]
        found = (
            np.array(read.ImagePositionPatient, float) + at[0] * row_mm * along_column + at[1] * column_mm * along_row
        )
        step = volume.affine[:3, :3] @ (0, row, column)
        displaced_mm = float(np.linalg.norm(found - plane.position_mm - step))
        if displaced_mm > POSITION_TOLERANCE_MM * max(1, row, column):  # spacing is stored in few digits
            raise OutputError(f"The written picture {path.name} lies {displaced_mm:.3f} mm beside its source slice.")
    return read


def _shared(series: PictureSeries, source: SourceImage, provenance: Provenance) -> Dataset:
    """Return what all images have in common (PS3.3 A.8.1), geometry beyond that of the IOD included."""
    header, uids = source.stack.header, uids_of(source.frames)
    shared = new_object(header, SecondaryCaptureImageStorage, "SEG", series.title, provenance, uids)
    shared.SeriesInstanceUID = provenance.uid(f"{series.kind} series", uids, series.digest)
    del shared.SOPInstanceUID, shared.InstanceNumber  # each image gets its own
    shared.SeriesNumber += series.number
    shared.Modality, shared.ConversionType = "OT", "WSD"
    shared.SecondaryCaptureDeviceManufacturer = SUITE
    shared.ImageType = ["DERIVED", "SECONDARY"]
    shared.DerivationDescription = series.derivation
    shared.ImageComments, shared.BurnedInAnnotation = RESEARCH_USE, "YES"
    for keyword in COPIED:
        copy_attribute(shared, header, keyword)
    if not shared.get("BodyPartExamined") and series.body_part:
        shared.BodyPartExamined = series.body_part
    if "01" in str(header.get("LossyImageCompression") or ""):
        shared.LossyImageCompression = "01"
    space = source.volume.frame_of_reference_uid
    shared.FrameOfReferenceUID = space or provenance.uid("frame-of-reference", uids)
    orientation, spacing_mm = in_plane(source)
    shared.ImageOrientationPatient = decimal_strings(orientation)
    shared.PixelSpacing = decimal_strings(
        [float(mm) / times for mm, times in zip(spacing_mm, series.zoom, strict=True)]
    )
    shared.PatientOrientation = None
    shared.SamplesPerPixel, shared.PhotometricInterpretation, shared.PlanarConfiguration = 3, "RGB", 0
    shared.BitsAllocated, shared.BitsStored, shared.HighBit, shared.PixelRepresentation = 8, 8, 7, 0
    return shared


def _own(
    series_uid: str, number: int, plane: Plane, series: PictureSeries, source: SourceImage, provenance: Provenance
) -> Dataset:
    """Return what an image has for itself, its source image among it (PS3.3 C.7.6.1.1.4, by series C.12.2)."""
    own = Dataset()
    identity = [plane.frame.identity, str(plane.slice)]
    own.SOPInstanceUID = provenance.uid(series.kind, identity, series_uid)
    own.InstanceNumber = number
    own.ImagePositionPatient = decimal_strings(first_pixel_mm(plane, source, series.zoom))
    own.SourceImageSequence = [source_image(plane.frame)]
    instance = refer_to(plane.frame.instance.header)
    own.ReferencedSeriesSequence = [item(SeriesInstanceUID=source.series.uid, ReferencedInstanceSequence=[instance])]
    return own
