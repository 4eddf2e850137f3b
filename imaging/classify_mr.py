"""The weighting of an MR image: what it is declared to be, then what the scanner did.

Each rule returns a finding or None; the first finding counts. Limits of TR, TE and TI are those of clinical
protocols at 1.5 T and 3 T.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from imaging.diffusion import DiffusionRole
from imaging.image_kind import Finding, Weighting
from imaging.mr_facts import MrFacts, derived, present
from imaging.read_values import PrivateElement, number, private_numbers, words

NOT_CONFIRMED = "no TR or TE: weighting cannot be confirmed"
IMAGE_TYPES: tuple[tuple[Weighting, frozenset[str]], ...] = (
    (Weighting.LOCALIZER, frozenset(("LOCALIZER", "SCOUT", "SURVEY"))),
    (Weighting.ADC, frozenset(("ADC", "DADC", "ADC MAP", "ADC_MAP"))),
    (Weighting.PHASE, frozenset(("P", "I", "PHASE", "PHASE MAP", "IMAGINARY", "IMAGINARY MAP"))),
    (Weighting.MAP, frozenset((
        "FA", "RA", "COLFA", "EXP", "EADC", "EXPONENTIAL", "DIFFUSION_ANISO", "DIFFUSION_ATTNTD", "TENSOR",
        "CBF", "CBV", "MTT", "TTP", "RELCBF", "RELCBV", "RELMTT", "RCBF", "RCBV", "TMAX", "PBP", "GBP", "KTRANS",
        "T1MAP", "T2MAP", "T1 MAP", "T2 MAP", "T2_STAR MAP", "R2", "R2STAR", "R2_STAR MAP", "TMAP", "SUB",
        "SUBTRACTION", "B0", "B0 MAP", "B1", "FIELDMAP", "MIP", "MIN_IP", "MNIP", "PROJECTION", "PROJECTION IMAGE",
        "FF", "FATFRAC", "FAT_FRACTION", "WATERFRAC", "STD_DEVIATION",
    ))),
    (Weighting.SWI, frozenset(("SWI",))),
    (Weighting.DWI, frozenset(("DIFFUSION", "TRACEW", "TRACE", "DIFFUSION_ISO", "ISODWI", "CALC_BVALUE", "CDWI"))),
    (Weighting.PERFUSION, frozenset(("PERFUSION", "ASL", "TTEST"))),
    (Weighting.ANGIOGRAPHY, frozenset(("ANGIO", "TOF", "PCA", "M_PCA", "VELOCITY", "FLOW_ENCODED", "TIME_OF_FLIGHT"))),
    (Weighting.T2STAR, frozenset(("FMRI", "T2_STAR"))),
    (Weighting.FAT, frozenset(("FAT", "F"))),
    (Weighting.WATER, frozenset(("WATER", "W"))),
)  # fmt: skip
"""Values of Image Type (PS3.3 C.8.3.1.1.1, C.8.13.3.1) that name a map or a contrast; many are makers' own."""
PERFUSION_RESULTS = frozenset(("CBF", "CBV", "MTT", "TTP", "RELCBF", "RELCBV", "RELMTT", "RCBF", "RCBV", "TMAX", "PBP"))
DECLARED = {
    "T1": Weighting.T1W,
    "T2": Weighting.T2W,
    "PROTON_DENSITY": Weighting.PDW,
    "T2_STAR": Weighting.T2STAR,
    "FLUID_ATTENUATED": Weighting.FLAIR,
    "STIR": Weighting.STIR,
    "DIFFUSION": Weighting.DWI,
    "PERFUSION": Weighting.PERFUSION,
    "TIME_OF_FLIGHT": Weighting.ANGIOGRAPHY,
    "TOF": Weighting.ANGIOGRAPHY,
    "FLOW_ENCODED": Weighting.ANGIOGRAPHY,
}
"""Acquisition Contrast (0008,9209), PS3.3 C.8.13.3.1.5."""
ANGIOGRAPHY_NAMES = re.compile(r"TOF|F[LI]3D\dR_?\d*T|FI3D\dR|TRICKS")
GE_SERIES_PLANE = PrivateElement(0x0019, "GEMS_ACQU_01", 0x17, "GE")
GE_THREE_PLANES = 256
GE_COMPONENT = PrivateElement(0x0043, "GEMS_PARM_01", 0x2F, "GE")
"""0 magnitude, 1 phase, 2 real, 3 imaginary."""
DYNAMIC_POSITIONS = 3
"""Fewer positions in time than this are not a dynamic series."""


def classify_mr(facts: MrFacts) -> Finding:
    """Return the weighting of an MR image; UNKNOWN with confidence 0 when no attribute tells."""
    found = next((finding for rule in RULES if (finding := rule(facts))), None)
    if found is None:
        return Finding(Weighting.UNKNOWN, 0.0, NOT_CONFIRMED)
    return found


def weigh_timing(facts: MrFacts) -> Finding | None:
    """Return what TR, TE, TI and flip angle make of an image that is no map; None without TR or TE."""
    if facts.repetition is None or facts.echo is None:
        return None
    if facts.gradient_echo:
        return _gradient_echo(facts, facts.repetition, facts.echo)
    found = _spin_echo(facts, facts.repetition, facts.echo)
    return found if facts.gradient_echo is False else replace(found, confidence=min(found.confidence, 0.75))


def declared_contrast(facts: MrFacts) -> Weighting | None:
    """Return what an enhanced object calls its contrast."""
    return next((DECLARED[word] for word in words(facts.header, "AcquisitionContrast") if word in DECLARED), None)


def _image_type(facts: MrFacts) -> Finding | None:
    named = [(weighting, facts.image_type & listed) for weighting, listed in IMAGE_TYPES]
    found = sorted({word for _, words_found in named for word in words_found})
    if not found:
        return None
    first = next(weighting for weighting, words_found in named if words_found)
    if first is Weighting.T2STAR and derived(facts.header):
        first = Weighting.MAP
    if first is Weighting.MAP and "PERFUSION" in found and not PERFUSION_RESULTS & facts.image_type:
        first = Weighting.PERFUSION  # labelled minus control is an image, not a map
    return Finding(first, 0.95, f"Image Type says {'/'.join(found)}")


def _component(facts: MrFacts) -> Finding | None:
    stated = next(iter(words(facts.header, "ComplexImageComponent")), "")
    if stated in {"PHASE", "IMAGINARY"} or next(iter(private_numbers(facts.header, GE_COMPONENT)), 0.0) in {1, 3}:
        return Finding(Weighting.PHASE, 0.95, "a phase or imaginary image")
    return None


def _localizer(facts: MrFacts) -> Finding | None:
    if GE_THREE_PLANES in private_numbers(facts.header, GE_SERIES_PLANE):
        return Finding(Weighting.LOCALIZER, 0.9, "a localizer in three planes")
    return None


def _diffusion(facts: MrFacts) -> Finding | None:
    """A b-value above 0 decides; 0 alone does not: Philips writes it into every header, GE into most."""
    if facts.role is None and declared_contrast(facts) is not Weighting.DWI:
        return None
    if derived(facts.header) and "SECONDARY" in facts.image_type and facts.role is DiffusionRole.WEIGHTED:
        return Finding(Weighting.DWI, 0.5, "derived from a diffusion series, as what is not stated")
    stated = "b-value not stated" if facts.b_value is None else f"b = {facts.b_value:g} s/mm2"
    sure = facts.planar or facts.gradient_echo is None
    return Finding(Weighting.DWI, 0.95 if sure else 0.75, f"{stated}: diffusion-weighted")


def _angiography(facts: MrFacts) -> Finding | None:
    flags = (("AngioFlag", "Y"), ("TimeOfFlightContrast", "YES"), ("PhaseContrast", "YES"))
    if any(facts.says(keyword, word) for keyword, word in flags):
        return Finding(Weighting.ANGIOGRAPHY, 0.9, "angiography")
    if ANGIOGRAPHY_NAMES.search(facts.names):
        return Finding(Weighting.ANGIOGRAPHY, 0.8, "a sequence for angiography")
    return None


def _susceptibility(facts: MrFacts) -> Finding | None:
    if any(part in facts.names for part in ("SWI", "SWAN")):
        return Finding(Weighting.SWI, 0.85, "a sequence for susceptibility-weighted images")
    return None


def _perfusion(facts: MrFacts) -> Finding | None:
    positions = number(facts.header, "NumberOfTemporalPositions") or 1
    bolus = present(facts.header, "ContrastBolusAgent") or present(facts.header, "ContrastBolusAgentSequence")
    if facts.planar and facts.gradient_echo and bolus:
        return Finding(Weighting.PERFUSION, 0.7, "gradient-echo echo-planar sequence with contrast agent")
    fast = facts.repetition is not None and facts.repetition < 20
    if facts.gradient_echo and fast and not facts.planar and positions >= DYNAMIC_POSITIONS:
        return Finding(Weighting.PERFUSION, 0.75, f"fast gradient echo at {positions:g} positions in time")
    if any(part in facts.names for part in ("ASL", "TWIST", "DISCO")):
        return Finding(Weighting.PERFUSION, 0.8, "a sequence for perfusion or dynamic images")
    return None


def _echo_planar(facts: MrFacts) -> Finding | None:
    if not facts.planar:
        return None
    if facts.gradient_echo:
        return Finding(Weighting.T2STAR, 0.8, f"{facts.timing}: gradient-echo echo-planar sequence".lstrip(": "))
    if "EPSE" in facts.names or facts.gradient_echo is None:
        return Finding(Weighting.UNKNOWN, 0.6, "no sign of diffusion, echo-planar sequence")
    if facts.b_value == 0:
        return Finding(Weighting.DWI, 0.7, "b = 0 s/mm2, spin-echo echo-planar sequence")
    return Finding(Weighting.DWI, 0.6, "b-value not stated, spin-echo echo-planar sequence")


def _declared(facts: MrFacts) -> Finding | None:
    """Acquisition Contrast counts where the times are silent; where they speak it is compared later."""
    found = declared_contrast(facts)
    if found is None or (facts.repetition is not None and facts.echo is not None):
        return None
    return Finding(found, 0.75, "Acquisition Contrast states it")


def _gradient_echo(facts: MrFacts, repetition: float, echo: float) -> Finding:
    timing = f"TR {repetition:g} ms, TE {echo:g} ms"
    flip = facts.flip_deg
    if echo > 12:
        return Finding(Weighting.T2STAR, 0.9, f"gradient echo with {timing}: T2*-weighted")
    if facts.balanced:
        return Finding(Weighting.UNKNOWN, 0.6, f"balanced gradient echo with {timing}: neither T1- nor T2-weighted")
    if facts.prepared:
        return Finding(Weighting.T1W, 0.95, f"magnetisation-prepared gradient echo with {timing}")
    if (repetition <= 60 and (flip is None or flip >= 8)) or (flip is not None and flip >= 50):
        return Finding(Weighting.T1W, 0.75 if flip is None else 0.8, f"spoiled gradient echo with {timing}")
    return Finding(Weighting.PDW, 0.5, f"gradient echo with {timing}: proton density or unknown")


def _spin_echo(facts: MrFacts, repetition: float, echo: float) -> Finding:
    if facts.inverted:
        found = _inversion_recovery(facts, repetition, echo)
        if found:
            return found
    if echo > 60:
        return Finding(Weighting.T2W, 0.9, f"{facts.timing}: T2-weighted")
    if echo > 40:
        return Finding(Weighting.T2W, 0.6, f"{facts.timing}, between proton density and T2: T2-weighted")
    if repetition < 1200:
        return Finding(Weighting.T1W, 0.85, f"{facts.timing}: T1-weighted")
    return Finding(Weighting.PDW, 0.85, f"{facts.timing}: proton density")


def _inversion_recovery(facts: MrFacts, repetition: float, echo: float) -> Finding | None:
    """Short TI nulls fat, long TI nulls fluid, what lies between is T1-weighted when TE is short."""
    inversion = facts.inversion
    if inversion is None:
        dark_fluid = repetition >= 6000 and echo >= 70
        return Finding(Weighting.FLAIR, 0.65, f"{facts.timing}, inversion recovery: FLAIR") if dark_fluid else None
    if inversion > 1500:
        return Finding(Weighting.FLAIR, 0.9, f"{facts.timing}: FLAIR{', T2-weighted' if echo > 40 else ''}")
    if inversion < 300:
        return Finding(Weighting.STIR, 0.9, f"{facts.timing}: STIR")
    if echo <= 40 and repetition < 4000:
        return Finding(Weighting.T1W, 0.85, f"{facts.timing}: T1-weighted")
    return None


RULES: tuple[Callable[[MrFacts], Finding | None], ...] = (
    _component, _image_type, _localizer, _diffusion, _angiography, _susceptibility, _perfusion, _echo_planar,
    _declared, weigh_timing,
)  # fmt: skip
