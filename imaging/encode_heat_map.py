"""Heat maps over the CT as a colour Secondary Capture series: where the classifier looked, for eyes alone.

One single-frame RGB image for each slice that shows a nodule: every viewer shows those, few show a Parametric Map or
the functional groups of a multi-frame one. Position, orientation and spacing of the source stay with each image, so a
viewer can link it to the CT. That the images are for research only is burnt into them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import SecondaryCaptureImageStorage

from imaging.burn_text import Entry, Picture, Words, below, legend, write_words
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.render_slice import RESEARCH_ONLY, line_height
from imaging.report_nodules import Nodule
from imaging.suite import RESEARCH_USE, SUITE
from imaging.to_volume import Plane, SourceImage
from imaging.window import GreyWindow
from imaging.write_common import (
    code,
    copy_attribute,
    decimal_strings,
    in_plane,
    new_object,
    reference,
    save_dicom,
    uids_of,
)

LUNG_WINDOW = GreyWindow(-1350.0, 150.0, "lung window")
"""In HU."""
OPAQUE = 0.6
"""Share of the colour where the heat is 1; it falls with the heat."""
COOLEST = 0.05
"""Heat below which the CT shows unchanged."""
SERIES_AFTER_SEG = 4
"""Series Number minus that of the segmentation."""
LEGEND = (
    Entry(RESEARCH_ONLY), Entry("Heat map:"), Entry("little", (255, 230, 0)), Entry("much", (255, 0, 0)),
)  # fmt: skip
"""Below each image, the same on all: images of one series have one size."""
COPIED = ("BodyPartExamined", "PositionReferenceIndicator", "PatientPosition", "SliceThickness")
_SOURCE_IMAGE = ("121322", "DCM", "Source image for image processing operation")


def write_heat_map(folder: Path, nodules: Sequence[Nodule], source: SourceImage, provenance: Provenance) -> list[Path]:
    """Write the images of ``encode_heat_map`` and return their paths, in slice order."""
    paths = []
    for number, image in enumerate(encode_heat_map(nodules, source, provenance), start=1):
        paths.append(staged(folder, f"heat_{number:04d}.dcm"))
        save_dicom(image, paths[-1])
    return paths


def encode_heat_map(nodules: Sequence[Nodule], source: SourceImage, provenance: Provenance) -> Iterator[Dataset]:
    """Yield a colour image for each plane that shows a nodule with a heat map, one at a time; none when there is none.

    The UIDs are fixed by the source, the weights, the nodules and their heat: other marks make another series.
    """
    hot = [nodule for nodule in nodules if nodule.heat is not None]
    planes = [plane for plane in source.planes if shown_on(hot, plane.slice)]
    if not planes:
        return
    shared = _shared(source, provenance, digest_of(hot))
    for number, plane in enumerate(planes, start=1):
        yield _image(shared, number, plane, hot, source, provenance)


def shown_on(nodules: Sequence[Nodule], number: int) -> list[Nodule]:
    """Return the nodules that a slice shows, in the order of their numbers."""
    found = []
    for nodule in sorted(nodules, key=lambda one: one.number):
        at = number - nodule.region.start[0]
        if 0 <= at < nodule.region.mask.shape[0] and nodule.region.mask[at].any():
            found.append(nodule)
    return found


def picture(nodules: Sequence[Nodule], source: SourceImage, number: int) -> Picture:
    """Return a slice in the lung window, (row, column, RGB), the heat of its nodules over it, and a legend below."""
    shown = shown_on(nodules, number)
    heat = heat_on(shown, number, source.volume.shape)
    image = blend(LUNG_WINDOW.grey(source.volume.array[number]), heat)
    size = line_height(image)
    image = write_words(image, [_number_beside(nodule) for nodule in shown], size)
    return below(image, legend(image.shape[1], LEGEND, size))


def heat_on(nodules: Sequence[Nodule], number: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the heat of a slice, (row, column) from 0 to 1; where boxes overlap, the higher one."""
    image = np.zeros(shape[1:], np.float32)
    for nodule in nodules:
        heat = nodule.heat
        if heat is None or not heat.box[0].start <= number < heat.box[0].stop:
            continue
        (top, left), values = heat.start[1:], heat.values[number - heat.start[0]]
        inside = values[max(0, -top) : max(0, shape[1] - top), max(0, -left) : max(0, shape[2] - left)]
        rows, columns = max(0, top), max(0, left)
        part = image[rows : rows + inside.shape[0], columns : columns + inside.shape[1]]
        np.maximum(part, np.clip(inside, 0, 1), out=part)
    return image


def blend(grey: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> Picture:
    """Return grey from 0 to 255 as RGB with heat from 0 to 1 over it: yellow where it is low, red where it is high."""
    colour = 255 * np.stack([np.ones_like(heat), 1 - heat, np.zeros_like(heat)], axis=-1)
    share = np.where(heat >= COOLEST, OPAQUE * heat, 0)[..., None]
    return np.asarray(np.rint((1 - share) * grey[..., None] + share * colour), np.uint8)


def digest_of(nodules: Sequence[Nodule]) -> str:
    """Return what tells one set of nodules and heat from another."""
    digest = hashlib.blake2b(digest_size=16)
    for nodule in nodules:
        digest.update(repr((nodule.number, nodule.region.start, nodule.region.mask.shape)).encode())
        digest.update(np.packbits(nodule.region.mask).tobytes())
        if nodule.heat is not None:
            digest.update(repr((nodule.heat.start, nodule.heat.values.shape)).encode())
            digest.update(nodule.heat.values.astype("<f4").tobytes())
    return digest.hexdigest()


def _number_beside(nodule: Nodule) -> Words:
    """Return the number of a nodule, written at the left of the box of its heat."""
    box = nodule.region.box if nodule.heat is None else nodule.heat.box
    return Words(str(nodule.number), ((box[1].start + box[1].stop) / 2, box[2].start - 2), "right")


def _shared(source: SourceImage, provenance: Provenance, digest: str) -> Dataset:
    """Return what all images have in common (PS3.3 A.8.1), geometry beyond that of the IOD included."""
    header, uids = source.stack.header, uids_of(source.frames)
    shared = new_object(header, SecondaryCaptureImageStorage, "SEG", "Heat map of nodules", provenance, uids)
    shared.SeriesInstanceUID = provenance.uid("heat map series", uids, digest)
    del shared.SOPInstanceUID, shared.InstanceNumber  # each image gets its own
    shared.SeriesNumber += SERIES_AFTER_SEG
    shared.Modality, shared.ConversionType = "OT", "WSD"
    shared.SecondaryCaptureDeviceManufacturer = SUITE
    shared.ImageType = ["DERIVED", "SECONDARY"]
    shared.DerivationDescription = f"CT in the lung window, heat of {provenance.algorithm} in yellow to red"
    shared.ImageComments, shared.BurnedInAnnotation = RESEARCH_USE, "YES"
    for keyword in COPIED:
        copy_attribute(shared, header, keyword)
    if not shared.get("BodyPartExamined"):
        shared.BodyPartExamined = "CHEST"  # where nodules of the lung are
    if "01" in str(header.get("LossyImageCompression") or ""):
        shared.LossyImageCompression = "01"
    space = source.volume.frame_of_reference_uid
    shared.FrameOfReferenceUID = space or provenance.uid("frame-of-reference", uids)
    orientation, spacing_mm = in_plane(source)
    shared.ImageOrientationPatient = decimal_strings(orientation)
    shared.PixelSpacing = decimal_strings(spacing_mm)
    shared.PatientOrientation = None
    shared.SamplesPerPixel, shared.PhotometricInterpretation, shared.PlanarConfiguration = 3, "RGB", 0
    shared.BitsAllocated, shared.BitsStored, shared.HighBit, shared.PixelRepresentation = 8, 8, 7, 0
    return shared


def _image(
    shared: Dataset, number: int, plane: Plane, nodules: Sequence[Nodule], source: SourceImage, provenance: Provenance
) -> Dataset:
    image = Dataset()
    image.update(shared)
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = shared.file_meta.TransferSyntaxUID
    identity = [plane.frame.identity, str(plane.slice)]
    image.SOPInstanceUID = provenance.uid("heat map", identity, shared.SeriesInstanceUID)
    image.InstanceNumber = number
    image.ImagePositionPatient = decimal_strings(plane.position_mm)
    origin = reference(plane.frame)
    origin.PurposeOfReferenceCodeSequence = [code(*_SOURCE_IMAGE)]
    image.SourceImageSequence = [origin]
    pixels = picture(nodules, source, plane.slice)
    image.Rows, image.Columns = pixels.shape[:2]
    octets = pixels.tobytes()
    image.add_new("PixelData", "OB", octets + b"\0" * (len(octets) % 2))
    return image
