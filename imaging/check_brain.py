"""Whether a brain mask can be that of a brain: its volume, also for age and sex, its darkness, the field of view.

A mask is the hull of the brain: it has the ventricles in it and most of the sulci, so its volume lies between those
that studies give for the brain and for the inside of the skull.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.person import Person
from imaging.plausibility import Check, Flag
from imaging.scale_intensity import intensity_window

VOLUME = Check(
    code="brain-volume",
    brief="volume no brain has",
    basis="hull of the brain of a person from about one year of age on; wider than every range by age and sex",
    low=700.0,
    high=2200.0,
    unit="mL",
)
INTRACRANIAL_ML = {  # years: girls and women, boys and men
    0.25: (600.0, 900.0),
    2.0: (1000.0, 1150.0),
    5.0: (1200.0, 1350.0),
    15.0: (1300.0, 1500.0),
}
"""Mean volume inside the skull by age (Sgouros et al., J Neurosurg 1999;91:610-616); of adults over 40 it is 1311 and
1496 mL (Ahmad et al., Journal of Biomedical and Clinical Sciences, article 232)."""
SHARE = (0.6, 1.28)
"""Least and largest hull as a part of that mean. Women: 1164 mL of brain less 4 standard deviations of 90 mL is 0.61 of
1311 mL, inside of the skull and 4 of 90 mL more is 1.28; men: 0.65 and 1.27 (the same study)."""
AIR_LEVEL = 0.04
"""Signal below this fraction of the image's bright end (99.5th percentile) is that of air."""
AIR = Check(
    code="brain-dark-as-air",
    brief="much of it dark as air",
    basis="CSF is dark, and about a fifth of the hull",
    high=0.3,
    unit="of its volume",
)
BORDER = Check(
    code="brain-at-border",
    brief="cut by the field of view?",
    basis="part of an outermost plane of the image that the mask covers; a few voxels may touch",
    high=0.02,
    unit="of a plane",
)
FOR_AGE = Check(
    code="brain-volume-for-age",
    brief="volume unusual for age and sex",
    basis="0.6 to 1.28 of the mean volume inside the skull: "
    "Sgouros et al., J Neurosurg 1999;91:610-616; Ahmad et al., J Biomed Clin Sci, article 232",
    unit="mL",
    of_person=True,
)
CHECKS = (VOLUME, FOR_AGE, AIR, BORDER)


def check_brain(volume_ml: float, mask: npt.NDArray[np.bool_], image: Volume, person: Person) -> Iterator[Flag]:
    """Yield what is suspicious of a (slice, row, column) brain mask on the grid of an image."""
    limits = limits_for(person)
    if VOLUME.broken_by(volume_ml):
        yield VOLUME.flag(
            f"Implausible brain volume: {volume_ml:.0f} mL, expected {VOLUME.low:.0f} to {VOLUME.high:.0f} mL. "
            "The image may not show a whole human head",
            volume_ml,
        )
    elif limits and not limits[0] <= volume_ml <= limits[1]:
        yield FOR_AGE.flag(
            f"Unusual brain volume: {volume_ml:.0f} mL lies outside the range expected for age and sex. "
            "The mask may be wrong, or the brain unusual",
            volume_ml,
        )
    air = float(np.mean(image.array[mask] <= AIR_LEVEL * intensity_window(image.array)[1]))
    if AIR.broken_by(air):
        yield AIR.flag(
            f"Implausible brain volume: {100 * air:.0f} % of the mask is as dark as air. "
            "The image may not show a human head",
            air,
        )
    covered = max(float(mask.take(end, axis).mean()) for axis in range(3) for end in (0, -1))
    if BORDER.broken_by(covered):
        yield BORDER.flag(
            "The mask reaches the border of the image: the brain may be cut by the field of view", covered
        )


def limits_for(person: Person) -> tuple[float, float] | None:
    """Return the least and the largest volume in mL expected of a person; None where the age is unknown or too low.

    Where the sex is unknown, both are allowed for.
    """
    ages = list(INTRACRANIAL_ML)
    if person.age_years is None or person.age_years < ages[0]:
        return None
    of_sex = [
        float(np.interp(person.age_years, ages, [pair[at] for pair in INTRACRANIAL_ML.values()])) for at in (0, 1)
    ]
    known = {"F": of_sex[:1], "M": of_sex[1:], None: of_sex}[person.sex]
    return SHARE[0] * min(known), SHARE[1] * max(known)
