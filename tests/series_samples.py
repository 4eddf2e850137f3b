"""Synthetic MR series with chosen orientation, spacing and attributes, and ways to compare masks in millimetres."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from scipy.spatial.transform import Rotation

from imaging.geometry import GeometryPolicy
from imaging.load_study import load_study
from imaging.provenance import Provenance
from imaging.split_series import split_series
from imaging.study import Stack
from imaging.to_volume import SourceImage, to_volume
from imaging.uids import derived_uid

SHAPE = (6, 9, 13)
SPACING_MM = (4.0, 0.7, 1.5)  # slice, row, column
ORIGIN_MM = (-30.0, 12.5, 55.25)
PLANES = {  # direction along a row, direction along a column
    "axial": ((1, 0, 0), (0, 1, 0)),
    "axial seen from above": ((-1, 0, 0), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "oblique": tuple(Rotation.from_euler("xyz", (20, -15, 10), degrees=True).as_matrix()[:, :2].T),
}
PROVENANCE = Provenance(
    app="skull_strip", app_version="1.2.3", model="brains", model_version="4.5", weights_sha256="0123456789abcdef" * 4
)
OTHER_WEIGHTS = Provenance(
    app="skull_strip", app_version="1.2.3", model="brains", model_version="4.5", weights_sha256="fedcba9876543210" * 4
)
NAMES = {  # Specific Character Set, Patient's Name
    "Latin": ("ISO_IR 100", "Buc^Jérôme"),
    "Cyrillic": ("ISO_IR 144", "Толстой^Лев"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "UTF-8": ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
}

Edit = Callable[[Dataset, int], None]


def affine_of(plane: str, spacing_mm=SPACING_MM, origin_mm=ORIGIN_MM) -> np.ndarray:
    """Affine of (slice, row, column) indices to LPS mm; slices rise along the normal."""
    row, column = (np.array(direction, float) for direction in PLANES[plane])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([np.cross(row, column), column, row], axis=1) * spacing_mm
    affine[:3, 3] = origin_mm
    return affine


def write_series(
    folder: Path, *, plane="axial", shape=SHAPE, spacing_mm=SPACING_MM, pixels=None, backwards=False, edit: Edit = None
) -> Path:
    """Write one file for each slice and return the folder.

    pixels     (slice, row, column) stored values; a ramp in which every voxel differs when None
    backwards  file names and Instance Numbers fall along the normal
    edit       called with each header and the number of its slice
    """
    folder.mkdir(parents=True, exist_ok=True)
    affine = affine_of(plane, spacing_mm)
    pixels = ramp(shape) if pixels is None else pixels
    for number in range(shape[0]):
        header = _header(number, affine, spacing_mm)
        name = header.InstanceNumber = shape[0] - number if backwards else number + 1
        header.PixelRepresentation = int(pixels.dtype.kind == "i")
        header.Rows, header.Columns = shape[1:]
        header.add_new("PixelData", "OW", pixels[number].tobytes())
        if edit:
            edit(header, number)
        header.save_as(folder / f"{name:04d}.dcm", enforce_file_format=True)
    return folder


def ramp(shape=SHAPE) -> np.ndarray:
    """Stored values that all differ and use the upper bits."""
    return (np.arange(np.prod(shape), dtype=np.uint16) * 5 + 1).reshape(shape)


def source_of(folder: Path, max_gap_mm: float = 0.0) -> SourceImage:
    """The only series of a folder as the applications read it."""
    return to_volume(stack_of(folder), GeometryPolicy(max_gap_mm=max_gap_mm))


def stack_of(path: Path) -> Stack:
    """The only stack of the only series of a folder."""
    (series,) = load_study(path).series
    (stack,) = split_series(series)
    return stack


def asymmetric_mask(shape=SHAPE) -> np.ndarray:
    """A mask without symmetry, with empty slices at one end, scattered voxels and a block."""
    mask = np.random.default_rng(7).random(shape) > 0.8
    mask[1:4, 2:7, 3:11] = True
    mask[-1] = False
    return mask


def edit_study(folder: Path, edit: Edit) -> Path:
    """Change every file of a study in place and return the folder."""
    for number, path in enumerate(sorted(folder.glob("*.dcm"))):
        header = dcmread(path)
        edit(header, number)
        header.save_as(path)
    return folder


def assert_same_at_the_same_mm(array, affine, other, other_affine) -> None:
    """Two arrays on grids that may be turned or reversed hold the same values at the same points."""
    assert array.size == other.size
    points = np.indices(array.shape).reshape(3, -1).T @ affine[:3, :3].T + affine[:3, 3]
    index = (points - other_affine[:3, 3]) @ np.linalg.inv(other_affine[:3, :3]).T
    np.testing.assert_allclose(index, np.rint(index), atol=0.01)
    np.testing.assert_array_equal(other[tuple(np.rint(index).astype(int).T)], array.ravel())


def raw_bytes(header: Dataset, keyword: str) -> bytes:
    """The bytes of a value as they lie in the file, without padding; before anything else reads the value."""
    return bytes(header.get_item(keyword).value).rstrip(b" \0")


def _header(number: int, affine: np.ndarray, spacing_mm) -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID = MRImageStorage
    header.SOPInstanceUID = derived_uid("test", "instance", str(number))
    header.StudyInstanceUID, header.SeriesInstanceUID = derived_uid("test", "study"), derived_uid("test", "series")
    header.FrameOfReferenceUID = derived_uid("test", "frame")
    header.PatientName, header.PatientID, header.PatientSex = "Nobody^Test", "TEST-1", "O"
    header.PatientBirthDate, header.StudyDate, header.StudyTime = "19700101", "20260101", "101500"
    header.StudyID, header.AccessionNumber, header.ReferringPhysicianName = "7", "A-1", "Doctor^Test"
    header.Modality, header.Manufacturer, header.SeriesNumber = "MR", "Synthetic", 4
    header.ImageType = ["ORIGINAL", "PRIMARY", "M"]
    header.PatientPosition, header.PositionReferenceIndicator = "HFS", ""
    header.ScanningSequence, header.SequenceVariant, header.ScanOptions = "GR", "MP", ""
    header.MRAcquisitionType, header.EchoTrainLength = "3D", 1
    header.RepetitionTime, header.EchoTime, header.InversionTime, header.FlipAngle = 2300, 3, 900, 9
    header.SliceThickness = spacing_mm[0]
    header.PixelSpacing = list(spacing_mm[1:])
    directions = affine[:3, :3] / np.array(spacing_mm)
    header.ImageOrientationPatient = [f"{value:.10g}" for value in (*directions[:, 2], *directions[:, 1])]
    header.ImagePositionPatient = [f"{value:.6f}" for value in affine[:3, 3] + number * affine[:3, 0]]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return header
