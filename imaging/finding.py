"""What is measured of a segment, with its codes and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pydicom.sr.coding import Code

MILLILITRE = Code("mL", "UCUM", "mL")
MILLIMETRE = Code("mm", "UCUM", "mm")


@dataclass(frozen=True)
class Quantity:
    """One measured number; reports give two decimals."""

    name: Code
    value: float
    unit: Code


@dataclass(frozen=True)
class Finding:
    """What was measured of one segment."""

    segment: int  # its number in the segmentation, from 1
    quantities: tuple[Quantity, ...]
    sites: tuple[Code, ...] = ()  # where in the body
    centre_mm: tuple[float, float, float] | None = None  # LPS
    remarks: tuple[str, ...] = ()  # sentences about this segment alone


class Report(Protocol):
    """What an application measured: findings, and sentences on what is suspicious."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Of each segment."""

    @property
    def flags(self) -> tuple[str, ...]:
        """Empty when nothing is suspicious."""
