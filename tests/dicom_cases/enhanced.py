"""Writes multi-frame objects with functional groups (PS3.3 C.7.6.16), frame by frame as a case wants them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import EnhancedCTImageStorage, EnhancedMRImageStorage, EnhancedPETImageStorage, ExplicitVRLittleEndian

from imaging.uids import derived_uid
from tests.dicom_cases.phantom import BASE, PHANTOM, Grid, stored
from tests.phantoms import PATIENT, decimal, set_attributes

CLASSES = {"MR": EnhancedMRImageStorage, "CT": EnhancedCTImageStorage, "PT": EnhancedPETImageStorage}
FRAME_TYPES = {"MR": "MRImageFrameTypeSequence", "CT": "CTImageFrameTypeSequence", "PT": "PETFrameTypeSequence"}
RESCALE = "PixelValueTransformationSequence"
MEASURES, ORIENTATION, POSITION, CONTENT = (
    f"{name}Sequence" for name in ("PixelMeasures", "PlaneOrientation", "PlanePosition", "FrameContent")
)
ALIKE = (MEASURES, ORIENTATION, RESCALE, *FRAME_TYPES.values())
"""Groups that scanners state once for all frames."""
DIMENSIONS = ("StackID", "InStackPositionNumber", "TemporalPositionIndex")

Attributes = Mapping[str, object]


@dataclass(frozen=True)
class Picture:
    """A frame to be written: one slice of one volume, and the functional groups that describe it."""

    grid: Grid = PHANTOM
    slice: int = 0
    volume: int = 0
    rescale: tuple[object, object] = (1, 0)  # slope, intercept; the group says so unless they are these
    groups: Mapping[str, Attributes | None] = field(default_factory=dict)  # beside the usual ones; None takes one away

    def functional_groups(self, kind: str) -> dict[str, Dataset]:
        """Return the one item of each functional group, by the keyword of its sequence."""
        step_mm, row_mm, column_mm = np.linalg.norm(self.grid.affine[:3, :3], axis=0)
        row, column = self.grid.affine[:3, 2] / column_mm, self.grid.affine[:3, 1] / row_mm
        position_mm = self.grid.affine[:3, 3] + self.slice * self.grid.affine[:3, 0]
        frame_type = {"FrameType": ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], "PixelPresentation": "MONOCHROME"}
        usual: dict[str, Attributes] = {
            MEASURES: {
                "PixelSpacing": [decimal(row_mm), decimal(column_mm)],
                "SliceThickness": decimal(step_mm),
                "SpacingBetweenSlices": decimal(step_mm),
            },
            ORIENTATION: {"ImageOrientationPatient": [decimal(cosine) for cosine in (*row, *column)]},
            POSITION: {"ImagePositionPatient": [decimal(mm) for mm in position_mm]},
            CONTENT: {
                "StackID": "1",
                "InStackPositionNumber": self.slice + 1,
                "TemporalPositionIndex": 1,
                "DimensionIndexValues": [1, self.slice + 1, 1],
            },
            FRAME_TYPES[kind]: frame_type,
        }
        if self.rescale != (1, 0):
            slope, intercept = self.rescale
            usual[RESCALE] = {"RescaleSlope": slope, "RescaleIntercept": intercept, "RescaleType": "US"}
        for keyword, attributes in self.groups.items():
            usual[keyword] = {} if attributes is None else {**usual.get(keyword, {}), **attributes}
            if attributes is None:
                del usual[keyword]
        return {keyword: dataset(attributes) for keyword, attributes in usual.items()}


def pictures(grid: Grid = PHANTOM, volume: int = 0, *, rescale=(1, 0), **groups: Attributes | None) -> list[Picture]:
    """Return the frames of one volume, slice by slice."""
    return [Picture(grid, number, volume, rescale, groups) for number in range(grid.shape[0])]


def dataset(attributes: Attributes) -> Dataset:
    """Return a data set of attributes by keyword; a mapping becomes a sequence of one item."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, [dataset(value)] if isinstance(value, Mapping) else value)
    return item


def enhanced(
    frames: Sequence[Picture],
    *,
    kind: str = "MR",
    name: str = "enhanced",
    shared: Iterable[str] = ALIKE,
    **attributes: object,
) -> Dataset:
    """Return an Enhanced MR, CT or PET object, uncompressed.

    frames      in the order of the pixel data
    name        of the object, which makes its SOP Instance UID
    shared      keywords of the groups that go to the shared ones where all frames agree on them
    attributes  by keyword, at the top of the object; None takes one away
    """
    header = _header(kind, name, frames[0].grid)
    groups = [frame.functional_groups(kind) for frame in frames]
    common = {key for key in shared if all(group.get(key) == groups[0].get(key) for group in groups)} & set(groups[0])
    header.SharedFunctionalGroupsSequence = [_item(groups[0], common)]
    header.PerFrameFunctionalGroupsSequence = [_item(group, set(group) - common) for group in groups]
    header.NumberOfFrames = len(frames)
    codes = [stored(frame.grid.codes(frame.volume)[frame.slice], *frame.rescale) for frame in frames]
    header.add_new("PixelData", "OW", np.stack(codes).astype("<i2").tobytes())
    set_attributes(header, dict(attributes))
    return header


def write_enhanced(folder: Path, frames: Sequence[Picture] | None = None, **options: object) -> Path:
    """Write one multi-frame object, of the phantom if no frames are given; options as for ``enhanced``."""
    header = enhanced(pictures() if frames is None else frames, **options)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{options.get('name', 'enhanced')}.dcm"
    header.save_as(path, enforce_file_format=True)
    return path


def _item(groups: Mapping[str, Dataset], keywords: set[str]) -> Dataset:
    item = Dataset()
    for keyword in sorted(keywords):
        setattr(item, keyword, [groups[keyword]])
    return item


def _header(kind: str, name: str, grid: Grid) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = CLASSES[kind], derived_uid("enhanced", kind, name)
    header.StudyInstanceUID, header.SeriesInstanceUID = derived_uid("study"), derived_uid("enhanced", "series")
    header.FrameOfReferenceUID = derived_uid("frame of reference")
    set_attributes(header, BASE | PATIENT)
    header.Modality, header.SeriesNumber, header.InstanceNumber = kind, 3, 1
    header.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    header.PixelPresentation, header.VolumetricProperties = "MONOCHROME", "VOLUME"
    header.VolumeBasedCalculationTechnique, header.ContentQualification = "NONE", "RESEARCH"
    header.BurnedInAnnotation, header.LossyImageCompression, header.PresentationLUTShape = "NO", "00", "IDENTITY"
    header.ContentDate, header.ContentTime = "20260101", "101500"
    header.AcquisitionDateTime, header.AcquisitionDuration = "20260101101500", 60.0
    header.AcquisitionContextSequence = []
    if kind == "MR":
        header.ComplexImageComponent, header.AcquisitionContrast = "MAGNITUDE", "T1"
        header.EchoPulseSequence, header.InversionRecovery, header.PulseSequenceName = "GRADIENT", "YES", "MPRAGE"
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 1
    header.Rows, header.Columns = grid.shape[1:]
    organization = derived_uid("enhanced", "dimensions")
    header.DimensionOrganizationSequence = [dataset({"DimensionOrganizationUID": organization})]
    header.DimensionIndexSequence = [_dimension(keyword, organization) for keyword in DIMENSIONS]
    return header


def _dimension(keyword: str, organization: str) -> Dataset:
    pointers = {"DimensionIndexPointer": Tag(keyword), "FunctionalGroupPointer": Tag(CONTENT)}
    return dataset({"DimensionOrganizationUID": organization, **pointers, "DimensionDescriptionLabel": keyword})
