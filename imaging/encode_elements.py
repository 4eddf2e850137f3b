"""Elements of many images of a series in bytes: what they share is encoded once, and writing is many times as quick."""

from __future__ import annotations

import struct
import warnings
from functools import lru_cache
from pathlib import Path

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, UID, ExplicitVRLittleEndian

from imaging.write_common import writing

SOP_INSTANCE = 0x00020003


def encode_elements(dataset: Dataset) -> dict[int, bytes]:
    """Return each element of a dataset in Explicit VR Little Endian, by tag: what a series shares is encoded once."""
    encodings = convert_encodings(dataset.get("SpecificCharacterSet"))
    encoded = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their texts quote attribute values
        for element in dataset:
            buffer = DicomBytesIO()
            buffer.is_little_endian, buffer.is_implicit_VR = True, False
            write_data_element(buffer, element, encodings)
            encoded[int(element.tag)] = buffer.getvalue()
    return encoded


def write_encoded(path: Path, elements: dict[int, bytes], sop_class: UID, sop_instance_uid: str) -> None:
    """Write a DICOM file of encoded elements in the order of their tags; OutputError when that fails."""
    uid = sop_instance_uid.encode() + b"\0" * (len(sop_instance_uid) % 2)
    meta = _file_meta(sop_class) | {SOP_INSTANCE: struct.pack("<HH2sH", 0x0002, 0x0003, b"UI", len(uid)) + uid}
    group = b"".join(meta[tag] for tag in sorted(meta))
    length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(group))
    body = b"".join(elements[tag] for tag in sorted(elements))
    with writing(path):
        path.write_bytes(b"\0" * 128 + b"DICM" + length + group + body)


@lru_cache(maxsize=2)
def _file_meta(sop_class: UID) -> dict[int, bytes]:
    """Return the file meta information (PS3.10 7.1) that all images share."""
    meta = Dataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = sop_class
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return encode_elements(meta)
