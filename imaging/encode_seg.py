"""Masks as DICOM Segmentation, frame by frame with their source, or on the grid the source was resampled to.

The object is put together here from the modules of PS3.3 A.51, because frames are packed straight from the mask and
every UID is fixed by the input; dciodvfy, dcmqi and highdicom judge it in the tests. A mask on the whole volume has a
frame on every plane; a region has frames on the planes it touches alone, so that many small segments stay small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import highdicom as hd
import numpy as np
from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.tag import Tag
from pydicom.uid import SegmentationStorage

from imaging.distinct_regions import shared_voxels
from imaging.finding import Site
from imaging.mask_frames import Mask, frames_of, on_slice
from imaging.provenance import Provenance
from imaging.region import Region
from imaging.suite import SUITE
from imaging.to_volume import SourceImage
from imaging.write_common import (
    code,
    decimal_strings,
    in_plane,
    instance_references,
    item,
    new_object,
    source_image,
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
    short: str = ""  # a few letters for pictures, when there are several
    site: Site | None = None  # where in the body, when the property type does not say it
    tracking_uid: str | None = None  # of what it continues; a new one when None
    algorithm_type: SegmentAlgorithmTypeValues = SegmentAlgorithmTypeValues.AUTOMATIC


@dataclass(frozen=True)
class Segment:
    """What one segment of an object marks."""

    label: SegmentLabel
    mask: Mask  # on the grid of the source volume


Frames = Sequence[tuple[int, int]]
"""Number of the segment, from 1, and index of the plane of each frame, in the order of an object."""


WHOLE_BYTES = 8
"""Frames that are packed at a time: whatever their size, they end with a byte."""
BRAIN_LABEL = SegmentLabel(
    label="Brain", category=codes.SCT.AnatomicalStructure, property_type=BRAIN, display_rgb=(230, 160, 60)
)


def encode_seg(
    segments: Sequence[Segment],
    source: SourceImage,
    provenance: Provenance,
    title: str,
    *,
    frames: Frames | None = None,
) -> Dataset:
    """Return a BINARY Segmentation (PS3.3 A.51).

    title   of the series, such as "Brain mask"
    frames  of the object; when None one on each plane of the source for a mask on the whole volume, and for a region on
            those it touches, but for the one that viewers need (``frames_of``)
    """
    frames = frames_of([segment.mask for segment in segments], source) if frames is None else frames
    header, uids = source.stack.header, uids_of(source.frames)
    own = (*uids, *digests_of(segments))
    seg = new_object(header, SegmentationStorage, "SEG", title, provenance, own)
    seg.ImageType = ["DERIVED", "PRIMARY"]
    seg.ContentLabel, seg.ContentDescription = _content_label(title), "Research use only"
    seg.ContentCreatorName = None
    seg.SegmentationType, seg.SegmentsOverlap = "BINARY", _segments_overlap(segments)
    seg.LossyImageCompression = "00"
    _add_frame_of_reference(seg, source, provenance, uids)
    if len(segments) == 1 and len(frames) == source.volume.shape[0]:
        seg.DimensionOrganizationType = "3D"
    seg.SegmentSequence = [
        _segment(number, segment.label, provenance, header, own) for number, segment in enumerate(segments, start=1)
    ]
    positions = {at: index for index, at in enumerate(sorted({at for _, at in frames}), start=1)}
    seg.SharedFunctionalGroupsSequence = [_shared_groups(source)]
    seg.PerFrameFunctionalGroupsSequence = [_frame_groups(source, number, at, positions[at]) for number, at in frames]
    seg.ReferencedSeriesSequence = [
        item(
            SeriesInstanceUID=source.series.uid,
            ReferencedInstanceSequence=instance_references(source.frames),
        )
    ]
    _add_pixels(seg, segments, frames, source)
    return seg


def digests_of(segments: Sequence[Segment]) -> list[str]:
    """Return what tells regions from others: marks that differ, not the image alone, decide what they are."""
    regions = [segment.mask for segment in segments if isinstance(segment.mask, Region)]
    return [
        hashlib.blake2b(f"{region.start} {region.mask.shape}".encode() + np.packbits(region.mask).tobytes()).hexdigest()
        for region in regions
    ]


def _segments_overlap(segments: Sequence[Segment]) -> str:
    """Return Segments Overlap (0062,0013); masks on the whole volume come from one label map, or are one alone."""
    regions = [segment.mask for segment in segments if isinstance(segment.mask, Region)]
    return "YES" if any(shared_voxels(one, other) for one, other in combinations(regions, 2)) else "NO"


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
    description = SegmentDescription(
        segment_number=number,
        segment_label=label.label,
        segmented_property_category=label.category,
        segmented_property_type=label.property_type,
        algorithm_type=label.algorithm_type,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=provenance.algorithm,
            family=codes.DCM.ArtificialIntelligence,
            version=provenance.model_version,
            source=SUITE,
        ),
        tracking_id=f"{label.label} of series {source.get('SeriesNumber', '')}".strip(),
        tracking_uid=label.tracking_uid or provenance.uid("tracking", uids, label.label),
        anatomic_regions=[label.site.location] if label.site else None,
        display_color=hd.color.CIELabColor.from_rgb(*label.display_rgb),
    )
    modifiers = [one for one in (label.site.laterality, label.site.modifier) if one] if label.site else []
    if modifiers:
        description.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [
            code(one.value, one.scheme_designator, one.meaning) for one in modifiers
        ]
    return description


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


def _frame_groups(source: SourceImage, segment: int, at: int, position: int) -> Dataset:
    plane = source.planes[at]
    image = source_image(plane.frame)
    image.SpatialLocationsPreserved = "NO" if source.resampled else "YES"
    return item(
        DerivationImageSequence=[item(SourceImageSequence=[image], DerivationCodeSequence=[_SEGMENTATION])],
        FrameContentSequence=[item(DimensionIndexValues=[segment, position])],
        SegmentIdentificationSequence=[item(ReferencedSegmentNumber=segment)],
        PlanePositionSequence=[item(ImagePositionPatient=decimal_strings(plane.position_mm))],
    )


def _add_pixels(seg: Dataset, segments: Sequence[Segment], frames: Frames, source: SourceImage) -> None:
    """Image Pixel: one bit for each voxel, frames back to back (PS3.5 8.1.1), padded to an even length."""
    shape: tuple[int, int, int] = source.volume.shape
    seg.NumberOfFrames, seg.Rows, seg.Columns = len(frames), shape[1], shape[2]
    seg.SamplesPerPixel, seg.PhotometricInterpretation = 1, "MONOCHROME2"
    seg.BitsAllocated, seg.BitsStored, seg.HighBit, seg.PixelRepresentation = 1, 1, 0, 0
    parts = []
    for first in range(0, len(frames), WHOLE_BYTES):
        some = frames[first : first + WHOLE_BYTES]
        images = [on_slice(segments[number - 1].mask, source.planes[at].slice, shape) for number, at in some]
        parts.append(np.packbits(np.stack(images), axis=None, bitorder="little").tobytes())
    packed = b"".join(parts)
    seg.add_new("PixelData", "OB", packed + b"\0" * (len(packed) % 2))


_SEGMENTATION = code("113076", "DCM", "Segmentation")
