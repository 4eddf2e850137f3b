"""What a header says of an image besides its weighting: plane, contrast agent, fat suppression, 2D or 3D."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from imaging.image_kind import Plane, Weighting
from imaging.mr_facts import MrFacts
from imaging.read_values import PrivateElement, items, number, numbers, private_words, words

NO_AGENT = frozenset(("NO", "NONE", "N", "NO CONTRAST", "WITHOUT", "OHNE", "SANS", "NATIVE", "0", "-"))
PHILIPS_SPIR = PrivateElement(0x2001, "PHILIPS IMAGING DD 001", 0x21, "PHILIPS")
FAT_SUPPRESSION = frozenset(("FS", "FAT_SAT", "WE", "SPIR", "SPAIR", "PROSET"))
"""Scan Options (PS3.3 C.8.3.1); FS is the standard's, WE is water excitation at Siemens."""
PLANES = (Plane.SAGITTAL, Plane.CORONAL, Plane.AXIAL)
"""The planes whose normals are the first, second and third axis of the patient (PS3.3 C.7.6.2.1.1)."""


@dataclass(frozen=True)
class Answer:
    """Yes, no, or None for not stated, and the fact it rests on."""

    value: bool | None
    reason: str = ""


NOT_STATED = Answer(None)


def shown_inverted(header: Dataset) -> bool:
    """Return whether the lowest value is to be shown white, after any window (MONOCHROME1, PS3.3 C.7.6.3.1.2).

    >>> header = Dataset()
    >>> header.PhotometricInterpretation = "MONOCHROME1"
    >>> shown_inverted(header)
    True
    """
    return words(header, "PhotometricInterpretation") == ("MONOCHROME1",)


def plane_of(header: Dataset) -> tuple[Plane, float] | None:
    """Return the nearest anatomical plane and the angle to it in degrees, None without a valid orientation.

    >>> header = Dataset()
    >>> header.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    >>> plane_of(header)
    (<Plane.SAGITTAL: 'sagittal'>, 0.0)
    """
    cosines = np.array(numbers(header, "ImageOrientationPatient"))
    if cosines.size != 6 or np.abs(cosines).max() > 2:
        return None
    normal = np.cross(cosines[:3], cosines[3:])
    length = float(np.linalg.norm(normal))
    if length < 0.5:
        return None
    along = np.abs(normal) / length
    axis = int(along.argmax())
    return PLANES[axis], round(float(np.degrees(np.arccos(min(1.0, along[axis])))), 2)


def contrast_enhanced(header: Dataset) -> Answer:
    """Return whether a contrast agent was given (PS3.3 C.7.6.4): absent attributes say nothing."""
    agent = words(header, "ContrastBolusAgent")
    if agent:
        given = agent[0] not in NO_AGENT
        return Answer(given, f"Contrast/Bolus Agent says {'that one was given' if given else 'none'}")
    if items(header, "ContrastBolusAgentSequence"):
        return Answer(True, "Contrast/Bolus Agent Sequence names one")
    if (number(header, "ContrastBolusVolume") or 0) > 0:
        return Answer(True, "Contrast/Bolus Volume is above 0")
    return NOT_STATED


def fat_suppressed(facts: MrFacts, weighting: Weighting) -> Answer:
    """Return whether the signal of fat is suppressed, by inversion, by frequency or by separation."""
    if weighting in {Weighting.STIR, Weighting.WATER}:
        return Answer(True, f"a {weighting.value} is without fat")
    found = sorted(facts.options & FAT_SUPPRESSION)
    if found:
        return Answer(True, f"Scan Options says {'/'.join(found)}")
    stated = words(facts.header, "SpectrallySelectedSuppression") or private_words(facts.header, PHILIPS_SPIR)
    if stated:
        suppressed = stated[0] in {"FAT", "FAT_AND_WATER", "Y"}
        return Answer(suppressed, f"fat suppression: {'yes' if suppressed else 'no'}")
    if facts.says("SpectrallySelectedExcitation", "WATER"):
        return Answer(True, "water excitation")
    return Answer(False, "Scan Options lists no fat suppression") if facts.options else NOT_STATED


def acquisition_of(header: Dataset) -> str | None:
    """Return "2D" or "3D" from MR Acquisition Type, or else from the name of the sequence."""
    for keyword in ("MRAcquisitionType", "SequenceName", "PulseSequenceName"):
        found = re.search(r"[23]D", " ".join(words(header, keyword)))
        if found:
            return found.group()
    return None
