"""A place in a volume that somebody, or something, says a nodule is at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from imaging.region import Region


class Origin(StrEnum):
    """Where a mark comes from, as results say it."""

    SEG = "marked in a DICOM Segmentation of the study"
    RTSTRUCT = "marked in an RT Structure Set of the study"
    SR = "marked in a structured report of the study"
    USER = "marked by the user"
    COMPUTER = "computer-found, needs review"


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One mark; identifiers never hold text that a person typed into a DICOM object."""

    centre_mm: tuple[float, float, float]  # LPS
    origin: Origin
    region: Region | None = None  # the outline, on the grid of the source volume, where the mark has one
    diameter_mm: float | None = None  # as stated or estimated, when there is no outline
    tracking_uid: str | None = None  # of the mark, so that the result can be followed to it
    score: float | None = None  # of a computer-found mark, 0 to 1: higher is more nodule-like
