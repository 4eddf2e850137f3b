"""A torture suite for DICOM readers: one known volume, written in every way that scanners and archives write it.

``cases()`` lists them; ``python -m tests.dicom_cases FOLDER`` writes them all with a manifest of expectations.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.dicom_cases.case import Case

OF_SLICES = (
    "orientation",
    "geometry",
    "tilt",
    "mixtures",
    "pixels",
    "quantities",
    "volumes",
    "diffusion",
    "undivided",
)
"""Modules whose cases are single-frame slices of one series."""
OF_FILES = ("multiframe", "syntaxes", "damaged", "neighbours")
"""Modules whose cases are about what a file holds: many frames, compressed pixels, damage, and what lies beside it."""


def cases(modules: Sequence[str] = OF_SLICES + OF_FILES) -> tuple[Case, ...]:
    """Return every case of these modules, in their order."""
    names = [f"{__name__}.{module}" for module in modules]
    found = tuple(case for name in names if find_spec(name) for case in import_module(name).CASES)
    repeated = sorted({case.name for case in found if sum(other.name == case.name for other in found) > 1})
    if repeated:
        raise ValueError(f"Every case needs a name of its own; repeated: {', '.join(repeated)}")
    return found
