"""What is measured of a segment, or of the patient, with its codes and units."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.sr.coding import Code

MILLILITRE = Code("mL", "UCUM", "mL")
CUBIC_MILLIMETRE = Code("mm3", "UCUM", "cubic millimeter")
MILLIMETRE = Code("mm", "UCUM", "mm")
PERCENT = Code("%", "UCUM", "Percent")
HOUNSFIELD = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
NO_UNITS = Code("1", "UCUM", "no units")

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Site:
    """A place in the body."""

    location: Code
    laterality: Code | None = None  # left or right
    modifier: Code | None = None  # which part of it (PS3.16 CID 2), such as anterior


@dataclass(frozen=True)
class Quantity:
    """One measured number; reports give two decimals."""

    name: Code
    value: float
    unit: Code
    derivation: Code | None = None  # what of many values it is (PS3.16 CID 7464), such as the mean
    method: Code | None = None
    sites: tuple[Code | Site, ...] = ()  # where in the body, when that is not the site of the finding
    line_mm: tuple[Point, Point] | None = None  # LPS, the ends of a measured length


@dataclass(frozen=True)
class Evaluation:
    """One coded answer to one coded question."""

    name: Code
    value: Code


@dataclass(frozen=True)
class Finding:
    """What was measured of one segment, or, without a segment, of all that the images show."""

    segment: int | None  # its number in the segmentation, from 1
    quantities: tuple[Quantity, ...]
    sites: tuple[Code | Site, ...] = ()  # where in the body
    centre_mm: Point | None = None  # LPS
    remarks: tuple[str, ...] = ()  # sentences about this finding alone
    evaluations: tuple[Evaluation, ...] = ()
    label: str = ""  # name and type of a finding without a segment; that of a segment is in the segmentation
    finding_type: Code | None = None
