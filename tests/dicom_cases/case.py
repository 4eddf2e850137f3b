"""What a case of the suite is: how its folder is written, and what has to come out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imaging.geometry import GeometryPolicy
from imaging.outcome import Reason
from tests.dicom_cases.phantom import PHANTOM, Grid


@dataclass(frozen=True)
class Counts:
    """What lies beside the images of a folder, as ``Study`` counts it; None is not judged."""

    not_dicom: int | None = None
    not_image: int | None = None
    unreadable: int | None = None


@dataclass(frozen=True, kw_only=True)
class _Volumes:
    volumes: int = 1
    """Number of volumes in the folder; volume ``k`` holds position codes plus ``k * VOLUME_STEP``."""
    traits: tuple[str, ...] = ()
    """Pattern (re.search, whatever the case) that the traits of volume ``k`` have to match; empty when not judged."""
    grids: tuple[Grid, ...] = (PHANTOM,)
    """Where the voxels lie: one grid for all volumes, or one for each."""
    flags: tuple[str, ...] = ()
    """Patterns that the flags of every volume have to match."""
    refused: tuple[Reason, ...] = ()
    """Further stacks of the folder that have to be refused, with these reasons."""
    may_refuse: tuple[Reason, ...] = ()
    """Further stacks of the folder may be refused with these reasons, or left out without a word."""
    counts: Counts = Counts()

    def __post_init__(self) -> None:
        if len(self.traits) not in (0, self.volumes) or len(self.grids) not in (1, self.volumes):
            raise ValueError(f"traits and grids are for each volume: {self}")

    def grid(self, number: int) -> Grid:
        """Grid of a volume."""
        return self.grids[number if len(self.grids) > 1 else 0]


@dataclass(frozen=True, kw_only=True)
class Exact(_Volumes):
    """Every voxel of the grids is there, once, at its place, and holds its position code; no others are there."""

    rounding: float = 0.5
    """Largest difference of a value and its position code: half a step of the stored integers."""
    off_mm: float = 0.0
    """Largest distance of a voxel from its place, where the places written are not quite regular."""


@dataclass(frozen=True, kw_only=True)
class Resampled(_Volumes):
    """The grids are covered, by voxels whose values follow the position code, and a flag says so."""

    tolerance: float = 1.0
    """Largest difference of a value inside the grid and the position code, which is linear."""


@dataclass(frozen=True)
class Refused:
    """No volume comes out: RefusedError with one of these reasons, the first being the best."""

    reason: Reason
    or_else: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class NothingEligible:
    """The folder holds no image at all: NothingEligibleError."""

    reason: Reason = Reason.NO_DICOM


Expected = Exact | Resampled | Refused | NothingEligible


@dataclass(frozen=True)
class Case:
    """One folder of DICOM files and what has to come out of it."""

    name: str  # kebab-case
    about: str  # one sentence
    write: Callable[[Path], object]  # fills an empty folder
    expected: Expected
    policy: GeometryPolicy | None = None  # strict when None
    others: Mapping[str, str] = field(default_factory=dict)
    """Why another tool does not come to the declared result: {"SimpleITK": "...", "dcm2niix": "..."}."""
