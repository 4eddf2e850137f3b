"""Volume of a brain mask, and whether it can be that of a brain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from highdicom import Volume
from pydicom.sr.codedict import codes

from imaging.check_brain import check_brain
from imaging.encode_seg import BRAIN_LABEL, Segment
from imaging.finding import MILLILITRE, Finding, Quantity
from imaging.outcome import Reason, RefusedError
from imaging.person import UNKNOWN, Person
from imaging.plausibility import Flag


@dataclass(frozen=True)
class BrainMeasurement:
    """What is reported of a brain mask."""

    volume_ml: float
    plausibility: tuple[Flag, ...] = ()  # empty when nothing is suspicious
    segments: tuple[Segment, ...] = ()
    caution: str = ""
    nothing: str = ""  # there is always a brain

    @property
    def flags(self) -> tuple[str, ...]:
        """What is suspicious, as sentences."""
        return tuple(flag.text for flag in self.plausibility)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The volume, for a report."""
        return (Finding(1, (Quantity(codes.SCT.Volume, self.volume_ml, MILLILITRE),)),)


def measure_brain(mask: Volume, image: Volume, person: Person = UNKNOWN) -> BrainMeasurement:
    """Return volume in mL and quality flags of a (slice, row, column) bool mask; RefusedError when it is empty.

    image   the source image on the grid of the mask
    person  whose brain it is, as far as that is known
    """
    if not mask.array.any():
        raise RefusedError(
            "A brain is needed in the selected series; none was found. Check that it shows a human head.",
            Reason.EMPTY_RESULT,
        )
    volume_ml = float(np.count_nonzero(mask.array)) * math.prod(mask.spacing) / 1000
    flags = tuple(check_brain(volume_ml, mask.array, image, person))
    return BrainMeasurement(volume_ml, flags, (Segment(BRAIN_LABEL, mask.array),))
