"""A fitted ADC map as a derived MR series, on the grid of the diffusion-weighted images it was fitted to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from imaging.decode_pixels import decode_frame
from imaging.derived_mr import complete_mr
from imaging.fit_adc import LIMITS_UM2_PER_S, FittedAdc
from imaging.flatten_frames import frames_of
from imaging.outcome import OutputError, RefusedError
from imaging.parse_header import DAMAGE
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.read_header import read_header
from imaging.study import Frame
from imaging.to_volume import Plane, SourceImage
from imaging.write_common import (
    code,
    copy_attribute,
    decimal_strings,
    in_plane,
    item,
    new_object,
    save_dicom,
    source_image,
    uids_of,
)

SHARED = (
    "SeriesDate", "SeriesTime", "AcquisitionDate", "BodyPartExamined", "PatientPosition", "Laterality",
    "FrameOfReferenceUID", "PositionReferenceIndicator", "MagneticFieldStrength", "ScanningSequence",
    "SequenceVariant", "ScanOptions", "MRAcquisitionType", "RepetitionTime", "EchoTime", "InversionTime",
    "EchoTrainLength", "FlipAngle", "ImagingFrequency", "ImagedNucleus", "SliceThickness", "SpacingBetweenSlices",
    "ReceiveCoilName",
)  # fmt: skip
"""Attributes that hold for the map as for the images; names of sequences, which tell a b-value, do not."""
UNIT = code("um2/s", "UCUM", "square micrometer per second")
ADC = code("113041", "DCM", "Apparent Diffusion Coefficient")
WINDOW = (1400, 2800)
"""Centre and width in 1e-6 mm2/s: tissue is grey, urine is white."""
POSITION_TOLERANCE_MM = 1e-3


def write_adc_series(folder: Path, fitted: FittedAdc, provenance: Provenance) -> list[Path]:
    """Write one MR image for each slice of the diffusion-weighted images and return the paths, in slice order.

    Stored values are the ADC in 1e-6 mm2/s, 0 where there is no signal.
    """
    source = fitted.sources[0]
    shared = _shared(fitted, provenance)
    images = source.of_planes(fitted.volume.array)
    paths = []
    for number, plane in enumerate(source.planes):
        dataset = Dataset()
        dataset.update(shared)
        dataset.file_meta = shared.file_meta
        _add_place(dataset, plane, source)
        references = [_nearest(other, plane) for other in fitted.sources]
        dataset.SourceImageSequence = [source_image(frame) for frame in references]
        dataset.InstanceNumber = number + 1
        dataset.SOPInstanceUID = provenance.uid("adc", [*uids_of(references), f"slice {plane.slice + 1}"])
        _add_pixels(dataset, np.rint(images[number]).astype("<u2"))
        path = staged(folder, f"adc_{number + 1:04d}.dcm")
        save_dicom(dataset, path)
        paths.append(path)
    return paths


def check_adc_series(paths: list[Path], fitted: FittedAdc) -> None:
    """Read the images again and compare; OutputError when one is missing, displaced, or holds other values."""
    source = fitted.sources[0]
    if len(paths) != len(source.planes):
        raise OutputError(f"{len(source.planes)} images were to be written, {len(paths)} are there.")
    for path, plane in zip(paths, source.planes, strict=True):
        try:
            (frame,) = frames_of(read_header(path))
            displaced_mm = float(np.linalg.norm(np.subtract(frame.plane.position_mm, plane.position_mm)))
            off = np.abs(decode_frame(frame) - fitted.volume.array[plane.slice]).max()
        except (RefusedError, *DAMAGE) as error:
            raise OutputError(f"Image {plane.slice + 1} of the written ADC map cannot be read again.") from error
        if displaced_mm > POSITION_TOLERANCE_MM or off > 0.51:
            raise OutputError(f"Image {plane.slice + 1} of the written ADC map holds other values than were computed.")


def _shared(fitted: FittedAdc, provenance: Provenance) -> Dataset:
    header = fitted.sources[0].stack.header
    uids = [uid for source in fitted.sources for uid in uids_of(source.frames)]
    shared = new_object(header, MRImageStorage, "MR", "ADC, fitted", provenance, uids)
    for keyword in SHARED:
        copy_attribute(shared, header, keyword)
    complete_mr(shared)
    b_values = ", ".join(f"{b:g}" for b in fitted.b_values)
    shared.ImageType = ["DERIVED", "SECONDARY", "DIFFUSION MAP", "ADC"]
    shared.DerivationDescription = f"ADC: one exponential, least squares on the logarithm, b = {b_values} s/mm2"
    shared.DerivationCodeSequence = [ADC]
    shared.RealWorldValueMappingSequence = [_mapping()]
    shared.WindowCenter, shared.WindowWidth = (str(value) for value in WINDOW)
    return shared


def _mapping() -> Dataset:
    """Say what a stored value means (PS3.3 C.7.6.16.2.11)."""
    quantity = item(
        ValueType="CODE", ConceptNameCodeSequence=[code("246205007", "SCT", "Quantity")], ConceptCodeSequence=[ADC]
    )
    mapping = item(
        LUTExplanation="Apparent diffusion coefficient",
        LUTLabel="ADC",
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=1.0,
        MeasurementUnitsCodeSequence=[UNIT],
        QuantityDefinitionSequence=[quantity],
    )
    mapping.add_new("RealWorldValueFirstValueMapped", "US", 1)  # 0 has no value
    mapping.add_new("RealWorldValueLastValueMapped", "US", int(LIMITS_UM2_PER_S[1]))
    return mapping


def _add_place(dataset: Dataset, plane: Plane, source: SourceImage) -> None:
    orientation, spacing_mm = in_plane(source)
    dataset.ImagePositionPatient = decimal_strings(plane.position_mm)
    dataset.ImageOrientationPatient = decimal_strings(orientation)
    dataset.PixelSpacing = decimal_strings(spacing_mm)


def _add_pixels(dataset: Dataset, pixels: npt.NDArray[np.uint16]) -> None:
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.add_new("PixelData", "OW", pixels.tobytes())


def _nearest(source: SourceImage, plane: Plane) -> Frame:
    """Return the image of another b-value that lies where a slice lies."""
    places = [abs(at - plane.slice) for at in source.slices]
    return source.frames[int(np.argmin(places))]
