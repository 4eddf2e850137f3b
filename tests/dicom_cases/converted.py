"""Classic series turned into Legacy Converted Enhanced objects by highdicom, an encoder that is not ours."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from highdicom.legacy import (
    LegacyConvertedEnhancedCTImage,
    LegacyConvertedEnhancedMRImage,
    LegacyConvertedEnhancedPETImage,
)
from pydicom import dcmread
from pydicom.uid import PositronEmissionTomographyImageStorage

from imaging.uids import derived_uid
from tests.dicom_cases.case import Case, Exact
from tests.dicom_cases.phantom import CT, MR, write_volume

PET = CT | {"SOPClassUID": PositronEmissionTomographyImageStorage, "Modality": "PT", "RescaleIntercept": "0"}
KINDS = {
    "mr": (LegacyConvertedEnhancedMRImage, MR),
    "ct": (LegacyConvertedEnhancedCTImage, CT),
    "pet": (LegacyConvertedEnhancedPETImage, PET),
}


def write_converted(folder: Path, kind: str) -> None:
    """Write the phantom as one legacy converted object."""
    enhanced, base = KINDS[kind]
    with TemporaryDirectory() as classic, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # highdicom says which attributes it had no place for
        window = {"WindowCenter": "3000", "WindowWidth": "6000"}
        slices = [dcmread(path) for path in write_volume(Path(classic), base=base, **window)]
        series, instance = derived_uid("converted", kind, "series"), derived_uid("converted", kind)
        enhanced(slices, series, 3, instance, 1).save_as(folder / "converted.dcm")


CASES = CONVERTED = tuple(
    Case(f"legacy-converted-{kind}", f"A classic series as one Legacy Converted Enhanced object ({kind.upper()}).",
         partial(write_converted, kind=kind), Exact())
    for kind in KINDS
)  # fmt: skip
