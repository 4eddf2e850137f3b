"""Masks as DICOM Segmentation, frame by frame with their source, or on the grid the source was resampled to.

The object is put together here from the modules of PS3.3 A.51, because frames are packed straight from the mask and
every UID is fixed by the input; dciodvfy, dcmqi and highdicom judge it in the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import highdicom as hd
import numpy as np
import numpy.typing as npt
from highdicom.seg import SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage

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


@dataclass(frozen=True, kw_only=True)
class SegmentLabel:
    """How a segment is named and coded."""

    label: str
    category: Code
    property_type: Code
    display_rgb: tuple[int, int, int]


@dataclass(frozen=True)
class Segment:
    """What one segment of an object marks."""

    label: SegmentLabel
    mask: npt.NDArray[np.bool_]  # (slice, row, column) on the grid of the source volume


BRAIN_LABEL = SegmentLabel(
    label="Brain", category=codes.SCT.AnatomicalStructure, property_type=BRAIN, display_rgb=(230, 160, 60)
)


def encode_seg(segments: Sequence[Segment], source: SourceImage, provenance: Provenance, title: str) -> Dataset:
    """Return a BINARY Segmentation (PS3.3 A.51): for each segment one frame on each plane of the source.

    title  of the series, such as "Brain mask"
    """
    header, uids = source.stack.header, uids_of(source.frames)
    seg = new_object(header, SegmentationStorage, "SEG", title, provenance, uids)
    seg.ImageType = ["DERIVED", "PRIMARY"]
    seg.ContentLabel, seg.ContentDescription = _content_label(title), "Research use only"
    seg.ContentCreatorName = None
    seg.SegmentationType, seg.SegmentsOverlap = "BINARY", "NO"
    seg.LossyImageCompression = "00"
    _add_frame_of_reference(seg, source, provenance, uids)
    if len(segments) == 1 and len(source.planes) == source.volume.shape[0]:
        seg.DimensionOrganizationType = "3D"
    seg.SegmentSequence = [
        _segment(number, segment.label, provenance, header, uids) for number, segment in enumerate(segments, start=1)
    ]
    seg.SharedFunctionalGroupsSequence = [_shared_groups(source)]
    seg.PerFrameFunctionalGroupsSequence = [
        _frame_groups(source, number, at) for number in range(1, len(segments) + 1) for at in range(len(source.planes))
    ]
    seg.ReferencedSeriesSequence = [
        item(
            SeriesInstanceUID=source.series.uid,
            ReferencedInstanceSequence=instance_references(source.frames),
        )
    ]
    _add_pixels(seg, np.concatenate([source.of_planes(segment.mask) for segment in segments]))
    return seg


def _content_label(title: str) -> str:
    """Return a code string (PS3.5 6.2: at most 16 capitals, digits, blanks and underscores)."""
    return "".join(letter for letter in title.upper() if letter.isascii() and (letter.isalnum() or letter == " "))[:16]


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


def _segment(
    number: int, label: SegmentLabel, provenance: Provenance, source: Dataset, uids: Sequence[str]
) -> SegmentDescription:
    return SegmentDescription(
        segment_number=number,
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
    )


def _frame_groups(source: SourceImage, segment: int, at: int) -> Dataset:
    plane = source.planes[at]
    image = reference(plane.frame)
    image.SpatialLocationsPreserved = "NO" if source.resampled else "YES"
    image.PurposeOfReferenceCodeSequence = [_SOURCE_IMAGE]
    return item(
        DerivationImageSequence=[item(SourceImageSequence=[image], DerivationCodeSequence=[_SEGMENTATION])],
        FrameContentSequence=[item(DimensionIndexValues=[segment, at + 1])],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)],
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
