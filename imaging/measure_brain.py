"""Volume of a brain mask, and whether it can be that of a brain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from highdicom import Volume
from pydicom.sr.codedict import codes

from imaging.finding import MILLILITRE, Finding, Quantity
from imaging.outcome import Reason, RefusedError
from imaging.scale_intensity import intensity_window

PLAUSIBLE_ML = (700.0, 2200.0)
"""Brain hull of a person from about one year of age on; outside it, the image or the mask is at fault."""
AIR_LEVEL = 0.04
"""Signal below this fraction of the image's bright end (99.5th percentile) is that of air."""
AIR_FRACTION = 0.3
"""Largest fraction of a brain mask that may look like air; CSF is dark, and about a fifth of the hull."""
BORDER_FRACTION = 0.02
"""Fraction of an outermost slice that a mask may cover before the field of view is said to cut it."""


@dataclass(frozen=True)
class BrainMeasurement:
    """What is reported of a brain mask."""

    volume_ml: float
    flags: tuple[str, ...]  # sentences; empty when nothing is suspicious

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The volume, for a report."""
        return (Finding(1, (Quantity(codes.SCT.Volume, self.volume_ml, MILLILITRE),)),)


def measure_brain(mask: Volume, image: Volume) -> BrainMeasurement:
    """Return volume in mL and quality flags of a (slice, row, column) bool mask; RefusedError when it is empty.

    image  the source image on the grid of the mask
    """
    if not mask.array.any():
        raise RefusedError(
            "A brain is needed in the selected series; none was found. Check that it shows a human head.",
            Reason.EMPTY_RESULT,
        )
    volume_ml = float(np.count_nonzero(mask.array)) * math.prod(mask.spacing) / 1000
    flags = []
    low, high = PLAUSIBLE_ML
    if not low <= volume_ml <= high:
        flags.append(
            f"Implausible brain volume: {volume_ml:.0f} mL, expected {low:.0f} to {high:.0f} mL. "
            "The image may not show a whole human head"
        )
    air = float(np.mean(image.array[mask.array] <= AIR_LEVEL * intensity_window(image.array)[1]))
    if air > AIR_FRACTION:
        flags.append(
            f"Implausible brain volume: {100 * air:.0f} % of the mask is as dark as air. "
            "The image may not show a human head"
        )
    if _touches_border(mask.array):
        flags.append("The mask reaches the border of the image: the brain may be cut by the field of view")
    return BrainMeasurement(volume_ml, tuple(flags))


def _touches_border(mask: np.ndarray) -> bool:
    faces = [mask[0], mask[-1], mask[:, 0], mask[:, -1], mask[:, :, 0], mask[:, :, -1]]
    return any(face.mean() > BORDER_FRACTION for face in faces)
