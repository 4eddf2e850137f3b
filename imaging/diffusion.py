"""Diffusion: b-value, gradient direction, which kind of diffusion image, and the unit of an ADC map.

Standard attributes come first (MR Diffusion Macro, PS3.3 C.8.13.5.9, written as plain attributes), then what each
maker writes instead: Siemens (0019,xx0C), GE (0043,xx39), Philips (2001,xx03), UIH (0065,xx0A), Canon and
Toshiba in Image Comments. The name of the sequence comes last.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from pydicom.dataset import Dataset

from imaging.read_values import (
    PrivateElement,
    items,
    number,
    numbers,
    private_numbers,
    private_value,
    private_words,
    words,
)

MAX_B_VALUE = 50_000.0
"""s/mm2. No scanner reaches it; what is above is another quantity in the same place."""
SIEMENS_B = PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0C, "SIEMENS")
SIEMENS_DIRECTIONALITY = PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0D, "SIEMENS")
SIEMENS_DIRECTION = PrivateElement(0x0019, "SIEMENS MR HEADER", 0x0E, "SIEMENS", "d")
SIEMENS_CSA_IMAGE = PrivateElement(0x0029, "SIEMENS CSA HEADER", 0x10, "SIEMENS")
GE_B = PrivateElement(0x0043, "GEMS_PARM_01", 0x39, "GE")
GE_B_OFFSET = 1e9
"""GE adds it to the b-value of some protocols: 1000000750 is 750 s/mm2."""
PHILIPS_B = PrivateElement(0x2001, "PHILIPS IMAGING DD 001", 0x03, "PHILIPS", "f")
PHILIPS_DIRECTIONALITY = PrivateElement(0x2001, "PHILIPS IMAGING DD 001", 0x04, "PHILIPS")
PHILIPS_DIRECTION = tuple(
    PrivateElement(0x2005, "PHILIPS MR IMAGING DD 001", element, "PHILIPS", "f") for element in (0xB0, 0xB1, 0xB2)
)
UIH_NOMINAL_B = PrivateElement(0x0065, "IMAGE PRIVATE HEADER", 0x0A, "UIH", "d")
UIH_ACTUAL_B = PrivateElement(0x0065, "IMAGE PRIVATE HEADER", 0x09, "UIH", "d")
UIH_DIRECTION = PrivateElement(0x0065, "IMAGE PRIVATE HEADER", 0x37, "UIH", "d")
GE_DIRECTION = tuple(PrivateElement(0x0019, "GEMS_ACQU_01", element, "GE") for element in (0xBB, 0xBC, 0xBD))
B_IN_PRIVATE = (SIEMENS_B, GE_B, PHILIPS_B, UIH_NOMINAL_B, UIH_ACTUAL_B)
"""UIH: nominal before actual. The actual one (930 for 1000) holds the imaging gradients, which no other maker adds."""
B_IN_COMMENT = re.compile(r"\bB\s*=\s*(\d+(?:\.\d+)?)(?:\(([-\d.,\s]+)\))?")
B_IN_NAME = re.compile(r"(?:EP|RE|EPI_D[TW]I)_B(\d+)(?!\d|_\d)")
CSA_B_VALUE = re.compile(rb"B_value\0.{68}[^\0]\0{3}.{4}.{16}(\d{1,5})[ \0]", re.DOTALL)
"""Name (64 bytes), multiplicity, VR, type, number of items (not 0), a mark, length words of the first item, digits."""
DIFFUSION_NAMES = re.compile(r"_B\d|DWI|DTI|DIFF")
SEVERAL_B_IN_NAME = re.compile(r"(?:EP|RE)_B\d+_\d+")


class DiffusionRole(StrEnum):
    """What an image of a diffusion series shows."""

    UNWEIGHTED = "b = 0"
    DIRECTIONAL = "one gradient direction"
    TRACE = "trace"  # mean over directions, free of anisotropy
    CALCULATED = "calculated b-value"  # extrapolated from others, not measured
    WEIGHTED = "direction not stated"
    ADC = "ADC map"
    ANISOTROPY = "anisotropy map"
    ATTENUATION = "exponential map"


ROLES_BY_WORD = (
    (DiffusionRole.ADC, frozenset(("ADC", "DADC", "ADC MAP", "ADC_MAP"))),
    (DiffusionRole.ANISOTROPY, frozenset(("FA", "RA", "VR", "DIFFUSION_ANISO", "TENSOR", "COLFA"))),
    (DiffusionRole.ATTENUATION, frozenset(("EXP", "EADC", "EXPONENTIAL", "DIFFUSION_ATTNTD"))),
    (DiffusionRole.CALCULATED, frozenset(("CALC_BVALUE", "CALC_BVAL", "CALCULATED_BVALUE", "CDWI"))),
    (DiffusionRole.TRACE, frozenset(("TRACEW", "TRACE", "DIFFUSION_ISO", "ISODWI"))),
)
"""Values of Image Type: defined terms of PS3.3 C.8.13.3.1 and makers' own."""
ROLES_BY_DIRECTIONALITY = {
    "ISOTROPIC": DiffusionRole.TRACE,
    "I": DiffusionRole.TRACE,  # Philips
    "DIRECTIONAL": DiffusionRole.DIRECTIONAL,
    "BMATRIX": DiffusionRole.DIRECTIONAL,
}


@dataclass(frozen=True)
class AdcUnit:
    """What 1 means in an ADC map, after Rescale Slope."""

    mm2_per_s: float
    stated: bool  # False when it is only this maker's habit: the values must confirm it
    evidence: str


def b_value(header: Dataset) -> float | None:
    """Return the b-value in s/mm2, None when no attribute states one.

    0 does not make a diffusion image: some makers write it into every MR header. Maps keep the b-value they were
    made from, and a calculated image has the one it was calculated for.

    >>> header = Dataset()
    >>> header.SequenceName = "*ep_b800#3"
    >>> b_value(header)
    800.0
    """
    diffusion = items(header, "MRDiffusionSequence")
    candidates = [number(item, "DiffusionBValue") for item in (header, *diffusion)]
    candidates += [_private_b(header, element) for element in B_IN_PRIVATE]
    candidates += [_csa_b_value(header), _commented_b(header), _named_b(header)]
    return next((b for b in candidates if b is not None and 0 <= b <= MAX_B_VALUE), None)


def gradient_direction(header: Dataset) -> tuple[float, float, float] | None:
    """Return the unit vector of the diffusion gradient in LPS, None when there is none or it is not known.

    GE states it along read, phase and slice direction, Canon in the image: those are left to gradient_mark().
    """
    gradients = [group for item in (header, *items(header, "MRDiffusionSequence")) for group in _gradients(item)]
    candidates = [numbers(group, "DiffusionGradientOrientation") for group in gradients]
    candidates += [private_numbers(header, SIEMENS_DIRECTION), private_numbers(header, UIH_DIRECTION)]
    candidates.append(_parts(header, PHILIPS_DIRECTION))
    return _first_unit(candidates)


def gradient_mark(header: Dataset) -> tuple[float, float, float] | None:
    """Return the gradient direction in whatever frame it is stated: it tells directions apart, and no more."""
    found = _commented(header)
    commented = found.group(2) if found else None
    in_image = tuple(float(part) for part in re.findall(r"-?\d+(?:\.\d+)?", commented or ""))
    return gradient_direction(header) or _first_unit([_parts(header, GE_DIRECTION), in_image])


def diffusion_role(header: Dataset) -> DiffusionRole | None:
    """Return which kind of diffusion image this is, None when the header shows no sign of diffusion.

    A Siemens sequence name with two b-values and a trace is a calculated image: a measured trace names one.
    """
    stated = set(words(header, "ImageType"))
    role = next((role for role, names in ROLES_BY_WORD if stated & names), None)
    if role is DiffusionRole.TRACE and SEVERAL_B_IN_NAME.search(_name(header)):
        return DiffusionRole.CALCULATED
    if role is not None:
        return role
    b = b_value(header)
    if not b:
        return DiffusionRole.UNWEIGHTED if b == 0 and _is_diffusion(header) else None
    return _direction_role(header)


def adc_unit(header: Dataset) -> AdcUnit | None:
    """Return the unit of an ADC map, None when neither an attribute nor the maker's habit tells.

    Real World Value Mapping (PS3.3 C.7.6.16.2.11) and Rescale Type state it. Where they do not, Siemens and GE
    count in 1e-6 mm2/s. Philips has used both 1e-6 and 1e-3: left to the values.
    """
    for mapping in items(header, "RealWorldValueMappingSequence"):
        for unit in items(mapping, "MeasurementUnitsCodeSequence"):
            scale = _scale(" ".join(words(unit, "CodeValue")))
            if scale:
                return AdcUnit(scale, True, "Real World Value Mapping states the unit")
    scale = _scale(" ".join(words(header, "RescaleType")))
    if scale:
        return AdcUnit(scale, True, "Rescale Type states the unit")
    maker = " ".join(words(header, "Manufacturer"))
    if "SIEMENS" in maker or maker.startswith("GE "):
        return AdcUnit(1e-6, False, "this maker counts in 1e-6 mm2/s")
    return None


def _private_b(header: Dataset, element: PrivateElement) -> float | None:
    found = next(iter(private_numbers(header, element)), None)
    return found % GE_B_OFFSET if element is GE_B and found is not None and found > 0 else found


def _csa_b_value(header: Dataset) -> float | None:
    """Return the b-value of a Siemens CSA image header: 64 bytes of name, five words, then items of four words."""
    raw = private_value(header, SIEMENS_CSA_IMAGE)
    found = CSA_B_VALUE.search(raw) if isinstance(raw, bytes) else None
    return float(found.group(1)) if found else None


def _commented_b(header: Dataset) -> float | None:
    found = _commented(header)
    return float(found.group(1)) if found else None


def _commented(header: Dataset) -> re.Match[str] | None:
    if not any(maker in " ".join(words(header, "Manufacturer")) for maker in ("CANON", "TOSHIBA")):
        return None
    return B_IN_COMMENT.search(" ".join(words(header, "ImageComments")))


def _named_b(header: Dataset) -> float | None:
    found = B_IN_NAME.search(_name(header))
    return float(found.group(1)) if found else None


def _name(header: Dataset) -> str:
    return " ".join((*words(header, "SequenceName"), *words(header, "PulseSequenceName")))


def _parts(header: Dataset, elements: tuple[PrivateElement, ...]) -> tuple[float, ...]:
    return tuple(value for element in elements for value in private_numbers(header, element))


def _first_unit(vectors: list[tuple[float, ...]]) -> tuple[float, float, float] | None:
    for vector in vectors:
        length = math.hypot(*vector)
        if len(vector) == 3 and 0.1 < length < 10:  # a zero vector says that there is no direction
            return (vector[0] / length, vector[1] / length, vector[2] / length)
    return None


def _gradients(item: Dataset) -> tuple[Dataset, ...]:
    return (item, *items(item, "DiffusionGradientDirectionSequence"))


def _is_diffusion(header: Dataset) -> bool:
    """Return whether an image with b = 0 belongs to a diffusion series: echo-planar, and no gradient echo."""
    sequence = {*words(header, "ScanningSequence"), *words(header, "AcquisitionContrast"), *words(header, "ImageType")}
    return "DIFFUSION" in sequence or bool({"EP", "SE"} <= sequence) or bool(DIFFUSION_NAMES.search(_name(header)))


def _direction_role(header: Dataset) -> DiffusionRole:
    stated = (
        *words(header, "DiffusionDirectionality"),
        *private_words(header, SIEMENS_DIRECTIONALITY),
        *private_words(header, PHILIPS_DIRECTIONALITY),
    )
    for word in stated:
        if word in ROLES_BY_DIRECTIONALITY:
            return ROLES_BY_DIRECTIONALITY[word]
    if gradient_mark(header) or "#" in _name(header):
        return DiffusionRole.DIRECTIONAL
    return DiffusionRole.WEIGHTED


def _scale(unit: str) -> float | None:
    """Return mm2/s for a unit in one of the spellings of UCUM and of the makers, None when it is another one."""
    compact = re.sub(r"[\s*.^()\[\]{}]|X(?=10)", "", unit.upper()).replace("²", "2")
    if compact in {"UM2/S", "MM2/S10-6", "10-6MM2/S", "1E-6MM2/S", "1E-06MM2/S", "MM2/SE-6"}:
        return 1e-6
    if compact in {"10-3MM2/S", "1E-3MM2/S", "1E-03MM2/S", "UM2/MS", "MM2/SE-3"}:
        return 1e-3
    return 1.0 if compact == "MM2/S" else None
