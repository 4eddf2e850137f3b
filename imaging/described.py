"""The weighting that the name of a series tells, for what no attribute tells."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from imaging.image_kind import Weighting
from imaging.read_values import words

NAMED: tuple[tuple[Weighting, re.Pattern[str]], ...] = (
    (Weighting.LOCALIZER, re.compile(r"\bLOC\b|LOCALI[SZ]ER|SCOUT|SURVEY|\b3.?PL(ANE)?\b")),
    (Weighting.ADC, re.compile(r"(?<!E)\bD?ADC|APPARENT DIFF")),
    (Weighting.MAP, re.compile(r"\bE?ADC|\bFA\b|\bMIN?IP\b|\bRE?L?CB[FV]|\bCB[FV]\b|\bMTT\b|\bTTP\b|\bMAP\b|\bSUB\b")),
    (Weighting.DWI, re.compile(r"\bDWI|DIFF|\bDTI\b|\bTRACE|\bB ?= ?\d|\bB\d{3,4}\b")),
    (Weighting.SWI, re.compile(r"\bSWI|\bSWAN\b|VEN ?BOLD")),
    (Weighting.PERFUSION, re.compile(r"\bPERF|\bP?C?ASL\b|\bDCE\b|\bDSC\b|\bDYN(AMIC)?\b")),
    (Weighting.ANGIOGRAPHY, re.compile(r"\bMRA\b|\bTOF\b|ANGIO|\bCE.?MRA")),
    (Weighting.PDW, re.compile(r"\bPDW?\b(?!.*T2)|PROTON")),
    (Weighting.T1W, re.compile(r"T1|MP-?RAGE|MP2RAGE|SPGR|BRAVO|\bTFE|\bTFL|VIBE|FLASH ?3D")),
    (Weighting.FLAIR, re.compile(r"\bFLAIR|DARK.?FLUID")),
    (Weighting.STIR, re.compile(r"\bSTIR\b|\bTIRM\b")),
    (Weighting.T2STAR, re.compile(r"T2 ?(\*|STAR)|\bBOLD\b|\bFMRI\b|\bMEDIC\b|\bMERGE\b|\bHEMO")),
    (Weighting.T2W, re.compile(r"(?<!PD.)\bT2W?\b")),
)
"""The first that fits counts: an ADC map is named after its diffusion sequence, a T1 FLAIR is T1-weighted.
A double echo named PD and T2 is left open."""

B_VALUE = re.compile(r"\bB ?=? ?(\d{1,4})\b(?! ?[-+,/]? ?\d)")
"""Not the first of several: b50_400_800 names none."""


def described_weighting(header: Dataset) -> Weighting | None:
    """Return what Series Description names, or else Protocol Name; None when neither names a contrast.

    >>> header = Dataset()
    >>> header.SeriesDescription = "ep2d_diff_tra_ADC"
    >>> described_weighting(header).value
    'ADC'
    """
    for keyword in ("SeriesDescription", "ProtocolName"):
        text = " ".join(words(header, keyword)).replace("_", " ")
        for weighting, pattern in NAMED:
            if pattern.search(text):
                return weighting
    return None


def described_b_value(header: Dataset) -> float | None:
    """Return the b-value in s/mm2 that Series Description names, None when it names none or several.

    >>> header = Dataset()
    >>> header.SeriesDescription = "ep2d_diff_b1000"
    >>> described_b_value(header)
    1000.0
    """
    text = " ".join(words(header, "SeriesDescription")).replace("_", " ")
    found = {float(value) for value in B_VALUE.findall(text)}
    return found.pop() if len(found) == 1 else None
