"""A pelvic study as scanner and archive may leave it: the sample among localizers, maps, phases and copies."""

import shutil
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from pydicom import dcmread

from imaging.uids import derived_uid
from imaging.write_mr_series import MrSeries, write_mr_series
from imaging.write_pelvic_sample import ADC, AXIAL_T2W, DWI, DYNAMIC, LOCALIZER, T2_TSE, TRACE, series_affine
from tests.pelvic_series import affine_about, plane_affine

SERIES = 91
STUDY = "pelvic sample 0"  # of which the sample makes its UIDs
SHAPE, MM = (20, 40, 44), (4.4, 6.0, 5.5)
AXIAL = affine_about(SHAPE, MM, (-6, 1, 2))
SAGITTAL, CORONAL = (plane_affine(plane, SHAPE, MM) for plane in ("sagittal", "coronal"))
COPIED = (AXIAL_T2W, DWI, ADC)
ABDOMEN = {"FrameOfReferenceUID": derived_uid(STUDY, "frame of the abdomen"), "BodyPartExamined": "ABDOMEN"}
T1_TSE = {**T2_TSE, "RepetitionTime": "550", "EchoTime": "11", "EchoTrainLength": "3"}
WATER_ONLY = {**T2_TSE, "ScanOptions": "FS"}
LOCALIZER_T2 = {**T2_TSE, "ImageType": LOCALIZER["ImageType"]}

Kind = tuple[str, dict[str, object], np.ndarray, tuple[int, int, int]]
"""Description, attributes, affine, shape."""


def derived(kind: str, parent=TRACE, **more: object) -> dict[str, object]:
    """What says that an image was made of others."""
    return {**parent, "ImageType": ["DERIVED", "PRIMARY", *kind.split("/")], **more}


DERIVED = {
    "ep2d diff b2000": derived("DIFFUSION/CALC_BVALUE", DiffusionBValue=2000.0),
    "ep2d diff b1500": derived("DIFFUSION/CALC_BVALUE", DiffusionBValue=1500.0),
    "ep2d diff exponential": derived("DIFFUSION/EADC"),
    "ep2d diff anisotropy": derived("DIFFUSION/FA"),
    "ep2d diff ADC of the abdomen": derived("DIFFUSION/ADC", **ABDOMEN),
    "ep2d diff b1400 of the abdomen": {**TRACE, "DiffusionBValue": 1400.0, **ABDOMEN},
    "t2 map": derived("T2 MAP", T2_TSE),
    "t1 map": derived("T1 MAP", DYNAMIC),
    "dynamic subtraction": derived("SUBTRACTION", DYNAMIC),
    "dynamic projection": derived("PROJECTION IMAGE/MIP", DYNAMIC),
    "dynamic wash in": derived("PERFUSION/WASHIN", DYNAMIC),
    "dynamic Ktrans": derived("PERFUSION/KTRANS", DYNAMIC),
}
"""Maps and calculated images, some of a higher b-value than was measured, and diffusion of another place."""


def crowd(folder: Path) -> Path:
    """Add to the sample what makes it a study of 91 series, and some files once more; return its folder."""
    first = 1 + sum(1 for _ in folder.iterdir())
    others = islice(_others(), SERIES + 1 - first - len(COPIED))
    for number, (description, sequence, affine, shape) in enumerate(others, start=first):
        facts = MrSeries(
            study=STUDY, series=(str(number),), patient="Pelvis", number=number, description=description,
            body_part="PELVIS", thickness_mm=4.0, sequence=sequence,
        )  # fmt: skip
        pixels = np.random.default_rng(number).integers(0, 900, shape, np.uint16)
        write_mr_series(folder / f"series{number}", pixels, affine, facts)
    for number, one in enumerate(COPIED, start=SERIES + 1 - len(COPIED)):
        _send_as_another(folder / f"series{one.number}", folder / f"series{number}", number)
        shutil.copytree(folder / f"series{one.number}", folder / "once more" / f"series{one.number}")
    return folder


def _others() -> Iterator[Kind]:
    """Yield what there is once, 24 localizers, and phases of a dynamic series, each a series, without end."""
    yield "pelvis t2 tse tra obl small field, stopped", dict(T2_TSE), series_affine(AXIAL_T2W), (5, 320, 320)
    yield "pelvis t2 tse tra fs", WATER_ONLY, AXIAL, SHAPE
    for name, affine in (("tra", AXIAL), ("sag", SAGITTAL), ("cor", CORONAL)):
        yield f"pelvis t1 tse {name}", T1_TSE, affine, SHAPE
        if name != "tra":
            yield f"pelvis t2 tse {name}", dict(T2_TSE), affine, SHAPE
    for description, sequence in DERIVED.items():
        yield description, sequence, AXIAL, SHAPE
    for affine in islice(cycle((AXIAL, SAGITTAL, CORONAL)), 24):
        yield "localizer", LOCALIZER_T2, affine, SHAPE
    for number in range(1, 1000):
        yield f"pelvis t1 dynamic tra {number}", {**DYNAMIC, "TemporalPositionIdentifier": str(number)}, AXIAL, SHAPE


def _send_as_another(source: Path, folder: Path, number: int) -> None:
    """Write a series again under other UIDs, as an archive does that made its own of it."""
    folder.mkdir()
    for path in source.iterdir():
        header = dcmread(path)
        header.SeriesInstanceUID, header.SeriesNumber = derived_uid(header.SeriesInstanceUID, "copy"), number
        header.SOPInstanceUID = derived_uid(header.SOPInstanceUID, "copy")
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(folder / path.name)
