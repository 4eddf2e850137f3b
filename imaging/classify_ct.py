"""CT: scout or slices, and whether the reconstruction kernel is sharp or soft."""

from __future__ import annotations

import re

from pydicom.dataset import Dataset

from imaging.image_kind import Finding, Kernel, Weighting
from imaging.read_values import words

SCOUTS = frozenset(("LOCALIZER", "SCOUT", "TOPOGRAM", "SURVIEW", "SCANOGRAM"))
NOT_SLICES = frozenset(("PROJECTION", "MIP", "MINIP", "VRT", "SCREEN SAVE", "DOSE_INFO", "CSA REPORT", "PERFUSION"))
NAMED_SHARP = frozenset((
    "LUNG", "BONE", "BONEPLUS", "BONE+", "EDGE", "ULTRA", "LUNG+",  # GE
    "D", "E", "L", "YA", "YB", "YC", "YD", "YE", "Y-SHARP", "Y-DETAIL",  # Philips
))  # fmt: skip
NAMED_SOFT = frozenset((
    "STANDARD", "STD", "STD+", "SOFT", "DETAIL", "CHST", "CHEST", "SMOOTH",  # GE
    "A", "B", "C", "EA", "UA", "UB", "BRAIN SMOOTH", "BRAIN STANDARD",  # Philips
))  # fmt: skip
SIEMENS = re.compile(r"[A-Z][A-Z]?(\d{2})[A-Z]?")
"""Letters for the region, two digits that rise with sharpness: B30f, B70f, Br38f, Bl57d."""
SIEMENS_SHARP_FROM = 50
CANON = re.compile(r"FC(\d)\d")
CANON_SHARP_TENS = frozenset((3, 5, 8))
"""FC30 to FC39 bone, FC50 to FC59 lung, FC80 to FC89 bone and lung of high resolution."""


def classify_ct(header: Dataset) -> Finding:
    """Return whether a CT image is a scout (PS3.3 C.8.2.1.1.1), slices, or made from slices."""
    stated = frozenset(words(header, "ImageType"))
    if stated & SCOUTS:
        return Finding(Weighting.SCOUT, 0.95, f"Image Type says {'/'.join(sorted(stated & SCOUTS))}")
    if stated & NOT_SLICES:
        return Finding(Weighting.MAP, 0.9, f"Image Type says {'/'.join(sorted(stated & NOT_SLICES))}")
    if "AXIAL" in stated:
        return Finding(Weighting.CT, 0.95, "Image Type says AXIAL")
    return Finding(Weighting.CT, 0.7, "a CT image")


def kernel_of(header: Dataset) -> Kernel:
    """Return the class of Convolution Kernel (0018,1210); its first value names it, others its strength.

    >>> header = Dataset()
    >>> header.ConvolutionKernel = ["Br38f", "3"]
    >>> kernel_of(header).value
    'soft'
    """
    stated = words(header, "ConvolutionKernel")
    return _named(stated[0]) if stated else Kernel.UNKNOWN


def _named(name: str) -> Kernel:
    if name in NAMED_SHARP or any(part in name for part in ("SHARP", "LUNG", "BONE")):  # UIH: B_VSHARP_C
        return Kernel.SHARP
    if name in NAMED_SOFT or any(part in name for part in ("SOFT", "SMOOTH")):
        return Kernel.SOFT
    siemens, canon = SIEMENS.fullmatch(name), CANON.match(name)
    if canon:
        return Kernel.SHARP if int(canon.group(1)) in CANON_SHARP_TENS else Kernel.SOFT
    if siemens:
        return Kernel.SHARP if int(siemens.group(1)) >= SIEMENS_SHARP_FROM else Kernel.SOFT
    return Kernel.UNKNOWN
