"""A mask as DICOM Segmentation, frame by frame with its source, or on the grid its source was resampled to.

The object is put together here from the modules of PS3.3 A.51, because frames are packed straight from the mask and
every UID is fixed by the input; dciodvfy, dcmqi and highdicom judge it in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from highdicom.seg import SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage

from imaging.outcome import OutputError
from imaging.provenance import Provenance
from imaging.suite import SUITE
from imaging.to_volume import SourceImage
from imaging.write_common import (
    code,
    decimal_strings,
    in_plane,
    instance_references,
    item,
    new_object,
    reference,
    uids_of,
)

BRAIN = Code("12738006", "SCT", "Brain")
POSITION_TOLERANCE_MM = 1e-3


@dataclass(frozen=True, kw_only=True)
class SegmentLabel:
    """How a segment is named and coded."""

    label: str
    category: Code
    property_type: Code
    display_rgb: tuple[int, int, int]


BRAIN_LABEL = SegmentLabel(
    label="Brain", category=codes.SCT.AnatomicalStructure, property_type=BRAIN, display_rgb=(230, 160, 60)
)


def encode_seg(
    mask: npt.NDArray[np.bool_], source: SourceImage, label: SegmentLabel, provenance: Provenance
) -> Dataset:
    """Return a BINARY Segmentation (PS3.3 A.51) with one segment and one frame for each plane of the source.

    mask  (slice, row, column) on the grid of the source volume
    """
    header, uids = source.stack.header, uids_of(source.frames)
    seg = new_object(header, SegmentationStorage, "SEG", f"{label.label} mask", provenance, uids)
    seg.ImageType = ["DERIVED", "PRIMARY"]
    seg.ContentLabel, seg.ContentDescription = label.label.upper(), "Research use only"
    seg.ContentCreatorName = None
    seg.SegmentationType, seg.SegmentsOverlap = "BINARY", "NO"
    seg.LossyImageCompression = "00"
    _add_frame_of_reference(seg, source, provenance, uids)
    seg.SegmentSequence = [_segment(label, provenance, header, uids)]
    seg.SharedFunctionalGroupsSequence = [_shared_groups(source)]
    seg.PerFrameFunctionalGroupsSequence = [_frame_groups(source, at) for at in range(len(source.planes))]
    seg.ReferencedSeriesSequence = [
        item(
            SeriesInstanceUID=source.series.uid,
            ReferencedInstanceSequence=instance_references(source.frames),
        )
    ]
    _add_pixels(seg, source.of_planes(mask))
    return seg


def _add_frame_of_reference(seg: Dataset, source: SourceImage, provenance: Provenance, uids: Sequence[str]) -> None:
    """Frame of Reference and Multi-frame Dimension: frames are indexed by segment and by position."""
    seg.FrameOfReferenceUID = source.volume.frame_of_reference_uid or provenance.uid("frame-of-reference", uids)
    seg.PositionReferenceIndicator = None
    organization = provenance.uid("dimensions", uids)
    seg.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organization)]
    pointers = (
        ("ReferencedSegmentNumber", "SegmentIdentificationSequence"),
        ("ImagePositionPatient", "PlanePositionSequence"),
    )
    seg.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=Tag(index),
            FunctionalGroupPointer=Tag(group),
            DimensionDescriptionLabel=index,
        )
        for index, group in pointers
    ]
    if len(source.planes) == source.volume.shape[0]:
        seg.DimensionOrganizationType = "3D"


def _segment(label: SegmentLabel, provenance: Provenance, source: Dataset, uids: Sequence[str]) -> SegmentDescription:
    return SegmentDescription(
        segment_number=1,
        segment_label=label.label,
        segmented_property_category=label.category,
        segmented_property_type=label.property_type,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=provenance.algorithm,
            family=codes.DCM.ArtificialIntelligence,
            version=provenance.model_version,
            source=SUITE,
        ),
        tracking_id=f"{label.label} of series {source.get('SeriesNumber', '')}".strip(),
        tracking_uid=provenance.uid("tracking", uids, label.label),
        display_color=hd.color.CIELabColor.from_rgb(*label.display_rgb),
    )


def _shared_groups(source: SourceImage) -> Dataset:
    spacing_mm = source.volume.spacing[0]
    orientation, pixel_spacing_mm = in_plane(source)
    measures = item(
        SliceThickness=decimal_strings(source.stack.header.get("SliceThickness") or spacing_mm),
        SpacingBetweenSlices=decimal_strings(spacing_mm),
        PixelSpacing=decimal_strings(pixel_spacing_mm),
    )
    return item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[item(ImageOrientationPatient=decimal_strings(orientation))],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=1)],
    )


def _frame_groups(source: SourceImage, at: int) -> Dataset:
    plane = source.planes[at]
    image = reference(plane.frame)
    image.SpatialLocationsPreserved = "NO" if source.resampled else "YES"
    image.PurposeOfReferenceCodeSequence = [_SOURCE_IMAGE]
    return item(
        DerivationImageSequence=[item(SourceImageSequence=[image], DerivationCodeSequence=[_SEGMENTATION])],
        FrameContentSequence=[item(DimensionIndexValues=[1, at + 1])],
        PlanePositionSequence=[item(ImagePositionPatient=decimal_strings(plane.position_mm))],
    )


def _add_pixels(seg: Dataset, frames: npt.NDArray[np.generic]) -> None:
    """Image Pixel: one bit for each voxel, frames back to back (PS3.5 8.1.1), padded to an even length."""
    seg.NumberOfFrames, seg.Rows, seg.Columns = frames.shape
    seg.SamplesPerPixel, seg.PhotometricInterpretation = 1, "MONOCHROME2"
    seg.BitsAllocated, seg.BitsStored, seg.HighBit, seg.PixelRepresentation = 1, 1, 0, 0
    packed = np.packbits(np.ascontiguousarray(frames), axis=None, bitorder="little").tobytes()
    seg.add_new("PixelData", "OB", packed + b"\0" * (len(packed) % 2))


_SOURCE_IMAGE = code("121322", "DCM", "Source image for image processing operation")
_SEGMENTATION = code("113076", "DCM", "Segmentation")


def check_seg(path: Path, mask: npt.NDArray[np.bool_], source: SourceImage) -> None:
    """Read a written segmentation again and compare each frame with the mask at the same millimetres.

    Raises OutputError when a frame is missing, displaced, or holds another mask.
    """
    seg = pydicom.dcmread(path)
    bits = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8), bitorder="little")
    count = int(seg.NumberOfFrames) * seg.Rows * seg.Columns
    frames = bits[:count].reshape(-1, seg.Rows, seg.Columns).astype(bool)
    volume = source.volume
    inverse = np.linalg.inv(volume.affine)
    _check_plane(seg, source)
    planes = {plane.slice: plane for plane in source.planes}
    found: set[int] = set()
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
        nearest = round((inverse @ np.append(position, 1))[0])
        # positions stored with few digits: the plane's own counts, not the ideal stack
        expected = planes[nearest].position_mm if nearest in planes else volume.affine[:3, 3]
        displaced_mm = float(np.linalg.norm(position - expected))
        if nearest not in planes or displaced_mm > POSITION_TOLERANCE_MM:
            raise OutputError(
                f"A frame of the written segmentation lies {displaced_mm:.3f} mm beside its source slice."
            )
        if not np.array_equal(frame, mask[nearest]):
            raise OutputError(f"Slice {nearest + 1} of the written segmentation is not the mask that was computed.")
        found.add(nearest)
    if len(found) < len(planes):
        raise OutputError(f"{len(planes) - len(found)} source slices have no frame in the written segmentation.")


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
