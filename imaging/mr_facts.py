"""The facts of an MR header that decide its weighting: timing, kind of echo, preparation, names of sequences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from pydicom.dataset import Dataset

from imaging.diffusion import DiffusionRole, b_value, diffusion_role
from imaging.read_values import PrivateElement, number, private_words, raw_value, words

NAMES = (
    PrivateElement(0x0019, "GEMS_ACQU_01", 0x9C, "GE"),  # Pulse Sequence Name: fse-xl, efgre3d
    PrivateElement(0x0019, "GEMS_ACQU_01", 0x9E, "GE"),  # Internal Pulse Sequence Name: FSE, EFGRE3D
    PrivateElement(0x2001, "PHILIPS IMAGING DD 001", 0x20, "PHILIPS"),  # Scanning Technique: TSE, T1TFE, DwiSE
    PrivateElement(0x0065, "IMAGE PRIVATE HEADER", 0x2D, "UIH"),  # Sequence Display Name: gre_fsp, epi_dwi
)
SPIN_ECHO_NAMES = re.compile(
    r"TSE|FSE|SPC|HASTE|\bH2D|SSFSE|CUBE|VISTA|SPACE|TIR|RARE|FASE|\bSE[_\d]|\bSE\b|EPSE|SEEPI|DWISE|\b(EP|RE)_B"
)
GRADIENT_ECHO_NAMES = re.compile(
    r"TFL|\bF[LIE][23]D|\bME[23]D|\bSWI|GRE|SPGR|BRAVO|MP-?RAGE|FFE|TFE|VIBE|LAVA|SWAN|QUICK3D|EPFID|FEEPI|EPIRT"
)
ECHO_PLANAR_NAMES = re.compile(r"\bEP2D|\b(EP|RE)_B|EPFID|EPSE|FEEPI|SEEPI|DWISE|\bEPI")
BALANCED_NAMES = re.compile(r"\bTFI[23]D|TRUFI|FIESTA|B-?FFE|B-?TFE|TRUESSFP|\bBSSFP")
INVERSION_NAMES = re.compile(r"TIR|SPCIR|IRFSE|FLAIR|IRSE")


@dataclass(frozen=True)
class MrFacts:
    """Facts of one MR header (PS3.3 C.8.3.1 and C.8.13.5); times in ms, None where it does not state them."""

    header: Dataset
    image_type: frozenset[str]
    sequence: frozenset[str]  # Scanning Sequence: SE, GR, IR, EP, RM
    variant: frozenset[str]  # Sequence Variant: SK, SS, SP, MP, OSP
    options: frozenset[str]  # Scan Options
    names: str  # of the pulse sequence, standard and private, in capitals
    repetition: float | None
    echo: float | None
    inversion: float | None
    flip_deg: float | None

    @property
    def timing(self) -> str:
        """The times in words."""
        stated = (("TR", self.repetition), ("TE", self.echo), ("TI", self.inversion if self.inverted else None))
        return ", ".join(f"{name} {value:g} ms" for name, value in stated if value is not None)

    @property
    def planar(self) -> bool:
        """Whether the readout is echo-planar."""
        stated = "EP" in self.sequence or self.says("EchoPlanarPulseSequence", "YES")
        return stated or bool(ECHO_PLANAR_NAMES.search(self.names))

    @property
    def gradient_echo(self) -> bool | None:
        """True for a gradient echo, False for a spin echo, None when it is not stated.

        Enhanced diffusion images of Siemens state GRADIENT for their spin-echo echo-planar sequence, and the
        research mode of GE (RM) hides the kind of echo: names come before the attribute of the enhanced object.
        """
        if "GR" in self.sequence or "SE" in self.sequence:
            return "GR" in self.sequence
        if SPIN_ECHO_NAMES.search(self.names) or GRADIENT_ECHO_NAMES.search(self.names):
            return not SPIN_ECHO_NAMES.search(self.names)
        stated = words(self.header, "EchoPulseSequence")
        if stated:
            return stated[0] == "GRADIENT"
        small_flip = self.flip_deg is not None and self.flip_deg < 60
        return True if small_flip and self.repetition is not None and self.repetition < 100 else None

    @property
    def inverted(self) -> bool:
        """Whether an inversion prepares the magnetisation.

        GE and UIH also write an inversion time for spectral fat suppression, which inverts fat alone.
        """
        stated = "IR" in self.sequence or bool({"IR", "IR_GEMS"} & self.options)
        stated = stated or self.says("InversionRecovery", "YES") or bool(INVERSION_NAMES.search(self.names))
        return stated or (self.inversion is not None and not {"FS", "FAT_SAT"} & self.options)

    @property
    def prepared(self) -> bool:
        """Whether the magnetisation of a gradient echo is prepared (MPRAGE, TFE)."""
        return "MP" in self.variant or "IR" in self.sequence or self.inversion is not None

    @property
    def balanced(self) -> bool:
        """Whether a gradient echo keeps all its magnetisation: an echo in the middle of TR, not spoiled."""
        if BALANCED_NAMES.search(self.names):
            return True
        if self.echo is None or self.repetition is None or self.variant & {"SP", "MP"} or "SS" not in self.variant:
            return False
        return 0.4 < self.echo / self.repetition < 0.6 and (self.flip_deg or 0) >= 30

    @cached_property
    def b_value(self) -> float | None:
        """The b-value in s/mm2."""
        return b_value(self.header)

    @cached_property
    def role(self) -> DiffusionRole | None:
        """Which kind of diffusion image."""
        return diffusion_role(self.header)

    def says(self, keyword: str, word: str) -> bool:
        """Return whether an attribute has a value."""
        return word in words(self.header, keyword)


def mr_facts(header: Dataset) -> MrFacts:
    """Return the facts of an MR header, of a classic one or of a frame of an enhanced one."""
    names = [word for key in ("SequenceName", "PulseSequenceName") for word in words(header, key)]
    names += [word for element in NAMES for word in private_words(header, element)]
    return MrFacts(
        header=header,
        image_type=frozenset((*words(header, "ImageType"), *words(header, "FrameType"))),
        sequence=frozenset(words(header, "ScanningSequence")),
        variant=frozenset(words(header, "SequenceVariant")),
        options=frozenset(words(header, "ScanOptions")),
        names=" ".join(names),
        repetition=_positive(header, "RepetitionTime", "EffectiveRepetitionTime"),
        echo=_positive(header, "EchoTime", "EffectiveEchoTime"),
        inversion=_positive(header, "InversionTime", "InversionTimes"),
        flip_deg=_positive(header, "FlipAngle"),
    )


def derived(header: Dataset) -> bool | None:
    """Return whether Image Type calls the image derived, None when it says neither."""
    stated = words(header, "ImageType")
    if "ORIGINAL" in stated:
        return False
    return True if "DERIVED" in stated else None


def present(header: Dataset, keyword: str) -> bool:
    """Return whether an attribute has any value."""
    return bool(raw_value(header, keyword))


def _positive(header: Dataset, *keywords: str) -> float | None:
    """Return a time or an angle; makers write 0 for one that does not apply."""
    found = [value for keyword in keywords if (value := number(header, keyword)) is not None and value > 0]
    return found[0] if found else None
