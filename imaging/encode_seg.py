"""A mask as DICOM Segmentation, frame by frame with its source."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from imaging.outcome import OutputError
from imaging.provenance import SUITE, Provenance
from imaging.to_volume import SourceImage
from imaging.write_common import copy_patient_and_study, series_number, uids_of

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
) -> Segmentation:
    """Return a BINARY Segmentation (PS3.3 A.51) with one segment and one frame for each source instance.

    mask  (slice, row, column) on the grid of the source volume
    """
    headers = source.series.headers
    uids = uids_of(headers)
    frames = np.ascontiguousarray(source.of_instances(mask), dtype=np.uint8)
    description = SegmentDescription(
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
        tracking_id=f"{label.label} of series {headers[0].get('SeriesNumber', '')}".strip(),
        tracking_uid=provenance.uid("tracking", uids, label.label),
        display_color=hd.color.CIELabColor.from_rgb(*label.display_rgb),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom quotes unusual patient names
        seg = Segmentation(
            source_images=headers,
            pixel_array=frames,
            segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=[description],
            series_instance_uid=provenance.uid("seg-series", uids),
            series_number=series_number(headers[0], "SEG"),
            sop_instance_uid=provenance.uid("seg", uids),
            instance_number=1,
            manufacturer=SUITE,
            manufacturer_model_name=provenance.app,
            software_versions=provenance.software_versions,
            device_serial_number=provenance.weights_sha256[:16],
            omit_empty_frames=False,
            content_label="BRAIN",
            content_description="Research use only",
            series_description=f"{label.label} mask - research use only",
        )
    copy_patient_and_study(seg, headers[0])
    return seg


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
    found = np.zeros(len(source.slices), bool)
    slices = {number: at for at, number in enumerate(source.slices)}
    for frame, item in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        position = np.array(item.PlanePositionSequence[0].ImagePositionPatient, float)
        index = inverse @ np.append(position, 1)
        nearest = round(index[0])
        displaced_mm = float(np.linalg.norm(volume.affine[:3, :3] @ (index[:3] - [nearest, 0, 0])))
        if nearest not in slices or displaced_mm > POSITION_TOLERANCE_MM:
            raise OutputError(
                f"A frame of the written segmentation lies {displaced_mm:.3f} mm beside its source slice."
            )
        if not np.array_equal(frame, mask[nearest]):
            raise OutputError(f"Slice {nearest + 1} of the written segmentation is not the mask that was computed.")
        found[slices[nearest]] = True
    if not found.all():
        raise OutputError(f"{np.count_nonzero(~found)} source slices have no frame in the written segmentation.")
