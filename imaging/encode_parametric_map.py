"""Heat maps as a DICOM Parametric Map: the numbers themselves, for programs; the colour images are for eyes.

One frame of float32 from 0 to 1 for each plane that shows a hot nodule, on the grid of the source.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import highdicom as hd
import numpy as np
from highdicom.pm import ParametricMap, RealWorldValueMapping
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import ParametricMapStorage

from imaging.encode_heat_map import digest_of, heat_on, shown_on
from imaging.finding import NO_UNITS
from imaging.provenance import Provenance
from imaging.report_nodules import Nodule
from imaging.to_volume import Plane, SourceImage
from imaging.write_common import (
    TYPE_2,
    code,
    decimal_strings,
    in_plane,
    instance_references,
    item,
    new_object,
    source_image,
    uids_of,
)

TITLE = "Heat of nodules, values"
MEANING = "what speaks for malignancy, 1 where it is most in each nodule"
SERIES_AFTER_SEG = 5
"""Series Number minus that of the segmentation."""
BOTH_LUNGS = item(FrameLaterality="B", AnatomicRegionSequence=[code("39607008", "SCT", "Lung")])


def encode_parametric_map(nodules: Sequence[Nodule], source: SourceImage, provenance: Provenance) -> Dataset | None:
    """Return the heat of nodules as one object (PS3.3 A.75); None when there is none. UIDs as ``encode_heat_map``."""
    hot = [nodule for nodule in nodules if nodule.heat is not None]
    planes = [plane for plane in source.planes if shown_on(hot, plane.slice)]
    if not planes:
        return None
    common = _common(source, provenance, digest_of(hot))
    unfilled = np.broadcast_to(np.float32(0), (len(planes), *source.volume.shape[1:]))  # highdicom copies its pixels
    stand_ins = {f"1.{number}": plane for number, plane in enumerate(planes, start=1)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom quotes unusual values
        made: Dataset = ParametricMap(
            [_stand_in(uid, plane, source, common.FrameOfReferenceUID) for uid, plane in stand_ins.items()],
            unfilled, common.SeriesInstanceUID, common.SeriesNumber, common.SOPInstanceUID, 1,
            common.Manufacturer, common.ManufacturerModelName, common.SoftwareVersions, common.DeviceSerialNumber,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[
                RealWorldValueMapping(
                    "HEAT", MEANING, NO_UNITS, (0.0, 1.0), 1.0, 0.0, quantity_definition=codes.DCM.ClassActivation
                )
            ],
            voi_lut_transformations=[hd.VOILUTTransformation(window_center=0.5, window_width=1.0)],
            content_label="HEAT", content_description="Research use only",
        )  # fmt: skip
    made.update(common)
    made.ContentCreatorName = None
    made.DimensionOrganizationSequence[0].DimensionOrganizationUID = common.DimensionOrganizationUID
    made.DimensionIndexSequence[0].DimensionOrganizationUID = made.pop("DimensionOrganizationUID").value
    made.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [BOTH_LUNGS]  # dcmqi wants it
    _order_frames(made, stand_ins, source)
    del made.FloatPixelData  # before memory is taken for the next
    made.FloatPixelData = b"".join(
        heat_on(shown_on(hot, plane.slice), plane.slice, source.volume.shape).astype("<f4").tobytes()
        for plane in planes
    )
    return made


def _common(source: SourceImage, provenance: Provenance, digest: str) -> Dataset:
    """Return the attributes that every object of the suite has, and those that keep its UIDs fixed."""
    header, uids = source.stack.header, uids_of(source.frames)
    made = new_object(header, ParametricMapStorage, "SEG", TITLE, provenance, uids)
    made.SOPInstanceUID = provenance.uid("parametric map", uids, digest)
    made.SeriesInstanceUID = provenance.uid("parametric map series", uids, digest)
    made.DimensionOrganizationUID = provenance.uid("parametric map dimensions", uids)
    made.FrameOfReferenceUID = source.volume.frame_of_reference_uid or provenance.uid("frame-of-reference", uids)
    made.Modality, made.SeriesNumber = "OT", made.SeriesNumber + SERIES_AFTER_SEG
    made.BodyPartExamined = header.get("BodyPartExamined") or "CHEST"  # where nodules of the lung are
    return made


def _stand_in(uid: str, plane: Plane, source: SourceImage, space: str) -> Dataset:
    """Return what highdicom asks of a source image: values of real headers, which it may refuse, come later."""
    orientation, spacing_mm = in_plane(source)
    made = item(
        SOPClassUID=plane.frame.instance.header.SOPClassUID, SOPInstanceUID=uid, SeriesInstanceUID=source.series.uid,
        StudyInstanceUID=source.stack.header.StudyInstanceUID, FrameOfReferenceUID=space,
        Rows=source.volume.shape[1], Columns=source.volume.shape[2], PixelSpacing=decimal_strings(spacing_mm),
        SliceThickness=decimal_strings(source.stack.header.get("SliceThickness") or source.volume.spacing[0])[0],
        ImageOrientationPatient=decimal_strings(orientation), ImagePositionPatient=decimal_strings(plane.position_mm),
    )  # fmt: skip
    for keyword in TYPE_2:
        setattr(made, keyword, None)
    return made


def _order_frames(made: Dataset, stand_ins: dict[str, Plane], source: SourceImage) -> None:
    """Put frames into the order of the planes, as dcmqi takes them, with references to the true source frames."""
    found = {
        groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID: groups
        for groups in made.PerFrameFunctionalGroupsSequence
    }
    for number, (uid, plane) in enumerate(stand_ins.items(), start=1):
        image = source_image(plane.frame)
        image.SpatialLocationsPreserved = "NO" if source.resampled else "YES"
        found[uid].DerivationImageSequence[0].SourceImageSequence = [image]
        found[uid].FrameContentSequence[0].DimensionIndexValues = number
    made.PerFrameFunctionalGroupsSequence = [found[uid] for uid in stand_ins]
    made.SourceImageSequence = instance_references([plane.frame for plane in stand_ins.values()])
    made.ReferencedSeriesSequence = [
        item(SeriesInstanceUID=source.series.uid, ReferencedInstanceSequence=made.SourceImageSequence)
    ]
