"""The skull-stripped image as a derived MR series: the source's pixels inside the mask, nothing outside."""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from imaging.derived_mr import complete_mr
from imaging.encode_elements import encode_elements, write_encoded
from imaging.image_attributes import shown_inverted
from imaging.outcome import Reason, RefusedError
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.to_volume import Plane, SourceImage
from imaging.write_common import (
    code,
    copy_attribute,
    decimal_strings,
    in_plane,
    new_object,
    source_image,
    uids_of,
)

PIXEL_DATA = 0x7FE00010
SHARED = (
    "SeriesDate", "SeriesTime", "BodyPartExamined", "PatientPosition", "Laterality", "ProtocolName",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "MagneticFieldStrength", "ScanningSequence",
    "SequenceVariant", "ScanOptions", "MRAcquisitionType", "SequenceName", "RepetitionTime", "EchoTime",
    "InversionTime", "EchoTrainLength", "FlipAngle", "ImagingFrequency", "ImagedNucleus", "NumberOfAverages",
    "SliceThickness", "SpacingBetweenSlices", "ReceiveCoilName", "RescaleType",
)  # fmt: skip
"""Attributes that hold for a derived image as for its source; private and other ones are left behind."""
PER_INSTANCE = (
    "AcquisitionDate", "AcquisitionTime", "AcquisitionNumber", "InstanceNumber", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "SliceLocation", "WindowCenter", "WindowWidth",
    "RescaleSlope", "RescaleIntercept", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip


def write_stripped_series(
    folder: Path, mask: npt.NDArray[np.bool_], source: SourceImage, provenance: Provenance
) -> list[Path]:
    """Write one MR image for each plane of the source and return the paths, in slice order.

    mask  (slice, row, column) on the grid of the source volume; outside it the stored value is 0
    """
    varying = _varying(source)
    shared = encode_elements(_shared_attributes(source, provenance)) | encode_elements(_common(source, varying))
    images, inside = source.of_planes(source.volume.array), source.of_planes(mask)
    paths = []
    for number, plane in enumerate(source.planes):
        instance = _instance_attributes(plane, source, provenance, varying)
        pixels = _encode_pixels(images[number], inside[number], plane.frame.header)
        path = staged(folder, f"brain_{number + 1:04d}.dcm")
        write_encoded(path, shared | encode_elements(instance) | pixels, MRImageStorage, instance.SOPInstanceUID)
        paths.append(path)
    return paths


def _varying(source: SourceImage) -> tuple[str, ...]:
    """Return the attributes of instances that differ among them; what is alike in all is encoded once."""
    first = source.stack.header
    return tuple(
        keyword
        for keyword in PER_INSTANCE
        if any(header.get(keyword) != first.get(keyword) for header in source.stack.headers)
    )


def _common(source: SourceImage, varying: tuple[str, ...]) -> Dataset:
    dataset = Dataset()
    for keyword in PER_INSTANCE:
        if keyword not in varying:
            copy_attribute(dataset, source.stack.header, keyword)
    dataset.DerivationCodeSequence = [code("113072", "DCM", "Multiplication")]
    if "InstanceNumber" not in dataset and "InstanceNumber" not in varying:
        dataset.InstanceNumber = None
    return dataset


def _shared_attributes(source: SourceImage, provenance: Provenance) -> Dataset:
    header, uids = source.stack.header, uids_of(source.frames)
    shared = new_object(header, MRImageStorage, "MR", "Skull-stripped", provenance, uids)
    for keyword in SHARED:
        copy_attribute(shared, header, keyword)
    complete_mr(shared)
    if not shared.get("BodyPartExamined"):
        shared.BodyPartExamined = "BRAIN"  # nothing else is left in the image
    shared.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    shared.DerivationDescription = f"Brain kept by {provenance.algorithm}, rest set to 0"
    return shared


def _instance_attributes(
    plane: Plane, source: SourceImage, provenance: Provenance, varying: tuple[str, ...]
) -> Dataset:
    dataset, frame = Dataset(), plane.frame
    for keyword in varying:
        copy_attribute(dataset, frame.header, keyword)
    identity = [frame.identity]
    if source.resampled:
        _place(dataset, plane, source)
        identity.append(f"resampled slice {plane.slice + 1}")
    if frame.of_many or source.resampled:
        dataset.InstanceNumber = plane.slice + 1
    elif "InstanceNumber" in varying and "InstanceNumber" not in dataset:
        dataset.InstanceNumber = None
    dataset.SOPInstanceUID = provenance.uid("stripped", identity)
    dataset.SourceImageSequence = [source_image(frame)]
    return dataset


def _place(dataset: Dataset, plane: Plane, source: SourceImage) -> None:
    """Give an image of a resampled volume the geometry of its slice instead of that of the nearest source frame."""
    orientation, spacing_mm = in_plane(source)
    dataset.ImagePositionPatient = decimal_strings(plane.position_mm)
    dataset.ImageOrientationPatient = decimal_strings(orientation)
    dataset.PixelSpacing = decimal_strings(spacing_mm)
    dataset.SliceLocation = None


def _encode_pixels(values: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_], header: Dataset) -> dict[int, bytes]:
    """Encode the values as the source stored them: inside the mask they are its own, and are shown as there."""
    slope = float(header.get("RescaleSlope", 1) or 1)
    intercept = float(header.get("RescaleIntercept", 0) or 0)
    signed = bool(header.get("PixelRepresentation", 0))
    stored = np.rint((values - np.float32(intercept)) / np.float32(slope)) * inside
    limits = np.iinfo(np.int16 if signed else np.uint16)
    if stored.min() < limits.min or stored.max() > limits.max:
        raise RefusedError(
            f"Stored values of an MR image need 16 bits; the source has {stored.min():.0f} to {stored.max():.0f}. "
            "Run with --no-stripped-series.",
            Reason.VALUE_RANGE,
        )
    bits = 16 if signed else min(16, int(header.get("BitsStored", 16)))  # ITK rejects signed 12 bits
    pixels = stored.astype("<i2" if signed else "<u2").tobytes()
    head = struct.pack("<HH2sHI", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OW", 0, len(pixels))
    inverted = shown_inverted(header)
    description = _pixel_description(values.shape[0], values.shape[1], bits, signed=signed, inverted=inverted)
    return {**description, PIXEL_DATA: head + pixels}


@lru_cache(maxsize=4)
def _pixel_description(rows: int, columns: int, bits: int, *, signed: bool, inverted: bool) -> dict[int, bytes]:
    dataset = Dataset()
    dataset.Rows, dataset.Columns = rows, columns
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, f"MONOCHROME{1 if inverted else 2}"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = int(signed)
    return encode_elements(dataset)
