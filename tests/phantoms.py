"""Synthetic DICOM series with chosen geometry: oblique, anisotropic, asymmetric, and each voxel knows its place."""

from collections.abc import Callable, Sequence
from itertools import permutations, product
from pathlib import Path

import numpy as np
import SimpleITK
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset, write_file_meta_info
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, MRImageStorage
from scipy.spatial.transform import Rotation

from imaging.study import Frame, Instance, Series, Stack
from imaging.uids import derived_uid

SHAPE = (6, 9, 13)
SPACING_MM = (4.0, 0.7, 1.5)  # slice, row, column: no two are alike, pixels are not square
ORIGIN_MM = (-31.5, 12.25, 55.75)
CODE = (11.0, 29.0, 83.0)
"""Units of stored value for each mm to the left, the back and the head."""
CODE_ZERO = 1000.0
TURNS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]  # the 48 ways to number the voxels of a box

PATIENT = {"PatientName": "Doe^Sentinel", "PatientID": "ID-SENTINEL", "PatientBirthDate": "19010203"}
MPRAGE = {
    "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
    "ScanningSequence": ["GR", "IR"],
    "SequenceVariant": ["SK", "SP", "MP"],
    "RepetitionTime": "2300",
    "EchoTime": "2.98",
    "InversionTime": "900",
    "FlipAngle": "9",
}

Change = Callable[[Dataset, int], None]


def oblique_affine(
    degrees: Sequence[float] = (20, -15, 10),
    spacing_mm: Sequence[float] = SPACING_MM,
    origin_mm: Sequence[float] = ORIGIN_MM,
) -> np.ndarray:
    """Affine of (slice, row, column) to LPS mm: slices rise to the head, rows back, columns left, then turned."""
    axes = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()[:, ::-1]
    affine = np.eye(4)
    affine[:3, :3] = axes * np.asarray(spacing_mm)
    affine[:3, 3] = origin_mm
    return affine


def voxel_centres_mm(shape: Sequence[int], affine: np.ndarray) -> np.ndarray:
    """LPS position of each voxel, (slice, row, column, 3)."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3]


def position_code(points_mm: np.ndarray) -> np.ndarray:
    """The value that tells where a voxel lies, linear in its position."""
    return points_mm @ np.array(CODE) + CODE_ZERO


def coded_pixels(shape: Sequence[int] = SHAPE, affine: np.ndarray | None = None) -> np.ndarray:
    """Position code of each voxel, rounded to whole numbers."""
    affine = oblique_affine() if affine is None else affine
    return np.rint(position_code(voxel_centres_mm(shape, affine))).astype(np.int16)


def turned(array: np.ndarray, affine: np.ndarray, order, signs) -> tuple[np.ndarray, np.ndarray]:
    """The same voxels at the same mm, with axes in another order and direction."""
    array = array.transpose(order)
    affine = np.column_stack([affine[:, :3][:, list(order)], affine[:, 3]])
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
            array = np.flip(array, axis)
    return np.ascontiguousarray(array), affine


def value_at(array: np.ndarray, affine: np.ndarray, points_mm: np.ndarray) -> np.ndarray:
    """Values of a (slice, row, column) array at positions that have to be voxel centres."""
    index = (points_mm - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T
    nearest = np.rint(index).astype(int)
    assert np.abs(index - nearest).max() < 1e-4
    return array[tuple(np.moveaxis(nearest, -1, 0))]


def read_by_itk(paths: Sequence[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Array and affine of a series as another toolkit reads it, (slice, row, column) to LPS mm."""
    folder = {str(path.parent) for path in paths}.pop()
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
    image = reader.Execute()
    affine = np.eye(4)
    axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3], affine[:3, 3] = axes[:, ::-1], image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), affine


def slice_headers(
    shape: Sequence[int] = SHAPE,
    affine: np.ndarray | None = None,
    *,
    name: str = "phantom",
    change: Change | None = None,
    **attributes: object,
) -> list[Dataset]:
    """Headers of an MR series without pixels; a value of None takes an attribute away."""
    affine = oblique_affine() if affine is None else affine
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    axes = affine[:3, :3] / spacing_mm
    headers = []
    for number in range(shape[0]):
        header = _series_header(name, shape, affine, number)
        header.PixelSpacing = [decimal(size) for size in spacing_mm[1:]]
        header.ImageOrientationPatient = [decimal(cosine) for cosine in (*axes[:, 2], *axes[:, 1])]
        header.ImagePositionPatient = [decimal(mm) for mm in affine[:3, 3] + number * affine[:3, 0]]
        set_attributes(header, attributes)
        if change:
            change(header, number)
        headers.append(header)
    return headers


def series_of(headers: Sequence[Dataset]) -> Series:
    """Series of headers that have no files."""
    return Series(tuple(Instance(Path(f"{number}.dcm"), header, None) for number, header in enumerate(headers)))


def stack_of(headers: Sequence[Dataset]) -> Stack:
    """All headers as one stack, in their order."""
    series = series_of(headers)
    return Stack(series, tuple(frame_of(instance) for instance in series.instances))


def frame_of(instance: Instance) -> Frame:
    """The only frame of an instance."""
    return Frame(instance, 0, instance.header)


def write_series(
    folder: Path,
    pixels: np.ndarray | None = None,
    affine: np.ndarray | None = None,
    *,
    syntax: UID = ExplicitVRLittleEndian,
    names: Sequence[str] | None = None,
    **options: object,
) -> list[Path]:
    """Write one file for each slice and return their paths.

    pixels   (slice, row, column) stored values; their type is that of the file; position codes when absent
    names    of the files, slice by slice
    options  as for slice_headers; ``change`` comes last, pixels are there by then
    """
    affine = oblique_affine() if affine is None else affine
    pixels = coded_pixels(SHAPE, affine) if pixels is None else pixels
    change: Change | None = options.pop("change", None)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, header in enumerate(slice_headers(pixels.shape, affine, **options)):
        add_pixels(header, pixels[number], syntax)
        if change:
            change(header, number)
        path = folder / (names[number] if names else f"{number:03d}.dcm")
        header.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def add_pixels(header: Dataset, pixels: np.ndarray, syntax: UID) -> None:
    """Put the stored values of a slice into its header, encoded as the transfer syntax asks."""
    bits = pixels.dtype.itemsize * 8
    stored = {"BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1}
    set_attributes(header, {key: value for key, value in stored.items() if key not in header})
    header.PixelRepresentation = int(pixels.dtype.kind == "i")
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax if not syntax.is_encapsulated else ExplicitVRLittleEndian
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    octets = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    header.add_new("PixelData", "OB" if bits == 8 else "OW", octets + b"\0" * (len(octets) % 2))
    if syntax.is_encapsulated:
        header.compress(syntax, generate_instance_uid=False)


def bare_file(header: Dataset, *, implicit: bool) -> bytes:
    """The bytes of a data set without preamble and file meta information."""
    header = Dataset({element.tag: element for element in header})
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit
    header.set_original_encoding(implicit, True)
    write_dataset(buffer, header)
    return buffer.getvalue()


def rewrite(path: Path, old: bytes, new: bytes) -> None:
    """Put other bytes of the same number into a file, where a writer would refuse them."""
    content = path.read_bytes()
    assert len(old) == len(new)
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def restate_syntax(path: Path, claimed: UID) -> None:
    """Make an uncompressed file claim another transfer syntax than the one it is written in."""
    header = dcmread(path)
    content = bare_file(header, implicit=header.file_meta.TransferSyntaxUID.is_implicit_VR)
    header.file_meta.TransferSyntaxUID = claimed
    buffer = DicomBytesIO()
    write_file_meta_info(buffer, header.file_meta)
    path.write_bytes(bytes(128) + b"DICM" + buffer.getvalue() + content)


def set_attributes(header: Dataset, attributes: dict[str, object]) -> None:
    """Set attributes by keyword; None takes one away."""
    for keyword, value in attributes.items():
        if value is not None:
            setattr(header, keyword, value)
        elif keyword in header:
            delattr(header, keyword)


def decimal(value: float) -> str:
    """A decimal string (PS3.5: 16 bytes at most)."""
    return f"{value:.10f}"


def _series_header(name: str, shape: Sequence[int], affine: np.ndarray, number: int) -> Dataset:
    header = Dataset()
    header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, derived_uid(name, "instance", str(number))
    header.StudyInstanceUID, header.SeriesInstanceUID = derived_uid("study"), derived_uid(name, "series")
    header.FrameOfReferenceUID = derived_uid("frame of reference")
    header.Modality, header.SeriesNumber, header.InstanceNumber = "MR", 3, number + 1
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = shape[1:]
    header.SliceThickness = decimal(np.linalg.norm(affine[:3, 0]))
    set_attributes(header, PATIENT | MPRAGE)
    return header
