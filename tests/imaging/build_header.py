"""Build synthetic headers in the manner of each maker from one line of facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from imaging.image_kind import Kernel, Weighting

Private = tuple[int, str, int, str, object]  # group, creator, element in its block, VR, value


@dataclass(frozen=True)
class VendorHeader:
    """One header and what it must be taken for."""

    name: str
    expected: Weighting
    attributes: Mapping[str, object]
    private: tuple[Private, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)  # of ImageKind, checked besides the weighting

    def dataset(self) -> Dataset:
        """Return the header."""
        header = Dataset()
        for keyword, value in {"Modality": "MR", **self.attributes}.items():
            setattr(header, keyword, value)
        for group, creator, element, vr, value in self.private:
            header.add_new(Tag(group, 0x10), "LO", creator)
            header.add_new(Tag(group, 0x1000 | element), vr, value)
        return header


SIEMENS, GE, PHILIPS = "SIEMENS", "GE MEDICAL SYSTEMS", "Philips Medical Systems"
CANON, UIH = "CANON_MEC", "UIH"
SIEMENS_MAGNITUDE = ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"]
GE_OTHER = ["ORIGINAL", "PRIMARY", "OTHER"]


def _mr(
    maker: str,
    image_type: list[str],
    sequence: str,
    variant: str,
    times: tuple[float | None, float | None, float | None, float | None],
    options: str = "",
    name: str = "",
    **others: object,
) -> dict[str, object]:
    """Return attributes; the times are TR, TE, TI in ms and the flip angle in degrees."""
    keywords = ("RepetitionTime", "EchoTime", "InversionTime", "FlipAngle")
    stated = {keyword: value for keyword, value in zip(keywords, times, strict=True) if value is not None}
    texts = {"ScanningSequence": sequence, "SequenceVariant": variant, "ScanOptions": options}
    split = {keyword: text.split("\\") for keyword, text in texts.items() if text}
    named = {"SequenceName": name} if name else {}
    return {"Manufacturer": maker, "ImageType": image_type, **split, **named, **stated, **others}


def siemens(
    expected: Weighting, name: str, sequence: str, variant: str, times: tuple, options: str = "", **others: object
) -> VendorHeader:
    image_type = others.pop("ImageType", SIEMENS_MAGNITUDE)
    facts = others.pop("facts", {})
    private = others.pop("private", ())
    attributes = _mr(SIEMENS, image_type, sequence, variant, times, options, name, **others)
    return VendorHeader(f"Siemens {name or image_type[-1]}", expected, attributes, private, facts)


def ge(
    expected: Weighting, name: str, sequence: str, variant: str, times: tuple, options: str = "", **others: object
) -> VendorHeader:
    image_type = others.pop("ImageType", GE_OTHER)
    facts = others.pop("facts", {})
    private = ((0x0019, "GEMS_ACQU_01", 0x9C, "LO", name), *others.pop("private", ()))
    attributes = _mr(GE, image_type, sequence, variant, times, options, **others)
    return VendorHeader(f"GE {name} {expected.value}", expected, attributes, private, facts)


def philips(
    expected: Weighting, name: str, sequence: str, variant: str, times: tuple, options: str = "", **others: object
) -> VendorHeader:
    image_type = others.pop("ImageType", ["ORIGINAL", "PRIMARY", f"M_{sequence.split(chr(92))[0]}", "M", "SE"])
    facts = others.pop("facts", {})
    dd001 = ((0x2001, "Philips Imaging DD 001", 0x20, "LO", name), *others.pop("private", ()))
    attributes = _mr(PHILIPS, image_type, sequence, variant, times, options, **others)
    return VendorHeader(f"Philips {name} {expected.value}", expected, attributes, dd001, facts)


def other(
    maker: str, expected: Weighting, name: str, sequence: str, times: tuple, options: str = "", **others: object
) -> VendorHeader:
    image_type = others.pop("ImageType", ["ORIGINAL", "PRIMARY", "M"])
    facts, private = others.pop("facts", {}), others.pop("private", ())
    attributes = _mr(maker, image_type, sequence, "NONE", times, options, name, **others)
    return VendorHeader(f"{maker} {name} {expected.value}", expected, attributes, private, facts)


def siemens_b(b: int) -> tuple[Private, ...]:
    return ((0x0019, "SIEMENS MR HEADER", 0x0C, "IS", b),)


def ge_b(*values: int) -> tuple[Private, ...]:
    return ((0x0043, "GEMS_PARM_01", 0x39, "IS", list(values)),)


def philips_b(b: float) -> tuple[Private, ...]:
    return ((0x2001, "Philips Imaging DD 001", 0x03, "FL", b),)


def uih_b(nominal: float, actual: float) -> tuple[Private, ...]:
    creator = "Image Private Header"
    return ((0x0065, creator, 0x09, "FD", actual), (0x0065, creator, 0x0A, "FD", nominal))


def enhanced(expected: Weighting, contrast: str, **attributes: object) -> VendorHeader:
    """A frame of an enhanced object with its functional groups as plain attributes (PS3.3 C.8.13)."""
    stated = {"ImageType": ["ORIGINAL", "PRIMARY", contrast, "NONE"], "AcquisitionContrast": contrast, **attributes}
    return VendorHeader(f"enhanced {contrast} {expected.value}", expected, {"Manufacturer": "any", **stated})


def ct(maker: str, expected: Weighting, image_type: list[str], kernel: str | None, sharp: Kernel) -> VendorHeader:
    attributes = {"Modality": "CT", "Manufacturer": maker, "ImageType": image_type, "ConvolutionKernel": kernel}
    return VendorHeader(f"{maker} CT {kernel}", expected, attributes, facts={"kernel": sharp})
