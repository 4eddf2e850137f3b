"""Balls of ``nodule_samples`` as contours and RT structure sets, written by hand."""

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from imaging.uids import derived_uid
from tests.nodule_samples import BALLS_MM, CT_SHAPE, CT_SPACING_MM
from tests.series_samples import affine_of

SPACE = derived_uid("test", "frame")


def outlines(number, plane="axial", points=120, every=1):
    """Circles in which the slices cut a ball, LPS mm."""
    (slice_, row, column), radius_mm = BALLS_MM[number]
    affine = affine_of(plane, CT_SPACING_MM)
    for at in range(0, CT_SHAPE[0], every):
        height_mm = (at - slice_) * CT_SPACING_MM[0]
        if abs(height_mm) < radius_mm:
            radius = np.sqrt(radius_mm**2 - height_mm**2) + 1e-3
            angle = np.linspace(0, 2 * np.pi, points, endpoint=False) + 0.3
            index = np.column_stack(
                [
                    np.full(points, at),
                    row + radius * np.sin(angle) / CT_SPACING_MM[1],
                    column + radius * np.cos(angle) / CT_SPACING_MM[2],
                ]
            )
            yield index @ affine[:3, :3].T + affine[:3, 3]


def contour(points_mm, kind="CLOSED_PLANAR"):
    """One contour of a structure."""
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points_mm)
    item.ContourData = [f"{value:.4f}" for value in np.ravel(points_mm)]
    return item


def structures(*rois, space=SPACE):
    """A structure set by hand: each ROI is (name, interpreted type, contours)."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = (
        RTStructureSetStorage,
        derived_uid("rtstruct", *(name for name, _, _ in rois)),
    )
    made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
    for at, (name, kind, contours) in enumerate(rois):
        number = 10 * (at + 1)
        roi, drawn, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, space
        drawn.ReferencedROINumber, drawn.ContourSequence = number, list(contours)
        observed.ReferencedROINumber, observed.RTROIInterpretedType = number, kind
        made.StructureSetROISequence.append(roi)
        made.ROIContourSequence.insert(0, drawn)  # the numbers tell which is which
        made.RTROIObservationsSequence.append(observed)
    return made


def dice(one, other) -> float:
    """Overlap of two masks."""
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
