"""The skull-stripped image as a derived MR series: the source's pixels inside the mask, nothing outside."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage

from imaging.outcome import Reason, RefusedError
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.suite import RESEARCH_USE
from imaging.to_volume import Plane, SourceImage
from imaging.write_common import (
    code,
    copy_attribute,
    decimal_strings,
    in_plane,
    new_object,
    reference,
    uids_of,
    writing,
)

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
TYPE_2_OF_IMAGE = (
    "PositionReferenceIndicator", "ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength", "RepetitionTime",
    "SliceThickness", "PatientPosition",
)  # fmt: skip
"""Attributes an MR image must have and may leave empty: empty when the source lacks them."""


def write_stripped_series(
    folder: Path, mask: npt.NDArray[np.bool_], source: SourceImage, provenance: Provenance
) -> list[Path]:
    """Write one MR image for each plane of the source and return the paths, in slice order.

    mask  (slice, row, column) on the grid of the source volume; outside it the stored value is 0
    """
    shared = encode_elements(_shared_attributes(source, provenance))
    images, inside = source.of_planes(source.volume.array), source.of_planes(mask)
    paths = []
    for number, plane in enumerate(source.planes):
        instance = _instance_attributes(plane, source, provenance)
        _add_pixels(instance, np.where(inside[number], images[number], np.float32(np.nan)), plane.frame.header)
        path = staged(folder, f"brain_{number + 1:04d}.dcm")
        write_encoded(path, {**shared, **encode_elements(instance)}, instance.SOPInstanceUID)
        paths.append(path)
    return paths


def _shared_attributes(source: SourceImage, provenance: Provenance) -> Dataset:
    header, uids = source.stack.header, uids_of(source.frames)
    shared = new_object(header, MRImageStorage, "MR", "Skull-stripped", provenance, uids)
    for keyword in SHARED:
        copy_attribute(shared, header, keyword)
    for keyword in TYPE_2_OF_IMAGE:
        if keyword not in shared:
            setattr(shared, keyword, None)
    if not shared.get("ScanningSequence"):
        shared.ScanningSequence = "RM"  # research mode: the source does not say
    if not shared.get("SequenceVariant"):
        shared.SequenceVariant = "NONE"
    if "IR" in shared.ScanningSequence and "InversionTime" not in shared:
        shared.InversionTime = None
    if not shared.get("BodyPartExamined"):
        shared.BodyPartExamined = "BRAIN"  # nothing else is left in the image
    shared.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
    shared.DerivationDescription = f"Brain kept by {provenance.algorithm}, rest set to 0"
    shared.ImageComments = RESEARCH_USE
    shared.BurnedInAnnotation = "NO"
    return shared


def _instance_attributes(plane: Plane, source: SourceImage, provenance: Provenance) -> Dataset:
    dataset, frame = Dataset(), plane.frame
    for keyword in PER_INSTANCE:
        copy_attribute(dataset, frame.header, keyword)
    identity = [frame.identity]
    if source.resampled:
        _place(dataset, plane, source)
        identity.append(f"resampled slice {plane.slice + 1}")
    if frame.of_many or source.resampled or "InstanceNumber" not in dataset:
        dataset.InstanceNumber = plane.slice + 1 if frame.of_many or source.resampled else None
    dataset.SOPInstanceUID = provenance.uid("stripped", identity)
    image = reference(frame)
    image.PurposeOfReferenceCodeSequence = [code("121322", "DCM", "Source image for image processing operation")]
    dataset.SourceImageSequence = [image]
    dataset.DerivationCodeSequence = [code("113072", "DCM", "Multiplication")]
    return dataset


def _place(dataset: Dataset, plane: Plane, source: SourceImage) -> None:
    """Give an image of a resampled volume the geometry of its slice instead of that of the nearest source frame."""
    orientation, spacing_mm = in_plane(source)
    dataset.ImagePositionPatient = decimal_strings(plane.position_mm)
    dataset.ImageOrientationPatient = decimal_strings(orientation)
    dataset.PixelSpacing = decimal_strings(spacing_mm)
    if "SliceLocation" in dataset:
        del dataset.SliceLocation


def _add_pixels(dataset: Dataset, values: npt.NDArray[np.float32], header: Dataset) -> None:
    """Store the values as the source did, so that inside the mask the stored values are those of the source."""
    slope = float(header.get("RescaleSlope", 1) or 1)
    intercept = float(header.get("RescaleIntercept", 0) or 0)
    signed = bool(header.get("PixelRepresentation", 0))
    stored = np.nan_to_num(np.rint((values - np.float32(intercept)) / np.float32(slope)), nan=0.0)
    dataset.Rows, dataset.Columns = values.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16 if signed else min(16, int(header.get("BitsStored", 16)))  # ITK rejects signed 12 bits
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(signed)
    limits = np.iinfo(np.int16 if signed else np.uint16)
    if stored.min() < limits.min or stored.max() > limits.max:
        raise RefusedError(
            f"Stored values of an MR image need 16 bits; the source has {stored.min():.0f} to {stored.max():.0f}. "
            "Run with --no-stripped-series.",
            Reason.VALUE_RANGE,
        )
    pixels = stored.astype("<i2" if signed else "<u2")
    dataset.add_new("PixelData", "OW", pixels.tobytes())


def encode_elements(dataset: Dataset) -> dict[int, bytes]:
    """Return each element of a dataset in Explicit VR Little Endian, by tag: what a series shares is encoded once."""
    encodings = convert_encodings(dataset.get("SpecificCharacterSet"))
    encoded = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote attribute values
        for element in dataset:
            buffer = DicomBytesIO()
            buffer.is_little_endian, buffer.is_implicit_VR = True, False
            write_data_element(buffer, element, encodings)
            encoded[int(element.tag)] = buffer.getvalue()
    return encoded


def write_encoded(path: Path, elements: dict[int, bytes], sop_instance_uid: str) -> None:
    """Write a DICOM file of encoded elements in the order of their tags; OutputError when that fails."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, meta)
    body = b"".join(elements[tag] for tag in sorted(elements))
    with writing(path):
        path.write_bytes(b"\0" * 128 + b"DICM" + buffer.getvalue() + body)
