"""Is a series T1-weighted? Evidence from what the scanner did first, from its name last."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pydicom.dataset import Dataset

from imaging.study import tuple_of_floats

DERIVED_MAPS = frozenset((
    "ADC", "FA", "TRACEW", "TRACE", "EXP", "DIFFUSION", "PERFUSION", "ASL", "CBF", "CBV", "MTT", "RELCBF", "TTP",
    "TMAP", "TTEST", "FMRI", "SUB", "MIP", "PHASE", "P", "IMAGINARY", "I", "T1MAP", "T2MAP", "T2_STAR", "B0",
    "FIELDMAP", "SWI", "MIN_IP", "LOCALIZER", "PROJECTION",
))  # fmt: skip
"""Values of Image Type that name a map or another contrast. Some are Siemens' own words."""
OTHER_WORDS = re.compile(r"\b(t2|flair|stir|dwi|adc|swi|bold|pd|dti|perf|asl|mra|tof|loc|scout|t2w)\b", re.I)
T1_WORDS = re.compile(r"(t1|mp-?rage|mp2rage|spgr|bravo|tfe|tfl|vibe|flash3d)", re.I)


@dataclass(frozen=True)
class Evidence:
    """One fact for (positive) or against (negative) a choice; a fact that decides alone has no weight."""

    reason: str
    weight: float = 0.0
    decisive: bool = False
    hint: bool = False  # from a name: it ranks what is eligible, it makes nothing eligible or not


def weigh_t1w(header: Dataset) -> list[Evidence]:
    """Return the evidence that an MR header is that of a T1-weighted image.

    Physics decides (PS3.3 C.8.3.1: Scanning Sequence, TR, TE, TI, flip angle); Image Type may rule out;
    the description adds half a point and never decides. Missing attributes are no evidence.
    """
    return [*_image_type(header), *_physics(header), *_description(header)]


def _image_type(header: Dataset) -> list[Evidence]:
    values = {str(value).upper() for value in _values(header, "ImageType")}
    found = sorted(values & DERIVED_MAPS)
    if found:
        return [Evidence(f"Image Type says {'/'.join(found)}", decisive=True)]
    return [Evidence("original image", 0.5)] if "ORIGINAL" in values else []


def _physics(header: Dataset) -> list[Evidence]:
    repetition, echo, inversion, flip = (
        _number(header, keyword) for keyword in ("RepetitionTime", "EchoTime", "InversionTime", "FlipAngle")
    )
    sequence = {str(value) for value in _values(header, "ScanningSequence")}
    variant = {str(value) for value in _values(header, "SequenceVariant")}
    if _number(header, "DiffusionBValue"):
        return [Evidence("diffusion-weighted", decisive=True)]
    if header.get("AngioFlag") == "Y":
        return [Evidence("angiography", decisive=True)]
    if "EP" in sequence:
        return [Evidence("echo-planar sequence", decisive=True)]
    if echo is None or repetition is None:
        return [Evidence("no TR or TE: weighting cannot be confirmed", 0.0)]
    if "GR" in sequence:
        return [_gradient_echo(repetition, echo, inversion, flip, prepared=bool({"IR"} & sequence or {"MP"} & variant))]
    return [_spin_echo(repetition, echo, inversion)]


def _gradient_echo(
    repetition: float, echo: float, inversion: float | None, flip: float | None, *, prepared: bool
) -> Evidence:
    timing = f"TR {repetition:g} ms, TE {echo:g} ms"
    if echo > 12:
        return Evidence(f"gradient echo with {timing}: T2*-weighted", decisive=True)
    if prepared or inversion:
        return Evidence(f"magnetisation-prepared gradient echo with {timing}", 3.0)
    if (repetition <= 60 and (flip is None or flip >= 8)) or (flip is not None and flip >= 50):
        return Evidence(f"spoiled gradient echo with {timing}", 2.0)
    return Evidence(f"gradient echo with {timing}: proton density or unknown", -1.0)


def _spin_echo(repetition: float, echo: float, inversion: float | None) -> Evidence:
    timing = f"TR {repetition:g} ms, TE {echo:g} ms"
    if echo > 40:
        return Evidence(f"{timing}: T2-weighted", decisive=True)
    if inversion and inversion > 1500:
        return Evidence(f"{timing}, TI {inversion:g} ms: FLAIR", decisive=True)
    if inversion and inversion < 300:
        return Evidence(f"{timing}, TI {inversion:g} ms: STIR", decisive=True)
    if repetition < 1200 or (inversion and repetition < 4000):
        return Evidence(f"{timing}: T1-weighted", 2.5)
    return Evidence(f"{timing}: proton density", decisive=True)


def _description(header: Dataset) -> list[Evidence]:
    text = " ".join(str(header.get(k) or "").replace("_", " ") for k in ("SeriesDescription", "ProtocolName"))
    if T1_WORDS.search(text):
        return [Evidence("its description names a T1w sequence", 0.5, hint=True)]
    if OTHER_WORDS.search(text):
        return [Evidence("its description names another contrast", -0.5, hint=True)]
    return []


def _values(header: Dataset, keyword: str) -> list[str]:
    value = header.get(keyword)
    return [value] if isinstance(value, str) else list(value or ())


def _number(header: Dataset, keyword: str) -> float | None:
    try:
        values = tuple_of_floats(header.get(keyword))
    except (TypeError, ValueError):
        return None
    return values[0] if values else None
