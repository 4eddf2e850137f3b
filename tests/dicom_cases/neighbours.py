"""A good volume among what gateways, archives and desktops put beside it: everything else is no candidate."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from pydicom import Dataset, FileMetaDataset, dcmread, uid

from imaging.outcome import Reason
from imaging.uids import derived_uid
from tests.dicom_cases.case import Case, Counts, Exact, NothingEligible
from tests.dicom_cases.enhanced import dataset
from tests.dicom_cases.phantom import BASE, MR, write_volume
from tests.phantoms import PATIENT, set_attributes

VOLUME_SERIES = derived_uid("phantom", "series")
OTHER_SERIES = derived_uid("a neighbour", "series")
NO_IMAGE = {
    "structured-report": (uid.ComprehensiveSRStorage, "SR", {"CompletionFlag": "COMPLETE"}),
    "key-objects": (uid.KeyObjectSelectionDocumentStorage, "KO", {}),
    "presentation-state": (uid.GrayscaleSoftcopyPresentationStateStorage, "PR", {}),
    "structure-set": (uid.RTStructureSetStorage, "RTSTRUCT", {"StructureSetLabel": "brain"}),
    "plan": (uid.RTPlanStorage, "RTPLAN", {"RTPlanLabel": "plan"}),
    "document": (uid.EncapsulatedPDFStorage, "DOC", {"EncapsulatedDocument": b"%PDF-1.7 no image "}),
    "waveform": (uid.TwelveLeadECGWaveformStorage, "ECG", {"WaveformSequence": []}),
    "registration": (uid.SpatialRegistrationStorage, "REG", {}),
    "raw-data": (uid.RawDataStorage, "MR", {}),
    "spectroscopy": (uid.MRSpectroscopyStorage, "MR", {"Rows": 4, "Columns": 4, "NumberOfFrames": 1}),
}
"""Objects without an image (PS3.3 A.1.4), and what they have beside their identity."""
DERIVED = {
    "segmentation": (uid.SegmentationStorage, "SEG", 1),
    "parametric-map": (uid.ParametricMapStorage, "OT", 32),
    "dose": (uid.RTDoseStorage, "RTDOSE", 16),
}
"""Objects with frames that are the result of something."""
SCREENSHOTS = {
    "screenshot-colour": {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
    "screenshot-grey": {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"},
}
NO_VOLUME = (Reason.TOO_FEW_SLICES, Reason.NO_GEOMETRY, Reason.PHOTOMETRIC)


def objects(classes: Iterable[str] = NO_IMAGE, series: str = OTHER_SERIES) -> Callable[[Path], object]:
    """Return a writer of objects without an image, in a series of their own or in that of the volume."""

    def write(folder: Path) -> None:
        for name in classes:
            sop_class, modality, attributes = NO_IMAGE[name]
            write_object(folder / f"{name}.dcm", sop_class, modality, attributes, series)

    return write


def write_object(
    path: Path, sop_class: str, modality: str, attributes: Mapping[str, object], series: str = OTHER_SERIES
) -> None:
    """Write any object of the study of the phantom."""
    header = Dataset()
    set_attributes(header, BASE | PATIENT)
    header.SOPClassUID, header.SOPInstanceUID = sop_class, derived_uid("a neighbour", path.name, series)
    header.StudyInstanceUID, header.SeriesInstanceUID = derived_uid("study"), series
    header.Modality, header.SeriesNumber, header.InstanceNumber = modality, 99, 1
    set_attributes(header, dict(attributes))
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    header.save_as(path, enforce_file_format=True)


def derived_objects(folder: Path, series: str = OTHER_SERIES) -> None:
    """Write a segmentation, a parametric map and a dose grid of six frames each."""
    for name, (sop_class, modality, bits) in DERIVED.items():
        octets = bytes(-(-6 * 9 * 13 * bits // 16) * 2)
        pixels = {"FloatPixelData" if name == "parametric-map" else "PixelData": octets}
        shape = {
            "Rows": 9,
            "Columns": 13,
            "NumberOfFrames": 6,
            "FrameOfReferenceUID": derived_uid("frame of reference"),
        }
        kind = {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0}
        stored = {"BitsAllocated": bits, "BitsStored": bits, "HighBit": bits - 1}
        write_object(folder / f"{name}.dcm", sop_class, modality, {**shape, **kind, **stored, **pixels}, series)


def screenshots(names: Iterable[str] = SCREENSHOTS, series: str = OTHER_SERIES) -> Callable[[Path], object]:
    """Return a writer of Secondary Captures."""

    def write(folder: Path) -> None:
        for name in names:
            samples = SCREENSHOTS[name]["SamplesPerPixel"]
            shown = {"Rows": 16, "Columns": 16, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7,
                     "PixelRepresentation": 0, "ConversionType": "WSD", "PixelData": bytes(256 * samples)}  # fmt: skip
            attributes = {**shown, **SCREENSHOTS[name]}
            write_object(folder / f"{name}.dcm", uid.SecondaryCaptureImageStorage, "OT", attributes, series)

    return write


def gateway_json(folder: Path) -> None:
    """Put a DICOM JSON file beside each image, as the informatics gateway does."""
    for path in sorted(folder.glob("*.dcm")):
        header = dcmread(path)
        header.PixelData = b""
        path.with_name(f"{path.name}.json").write_text(header.to_json())


def mercure_files(folder: Path) -> None:
    """Name files after series and instance, with a file of tags for each, and a task, as mercure does."""
    for path in sorted(folder.glob("*.dcm")):
        header = dcmread(path, stop_before_pixels=True)
        name = f"{header.SeriesInstanceUID}#{header.SOPInstanceUID}"
        path.rename(folder / f"{name}.dcm")
        (folder / f"{name}.tags").write_text(json.dumps({"Modality": "MR", "SeriesNumber": "3"}))
    (folder / "task.json").write_text(json.dumps({"id": "1", "process": {"settings": {}}, "info": {"mrn": "X"}}))
    (folder / ".processing").touch()


def desktop_files(folder: Path) -> None:
    """Put files of desktops, and pictures, beside the images."""
    resource_fork = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(200)
    for path in sorted(folder.glob("*.dcm")):
        path.with_name(f"._{path.name}").write_bytes(resource_fork)
    contents = {
        ".DS_Store": b"\0\0\0\1Bud1" + bytes(100),
        "Thumbs.db": bytes.fromhex("d0cf11e0a1b11ae1") + bytes(500),
        "desktop.ini": b"[.ShellClassInfo]\r\n",
        "preview.png": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "brain.nii": b"\x5c\x01\0\0" + bytes(348),
        "README": b"(0008,0060) CS [MR]\n",
        "group-8.bin": b"\x08\0\x05\0 not DICOM, though it begins like it",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def archives(folder: Path) -> None:
    """Put another series beside the volume in a zip file, which is not to be opened."""
    content = io.BytesIO()
    with TemporaryDirectory() as other, zipfile.ZipFile(content, "w") as packed:
        for path in write_volume(Path(other), volume=1, name="packed"):
            packed.write(path, path.name)
    (folder / "study.zip").write_bytes(content.getvalue())


def write_directory(folder: Path, names: Iterable[str]) -> None:
    """Write a DICOMDIR (PS3.3 F) that names these files."""
    header = Dataset()
    header.FileSetID = "PHANTOM"
    header.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0
    header.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity = 0
    header.FileSetConsistencyFlag = 0
    header.DirectoryRecordSequence = [
        dataset({"DirectoryRecordType": "IMAGE", "ReferencedFileID": name.split("/"), "Rows": 9, "Columns": 13})
        for name in names
    ]
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
    header.file_meta.MediaStorageSOPInstanceUID = derived_uid("a file set")
    header.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    header.save_as(folder / "DICOMDIR", enforce_file_format=True)


def with_directory(folder: Path) -> None:
    """Move the images into the folder of a file set, with its DICOMDIR."""
    (folder / "IMAGES").mkdir()
    for number, path in enumerate(sorted(folder.glob("*.dcm"))):
        path.rename(folder / "IMAGES" / f"IM{number:06d}")
    write_directory(folder, [f"IMAGES/IM{number:06d}" for number in range(6)])


def lost_directory(folder: Path) -> None:
    """Put a DICOMDIR beside the images that names files which are not there."""
    write_directory(folder, ["IMAGES/GONE", "ETC/PASSWD"])


def other_volume(folder: Path, *, patient: bool) -> None:
    """Write the volume of another study, of another patient if need be."""
    identity = {"PatientName": "Else^Somebody", "PatientID": "ID-ELSE"} if patient else {}
    write_volume(folder, volume=1, name="another", StudyInstanceUID=derived_uid("another study"), **identity)


def write_among(folder: Path, add: Iterable[Callable[[Path], object]], volume: bool = True) -> None:
    """Write the phantom, then what lies beside it."""
    if volume:
        write_volume(folder, base=MR)
    for write in add:
        write(folder)


def among(name: str, about: str, *add: Callable[[Path], object], **expected: object) -> Case:
    """Return the case of the phantom among neighbours."""
    return Case(f"among-{name}", about, partial(write_among, add=add), Exact(**expected))


def alone(name: str, about: str, add: Callable[[Path], object]) -> Case:
    """Return the case of neighbours without a volume."""
    return Case(f"only-{name}", about, partial(write_among, add=(add,), volume=False), NothingEligible())


CASES = (
    among("gateway-json", "DICOM JSON beside each image.", gateway_json, counts=Counts(not_dicom=6, unreadable=0)),
    among("mercure", "File names with '#', files of tags, a task.", mercure_files,
          counts=Counts(not_dicom=8, unreadable=0)),
    among("desktop", "Resource forks, thumbnails, pictures.", desktop_files, counts=Counts(not_image=0)),
    among("zip", "A zip file with another series.", archives, counts=Counts(not_dicom=1)),
    among("dicomdir", "A file set with its DICOMDIR.", with_directory, counts=Counts(not_image=1, unreadable=0)),
    among("dicomdir-lost", "A DICOMDIR that names other files.", lost_directory,
          counts=Counts(not_image=1, unreadable=0)),
    among("objects", "Reports, states, plans, documents, waveforms.", objects(),
          counts=Counts(not_image=len(NO_IMAGE), unreadable=0)),
    among("objects-in-the-series", "The same objects in the series of the volume.", objects(series=VOLUME_SERIES),
          counts=Counts(not_image=len(NO_IMAGE), unreadable=0)),
    among("derived", "A segmentation, a parametric map and a dose grid.", derived_objects,
          counts=Counts(not_image=3, unreadable=0)),
    among("derived-in-the-series", "The same in the series of the volume.",
          partial(derived_objects, series=VOLUME_SERIES), counts=Counts(not_image=3, unreadable=0)),
    among("screenshots", "Screenshots in a series of their own.", screenshots(), may_refuse=NO_VOLUME),
    among("screenshot-in-the-series", "A grey screenshot in the series of the volume.",
          screenshots(("screenshot-grey",), VOLUME_SERIES), may_refuse=NO_VOLUME),
    among("colour-screenshot-in-the-series", "A colour screenshot in the series of the volume.",
          screenshots(("screenshot-colour",), VOLUME_SERIES), may_refuse=NO_VOLUME),
    among("second-study", "Another study of the patient.", partial(other_volume, patient=False), volumes=2),
    among("second-patient", "A study of another patient.", partial(other_volume, patient=True), volumes=2),
    among("everything", "All of it.", gateway_json, objects(), derived_objects, desktop_files, archives,
          counts=Counts(not_image=len(NO_IMAGE) + 3)),
    alone("objects", "Objects without an image, and no volume.", objects()),
    alone("derived", "Results, and no volume.", derived_objects),
    alone("desktop", "Files of desktops, and no volume.", desktop_files),
)  # fmt: skip
