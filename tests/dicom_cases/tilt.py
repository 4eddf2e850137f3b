"""Slices that lean: the gantry of a CT is tilted, or positions drift."""

from __future__ import annotations

from functools import partial

import numpy as np

from imaging.geometry import GeometryPolicy
from imaging.outcome import Reason
from tests.dicom_cases.case import Case, Exact, Refused, Resampled
from tests.dicom_cases.geometry import CODE_PER_MM, UNEVEN, gapped, stretched
from tests.dicom_cases.phantom import CT, PHANTOM, Grid, write_volume

STRAIGHT = {
    "SimpleITK": "stacks the slices at a right angle, with a warning.",
    "dcm2niix": "writes the leaning slices, with a warning, and again with the tilt corrected.",
}


def leaning(degrees: float, along_rows: bool = False) -> Grid:
    """Return the phantom with slices that are shifted sideways from one to the next, as under a tilted gantry."""
    affine = PHANTOM.affine.copy()
    direction = affine[:3, 2 if along_rows else 1]
    shift_mm = np.linalg.norm(affine[:3, 0]) * np.tan(np.radians(degrees))
    affine[:3, 0] += direction / np.linalg.norm(direction) * shift_mm
    return Grid(PHANTOM.shape, affine)


CASES = (
    Case(
        "tilt",
        "CT with a gantry tilted by 15 degrees: slices are shifted along their columns.",
        partial(write_volume, grid=leaning(15), base=CT, GantryDetectorTilt="15"),
        Refused(Reason.TILT),
        others=STRAIGHT,
    ),
    Case(
        "tilt-unsaid",
        "Slices are shifted by a tilt of -20 degrees that no attribute mentions.",
        partial(write_volume, grid=leaning(-20), base=CT),
        Refused(Reason.TILT),
        others=STRAIGHT,
    ),
    *(
        Case(
            f"tilt-corrected-{name}",
            f"{about}, and the policy lets slices be shifted back.",
            partial(write_volume, grid=grid, base=CT),
            Resampled(grids=(grid,), flags=("tilt|shift|lean",)),
            GeometryPolicy(correct_tilt=True),
            STRAIGHT,
        )
        for name, about, grid in (
            ("forward", "CT with a gantry tilted by 15 degrees", leaning(15)),
            ("backward", "CT with a gantry tilted by -20 degrees", leaning(-20)),
            ("sideways", "Slices shifted along their rows by 12 degrees", leaning(12, along_rows=True)),
        )
    ),
    Case(
        "tilt-within-tolerance",
        "Slices lean by a fifth of a degree, as rounding of positions makes them.",
        partial(write_volume, grid=leaning(0.2), base=CT),
        Exact(grids=(leaning(0.2),), off_mm=0.08, rounding=0.5 + 0.08 * CODE_PER_MM),
        others=STRAIGHT,
    ),
    gapped(
        "tilt-and-uneven",
        "A tilted gantry, and one distance that is larger than the others.",
        UNEVEN,
        Refused(Reason.TILT, (Reason.UNEVEN_SPACING,)),
        grid=leaning(15),
        base=CT,
        others=STRAIGHT,
    ),
    gapped(
        "tilt-and-uneven-half-tolerated",
        "A tilted gantry, which the policy tolerates, and uneven distances, which it does not.",
        UNEVEN,
        Refused(Reason.UNEVEN_SPACING),
        GeometryPolicy(correct_tilt=True),
        leaning(15),
        base=CT,
        others=STRAIGHT,
    ),
    gapped(
        "tilt-and-uneven-resampled",
        "A tilted gantry and uneven distances, and the policy tolerates both.",
        UNEVEN,
        Resampled(grids=(stretched(leaning(15), 6, UNEVEN[-1]),)),
        GeometryPolicy(correct_tilt=True, resample_uneven=True),
        leaning(15),
        base=CT,
        others=STRAIGHT,
    ),
    gapped(
        "tilt-and-missing-resampled",
        "A tilted gantry and a missing slice, and the policy tolerates both.",
        (0, 1, 3, 4, 5),
        Resampled(grids=(leaning(15),), flags=("missing",)),
        GeometryPolicy(correct_tilt=True, max_gap_mm=9.0),
        leaning(15),
        base=CT,
        others=STRAIGHT,
    ),
)
