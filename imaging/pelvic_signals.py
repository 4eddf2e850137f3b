"""What MRI shows of the synthetic pelvis: tissue properties, and the signal equations of spin and gradient echo.

The properties are typical of the literature for 3 T, rounded: relaxation times as in the reviews of Stanisz et al.
(Magn Reson Med 2005) and de Bazelaire et al. (Radiology 2004), diffusion as commonly reported for the normal cervix
(about 1.5) and its cancer (about 0.9e-3 mm2/s). They are not measured here. Each patient gets values of her own, so
that a tumour is intermediate in T2w, bright in diffusion-weighted images and dark in ADC, but not alone in that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from imaging.pelvic_phantom import Tissue

Values = npt.NDArray[np.float32]

TYPICAL_VALUES: dict[Tissue, tuple[float, float, float, float, float]] = {
    Tissue.AIR: (0.00, 1000, 50, 0, 0.0),
    Tissue.FAT: (0.90, 380, 130, 40, 1.0),
    Tissue.MUSCLE: (0.80, 1420, 36, 1350, 0.0),
    Tissue.CORTICAL_BONE: (0.12, 900, 6, 300, 0.0),
    Tissue.MARROW: (0.60, 550, 62, 450, 0.8),
    Tissue.BOWEL: (0.80, 1200, 75, 1600, 0.0),
    Tissue.URINE: (1.00, 4000, 1400, 2950, 0.0),
    Tissue.BLADDER_WALL: (0.80, 1350, 58, 1550, 0.0),
    Tissue.MYOMETRIUM: (0.86, 1500, 88, 1550, 0.0),
    Tissue.JUNCTIONAL_ZONE: (0.80, 1400, 52, 1200, 0.0),
    Tissue.ENDOMETRIUM: (0.95, 1700, 170, 1250, 0.0),
    Tissue.STROMA: (0.78, 1450, 50, 1450, 0.0),
    Tissue.CANAL: (0.98, 2500, 380, 2150, 0.0),
    Tissue.VAGINA: (0.80, 1350, 62, 1550, 0.0),
    Tissue.RECTAL_WALL: (0.82, 1250, 64, 1300, 0.0),
    Tissue.STOOL: (0.50, 900, 62, 950, 0.1),
    Tissue.GAS: (0.00, 1000, 50, 0, 0.0),
    Tissue.VESSEL: (0.18, 1700, 110, 3000, 0.0),
    Tissue.OVARY: (0.90, 1550, 98, 1250, 0.0),
    Tissue.FOLLICLE: (1.00, 3300, 650, 2650, 0.0),
    Tissue.LYMPH_NODE: (0.88, 1350, 92, 950, 0.0),
    Tissue.PARAMETRIUM: (0.90, 600, 118, 1100, 0.6),
    Tissue.TUMOUR: (0.88, 1500, 98, 900, 0.0),
}
"""Proton density to that of water, T1 and T2 in ms at 3 T, ADC in 1e-6 mm2/s, part of the signal that is fat's.

Blood that flows leaves hardly any signal in spin echoes: its density is that of what is left.
"""
SPREAD = {"density": 0.05, "t1_ms": 0.08, "t2_ms": 0.10, "adc_um2_per_s": 0.08}
"""Standard deviation of the logarithm from patient to patient."""
DRAWN_T2_MS = {Tissue.TUMOUR: (74.0, 128.0), Tissue.STROMA: (40.0, 62.0), Tissue.MYOMETRIUM: (70.0, 110.0)}
DRAWN_ADC = {
    Tissue.TUMOUR: (680.0, 1150.0), Tissue.LYMPH_NODE: (700.0, 1250.0), Tissue.ENDOMETRIUM: (950.0, 1600.0),
    Tissue.OVARY: (950.0, 1650.0), Tissue.STROMA: (1200.0, 1700.0),
}  # fmt: skip
"""Ranges of tissues that vary more, or are in question: uniform; 1e-6 mm2/s."""
FAT_LEFT = 0.03
"""Part of the fat's signal that fat suppression leaves."""
UPTAKE: dict[Tissue, tuple[float, float, float]] = {
    Tissue.VESSEL: (3.0, 6.0, 500.0),
    Tissue.TUMOUR: (1.1, 18.0, 400.0),
    Tissue.MYOMETRIUM: (1.0, 40.0, 2000.0),
    Tissue.STROMA: (0.55, 70.0, 3000.0),
    Tissue.PARAMETRIUM: (0.8, 30.0, 2000.0),
    Tissue.BLADDER_WALL: (0.4, 60.0, 3000.0),
    Tissue.RECTAL_WALL: (0.7, 40.0, 2000.0),
    Tissue.VAGINA: (0.7, 40.0, 2000.0),
    Tissue.LYMPH_NODE: (0.9, 30.0, 900.0),
    Tissue.OVARY: (0.6, 50.0, 3000.0),
    Tissue.MUSCLE: (0.15, 80.0, 4000.0),
    Tissue.MARROW: (0.2, 60.0, 3000.0),
}
"""Contrast agent: peak in mmol/L, time of rise and of washout in s; a rough picture of the usual curves."""
RELAXIVITY = 4.5
"""Of gadolinium chelates at 3 T, per mmol/L and s."""


@dataclass(frozen=True)
class TissueTable:
    """Properties of one patient's tissues, each an array indexed by Tissue."""

    density: Values  # of protons, that of water is 1
    t1_ms: Values
    t2_ms: Values
    adc_um2_per_s: Values  # 1e-6 mm2/s
    fat: Values  # part of the signal that fat suppression removes, 0 to 1


TYPICAL = TissueTable(*np.array([TYPICAL_VALUES[tissue] for tissue in Tissue], np.float32).T)


def draw_tissues(seed: int) -> TissueTable:
    """Return the properties of one patient; equal seeds give equal ones."""
    rng = np.random.default_rng([seed, 7])
    factors = {name: np.exp(rng.normal(0, sigma, len(Tissue))).astype(np.float32) for name, sigma in SPREAD.items()}
    t2_ms = TYPICAL.t2_ms * factors["t2_ms"]
    adc = TYPICAL.adc_um2_per_s * factors["adc_um2_per_s"]
    for values, drawn in ((t2_ms, DRAWN_T2_MS), (adc, DRAWN_ADC)):
        for tissue, limits in drawn.items():
            values[tissue] = rng.uniform(*limits)
    density = np.minimum(TYPICAL.density * factors["density"], np.float32(1))
    return replace(TYPICAL, density=density, t1_ms=TYPICAL.t1_ms * factors["t1_ms"], t2_ms=t2_ms, adc_um2_per_s=adc)


def t2w_signal(tissues: TissueTable, *, repetition_ms: float = 4200.0, echo_ms: float = 100.0) -> Values:
    """Return the spin-echo signal of each tissue; that of water without any decay is 1."""
    recovered = 1 - np.exp(-np.float32(repetition_ms) / tissues.t1_ms)
    return np.asarray(tissues.density * recovered * np.exp(-np.float32(echo_ms) / tissues.t2_ms), np.float32)


def dwi_signal(tissues: TissueTable, b_value: float, *, repetition_ms: float = 5200.0, echo_ms: float = 68.0) -> Values:
    """Return the signal of each tissue in a trace image at a b-value in s/mm2, with fat suppressed.

    T2 shines through: the echo's decay stays in the signal.
    """
    echo = t2w_signal(tissues, repetition_ms=repetition_ms, echo_ms=echo_ms)
    water = 1 - tissues.fat * np.float32(1 - FAT_LEFT)
    return np.asarray(echo * water * np.exp(-np.float32(b_value * 1e-6) * tissues.adc_um2_per_s), np.float32)


def contrast_mmol(seconds: float) -> Values:
    """Return the concentration of contrast agent in each tissue so long after its arrival; 0 before."""
    found = np.zeros(len(Tissue), np.float32)
    if seconds > 0:
        for tissue, (peak, rise, washout) in UPTAKE.items():
            found[tissue] = peak * (1 - math.exp(-seconds / rise)) * math.exp(-seconds / washout)
    return found


def t1w_signal(
    tissues: TissueTable, *, repetition_ms: float = 4.2, echo_ms: float = 1.8, flip_deg: float = 12.0,
    agent_mmol: Values | None = None,
) -> Values:  # fmt: skip
    """Return the signal of each tissue in a spoiled gradient echo, with contrast agent when there is any."""
    rate = 1 / tissues.t1_ms
    if agent_mmol is not None:
        rate = rate + agent_mmol * np.float32(RELAXIVITY / 1000)
    left = np.exp(-np.float32(repetition_ms) * rate)
    flip = math.radians(flip_deg)
    steady = math.sin(flip) * (1 - left) / (1 - math.cos(flip) * left)
    density = tissues.density.copy()
    density[Tissue.VESSEL] = 0.9  # blood that flows in keeps its signal in a gradient echo
    return np.asarray(density * steady * np.exp(-np.float32(echo_ms) / tissues.t2_ms), np.float32)
