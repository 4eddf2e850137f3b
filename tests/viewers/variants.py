"""Known masks, written in every way a segmentation may be written, on an oblique and anisotropic source."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import highdicom as hd
import numpy as np
from pydicom import Dataset, dcmread

from imaging.encode_fractional_seg import Votes, encode_fractional_seg
from imaging.encode_seg import BRAIN_LABEL, Segment, encode_seg
from imaging.region import region_of
from imaging.to_volume import SourceImage
from imaging.uids import derived_uid
from tests.series_samples import PROVENANCE, asymmetric_mask, source_of, write_series

PLANE, SPACING_MM = "oblique", (3.0, 0.75, 1.25)
SHAPE = (6, 12, 8)
"""Slices, rows, columns: a frame of one bit for each voxel fills an even number of bytes."""
ODD_BYTES = (5, 12, 10)
"""A frame fills an odd number of bytes, and so does an odd number of frames: a pad byte follows (PS3.5 8.1.1)."""
WITHIN_A_BYTE = (6, 9, 13)
"""A frame ends within a byte, in which the next one begins."""
LABELS = tuple(replace(BRAIN_LABEL, label=name) for name in ("One", "Two"))
Masks = list[np.ndarray]


@dataclass(frozen=True)
class Variant:
    """A way to write masks, and what is to be read of it."""

    title: str
    encode: Callable[[Masks, SourceImage], Dataset]
    masks: Callable[[tuple[int, ...]], Masks]
    shape: tuple[int, int, int] = SHAPE
    missing_slice: int | None = None


def one(shape: tuple[int, ...]) -> Masks:
    """A mask without symmetry, with slices that are empty."""
    return [asymmetric_mask(shape)]


def full(shape: tuple[int, ...]) -> Masks:
    """A mask without symmetry, on every slice."""
    mask = asymmetric_mask(shape)
    mask[-1] = np.flip(mask[1])
    return [mask]


def two(shape: tuple[int, ...]) -> Masks:
    """Two masks without symmetry that touch and do not overlap."""
    first = asymmetric_mask(shape)
    second = np.roll(np.flip(first, 2), 3, axis=1) & ~first
    second[0] = False
    return [first, second]


def overlapping(shape: tuple[int, ...]) -> Masks:
    """Two masks that share voxels."""
    first, second = two(shape)
    return [first, second | (first & np.roll(first, 1, axis=1))]


def on_two_slices(shape: tuple[int, ...]) -> Masks:
    """A mask on two slices alone."""
    mask = asymmetric_mask(shape)
    mask[[0, *range(3, shape[0])]] = False
    return [mask]


def every_frame(masks: Masks, source: SourceImage) -> Dataset:
    """As the suite writes masks on the whole volume."""
    return encode_seg(
        [Segment(label, mask) for label, mask in zip(LABELS, masks, strict=False)], source, PROVENANCE, "Masks"
    )


def occupied_frames(masks: Masks, source: SourceImage) -> Dataset:
    """As the suite writes regions."""
    segments = [Segment(label, region_of(mask)) for label, mask in zip(LABELS, masks, strict=False)]
    return encode_seg(segments, source, PROVENANCE, "Masks")


def fractional(masks: Masks, source: SourceImage) -> Dataset:
    """As the suite writes probabilities: 3/4 in the mask, 1/4 outside."""
    votes = [Votes(label, 0.25 + np.float32(0.5) * mask) for label, mask in zip(LABELS, masks, strict=False)]
    return encode_fractional_seg(votes, source, PROVENANCE, "Masks, probability")


def zero_or_one(masks: Masks, source: SourceImage) -> Dataset:
    """Probabilities that are certain."""
    votes = [Votes(label, mask.astype(np.float32)) for label, mask in zip(LABELS, masks, strict=False)]
    return encode_fractional_seg(votes, source, PROVENANCE, "Masks, probability")


def label_map(masks: Masks, source: SourceImage) -> Dataset:
    """As highdicom writes it, with the segments of the suite."""
    labels = np.zeros(masks[0].shape, np.uint8)
    for number, mask in enumerate(masks, start=1):
        labels[mask] = number
    segments = every_frame(masks, source).SegmentSequence
    return hd.seg.Segmentation(
        source_images=[dcmread(frame.instance.path) for frame in source.frames],
        pixel_array=source.of_planes(labels),
        segmentation_type=hd.seg.SegmentationTypeValues.LABELMAP,
        segment_descriptions=[hd.seg.SegmentDescription.from_dataset(segment) for segment in segments],
        series_instance_uid=hd.UID(), series_number=5, sop_instance_uid=hd.UID(), instance_number=1,
        manufacturer="tests", manufacturer_model_name="tests", software_versions="0", device_serial_number="0",
        omit_empty_frames=False,
    )  # fmt: skip


VARIANTS = (
    Variant("BINARY, a frame on every slice", every_frame, one),
    Variant("BINARY, a frame on every slice, two segments", every_frame, two),
    Variant("BINARY, empty frames omitted", occupied_frames, one),
    Variant("BINARY, empty frames omitted, two segments", occupied_frames, two),
    Variant("BINARY, segments that overlap", occupied_frames, overlapping),
    Variant("BINARY, a slice of the source missing", every_frame, one, missing_slice=3),
    Variant("BINARY, an odd number of bytes in all, every slice occupied", every_frame, full, ODD_BYTES),
    Variant("BINARY, an odd number of bytes in all, empty slices", every_frame, one, ODD_BYTES),
    Variant("BINARY, frames that end within a byte", every_frame, one, WITHIN_A_BYTE),
    Variant("BINARY, two frames that end within a byte", occupied_frames, on_two_slices, (6, 12, 11)),
    Variant("FRACTIONAL", fractional, one),
    Variant("FRACTIONAL of 0 and 1 alone", zero_or_one, one),
    Variant("LABELMAP (written by highdicom)", label_map, two),
)


def write_source(folder: Path, variant: Variant) -> SourceImage:
    """Write the series of a variant, in a study of its own, and return it as the applications read it."""

    def own(header: Dataset, number: int) -> None:
        header.PatientID = derived_uid("viewers", variant.title)
        header.StudyInstanceUID = derived_uid("viewers", variant.title, "study")
        header.SeriesInstanceUID = derived_uid("viewers", variant.title, "series")
        header.SOPInstanceUID = derived_uid("viewers", variant.title, str(number))
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID

    write_series(folder, plane=PLANE, spacing_mm=SPACING_MM, shape=variant.shape, edit=own)
    if variant.missing_slice is not None:
        (folder / f"{variant.missing_slice + 1:04d}.dcm").unlink()
    return source_of(folder, max_gap_mm=100.0)
