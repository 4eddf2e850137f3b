"""What kind of image a header describes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imaging.diffusion import DiffusionRole


class Weighting(StrEnum):
    """What makes the contrast of an image, as radiologists say it."""

    T1W = "T1w"
    T2W = "T2w"
    PDW = "PDw"
    FLAIR = "FLAIR"
    STIR = "STIR"
    DWI = "DWI"
    ADC = "ADC"
    T2STAR = "T2*w"
    SWI = "SWI"
    PERFUSION = "perfusion or dynamic"
    ANGIOGRAPHY = "angiography"
    LOCALIZER = "localizer"
    FAT = "fat image"
    WATER = "water image"
    PHASE = "phase"
    MAP = "derived map"
    CT = "CT"
    SCOUT = "scout"  # of CT
    UNKNOWN = "unknown"


class Kernel(StrEnum):
    """How a CT reconstruction treats edges and noise."""

    SHARP = "sharp"  # lung, bone
    SOFT = "soft"
    UNKNOWN = "unknown"


class Plane(StrEnum):
    """Anatomical plane."""

    AXIAL = "axial"
    SAGITTAL = "sagittal"
    CORONAL = "coronal"


@dataclass(frozen=True)
class Finding:
    """A weighting, how sure it is from 0 to 1, and the fact that it rests on."""

    weighting: Weighting
    confidence: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImageKind:
    """What one header says of its image; None where it says nothing."""

    modality: str  # defined term of PS3.3 C.7.3.1.1.1, an empty string when absent or odd
    weighting: Weighting
    confidence: float  # of the weighting, 0 to 1; under 0.5 when only a description told it
    timing: Weighting  # what TR, TE and TI alone make of it: a water image can be T1- or T2-weighted
    described_only: bool  # no attribute but a description told the weighting
    b_value: float | None = None  # s/mm2, of diffusion-weighted images
    diffusion: DiffusionRole | None = None
    contrast_enhanced: bool | None = None
    fat_suppressed: bool | None = None
    acquisition: str | None = None  # "2D" or "3D"
    plane: Plane | None = None  # the nearest one
    tilt_deg: float | None = None  # between the normal of the image and that of the plane
    derived: bool | None = None  # first value of Image Type
    kernel: Kernel | None = None  # of CT
    evidence: tuple[str, ...] = ()  # the first one decided the weighting
