"""Whether what somebody marked is a nodule, by its code or, without a telling code, by its name.

A mark counts when it is said to be a nodule, lesion, mass or tumour. Marks of which nothing is said count only when the
object holds none of another kind: an organ is never taken for a nodule.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import Enum, auto

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from imaging.read_values import items, words


class Kind(Enum):
    """What a mark says that it marks."""

    NODULE = auto()
    UNSAID = auto()
    OTHER = auto()


NODULES = (
    codes.SCT.Nodule,
    codes.SCT.Lesion,
    codes.SCT.Mass,
    codes.SCT.Neoplasm,
    codes.SCT.NeoplasmPrimary,
    codes.SCT.NeoplasmSecondary,
    codes.SCT.MalignantNeoplasmPrimary,
    codes.SCT.LungCancer,
    codes.SCT.SecondaryMalignantNeoplasmOfLung,
    codes.SCT.NonSmallCellLungCancer,
    codes.SCT.AdenocarcinomaOfLung,
    codes.SCT.SquamousCellCarcinomaOfLung,
    codes.SCT.CoinLesionOfLung,
    codes.SCT.GrossTumorVolume,
    codes.DCM.Micronodule,
    Code("786838002", "SCT", "Nodule of lung"),
    Code("427359005", "SCT", "Solitary nodule of lung"),
    Code("445249002", "SCT", "Multiple nodules of lung"),
    Code("309529002", "SCT", "Mass of lung"),
    Code("126713003", "SCT", "Neoplasm of lung"),
    Code("RID50149", "RADLEX", "Pulmonary nodule"),
    Code("RID3875", "RADLEX", "Nodule"),
    Code("RID38780", "RADLEX", "Lesion"),
)
"""Codes of SNOMED RT (scheme SRT) that mean the same compare equal to these."""
TELL_NOTHING = (
    codes.SCT.MorphologicallyAbnormalStructure,
    codes.SCT.Abnormal,
    codes.SCT.Tissue,
    codes.DCM.AbnormalOpacity,
)
NAMED = re.compile(r"NODUL|LESION|TUMOU?R|\bMASS\b|METAST|CARCINOM|NEOPLAS|MALIGN|\bGTV", re.ASCII)
MARGIN = re.compile(r"\b(PTV|CTV|ITV|PRV)", re.ASCII)
"""Volumes of radiotherapy that are larger than the tumour in them (ICRU 83)."""
NO_NAME = re.compile(r"(ROI|REGION|CONTOUR|STRUCTURE|SEGMENT|SEGMENTATION|ANNOTATION|MEASUREMENT|LABEL)?[\s_#-]*\d*")


def kind_of(coded: Iterable[Dataset], names: Iterable[str] = ()) -> Kind:
    """Return what a mark is.

    coded  items of a code sequence that tell its type
    names  what it is called, in capitals
    """
    telling = [code for code in map(code_of, coded) if code is not None and code not in TELL_NOTHING]
    if telling:
        return Kind.NODULE if any(code in NODULES for code in telling) else Kind.OTHER
    texts = list(names)
    if any(NAMED.search(text) and not MARGIN.search(text) for text in texts):
        return Kind.NODULE
    return Kind.UNSAID if all(NO_NAME.fullmatch(text) for text in texts) else Kind.OTHER


def code_of(item: Dataset) -> Code | None:
    """Return the code of an item, None when it holds none."""
    value = " ".join(words(item, "CodeValue") or words(item, "LongCodeValue"))
    scheme = " ".join(words(item, "CodingSchemeDesignator"))
    return Code(value, scheme, "") if value and scheme else None


def codes_in(dataset: Dataset, keyword: str) -> tuple[Code, ...]:
    """Return the codes of a sequence."""
    return tuple(code for code in map(code_of, items(dataset, keyword)) if code is not None)


def chosen(kinds: Sequence[Kind]) -> tuple[int, ...]:
    """Return which of the marks of an object count, by index.

    >>> chosen([Kind.NODULE, Kind.OTHER, Kind.UNSAID]), chosen([Kind.UNSAID] * 2), chosen([Kind.UNSAID, Kind.OTHER])
    ((0,), (0, 1), ())
    """
    wanted = Kind.NODULE if Kind.NODULE in kinds else Kind.UNSAID
    if wanted is Kind.UNSAID and Kind.OTHER in kinds:
        return ()
    return tuple(at for at, kind in enumerate(kinds) if kind is wanted)
