"""How the Informatics Gateway stores a study: STUDY/SERIES/SOP.dcm, and its header as JSON beside it."""

import json
import shutil

import pydicom

BINARY = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")


def path_of(header):
    """Relative path of an instance."""
    return f"{header.StudyInstanceUID}/{header.SeriesInstanceUID}/{header.SOPInstanceUID}.dcm"


def as_json(header):
    """DICOM JSON without what is binary."""
    return json.dumps({tag: one for tag, one in header.to_json_dict().items() if one["vr"] not in BINARY})


def as_gateway(study, folder):
    """Write a study into a folder as the gateway stores it; return the folder."""
    for path in sorted(path for path in study.rglob("*") if path.is_file()):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        target = folder / path_of(header)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.with_name(f"{target.name}.json").write_text(as_json(header))
    return folder
