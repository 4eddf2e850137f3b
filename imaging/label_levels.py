"""Which vertebra is which: named only on evidence, numbered from below where there is none.

A body is called L5 when the sacrum must be in view below it and the lowest bodies show the bend of the lumbosacral
junction; every other body is counted from there. The limits were chosen on the labels of 32 lumbar series (collections
of Chu 2015, Zukic 2014 and Burian 2019): the docstring of each gives what L5 and L4 measure there. Whether a spine has
six lumbar bodies or a transitional one cannot be told from this, and is never said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from highdicom import VolumeGeometry

from imaging.check_bodies import interrupted
from imaging.measure_bodies import BodyMeasurement
from imaging.order_bodies import OrderedBodies

LEVELS = ("L5", "L4", "L3", "L2", "L1", *(f"T{number}" for number in range(12, 0, -1)))
"""From caudal to cranial."""

VIEW_BELOW_MM = 40.0
"""How far the image must go on below the lowest body: the lumbosacral disc and all of S1."""
TILT_DEG = (25.0, 60.0)
"""Lower end plate of L5 against the axial plane: 19 to 53 degrees; of L4 -6 to 23."""
KINK_DEG = 16.0
"""It is tilted by so much more than that of the next body: L5 11 to 33 degrees, L4 5 to 20, S1 -3 to 14."""
WEDGE = 1.08
"""Anterior by posterior height: L5 1.08 to 1.56, L4 1.00 to 1.24, S1 0.86 to 1.21."""
STEP_RATIO = 1.03
"""Distance to the next body by the distance from there to the one after: L5 0.90 to 1.06, L4 0.98 to 1.13."""
ASSUMPTION = "Counting assumes five lumbar vertebrae; transitional anatomy was not examined"


@dataclass(frozen=True)
class Levels:
    """The level of each body from below, and what it rests on."""

    names: tuple[str | None, ...]  # None where it is not established
    basis: Literal["evidence", "user", "none"]
    reason: str  # one sentence


def label_levels(
    measured: Sequence[BodyMeasurement], bodies: OrderedBodies, view: VolumeGeometry, lowest: str = "auto"
) -> Levels:
    """Return the levels of bodies from caudal to cranial.

    view    the grid of the image
    lowest  the level of the lowest body as a reader states it, or "auto"

    Above a gap or a body that may be two, nothing is named.
    """
    counted = _uninterrupted(measured)
    unnamed = (None,) * (len(measured) - counted)
    if lowest != "auto":
        names = LEVELS[LEVELS.index(lowest) :][:counted]
        reason = f"Levels counted upward from {lowest}, the lowest body as stated by the user. {ASSUMPTION}"
        return Levels((*names, *(None,) * (counted - len(names)), *unnamed), "user", reason)
    doubt, evidence = _lumbosacral(measured[:counted], bodies, view)
    if doubt:
        return Levels(
            (None,) * len(measured), "none", f"Level not established: {doubt}. Bodies are numbered from below"
        )
    names = LEVELS[:counted]
    reason = f"Levels counted upward from L5: {evidence}. {ASSUMPTION}"
    return Levels((*names, *(None,) * (counted - len(names)), *unnamed), "evidence", reason)


def _uninterrupted(measured: Sequence[BodyMeasurement]) -> int:
    """Return how many bodies follow each other from the lowest on without a gap or a doubtful body."""
    stops = interrupted(measured)
    return next((at for at, stop in enumerate(stops) if stop), len(measured))


def _lumbosacral(lowest: Sequence[BodyMeasurement], bodies: OrderedBodies, view: VolumeGeometry) -> tuple[str, str]:
    """Return the reason why the lowest body may not be L5, empty when it is, and the evidence that it is."""
    if len(lowest) < 3:
        return f"three bodies in a row are needed, {len(lowest)} found", ""
    one, two = lowest[:2]
    if one.heights is None or one.endplate_tilt_deg is None or two.endplate_tilt_deg is None:
        return "the lowest bodies are cut by the border of the image", ""
    below_mm = view_below_mm(bodies, one, view)
    if below_mm < VIEW_BELOW_MM:
        return f"the image ends {below_mm:.0f} mm below the lowest body, so the sacrum is not in view", ""
    if one.distance_above_mm is None or two.distance_above_mm is None:
        raise ValueError(f"bodies in a row need their distances, got {one} and {two}")
    kink = one.endplate_tilt_deg - two.endplate_tilt_deg
    bends = (
        TILT_DEG[0] <= one.endplate_tilt_deg <= TILT_DEG[1]
        and kink >= KINK_DEG
        and one.heights.anterior_mm >= WEDGE * one.heights.posterior_mm
        and one.distance_above_mm <= STEP_RATIO * two.distance_above_mm
    )
    found = f"lower end plate tilted by {one.endplate_tilt_deg:.0f} degrees, {kink:.0f} more than that of the next body"
    if not bends:
        return f"the lowest bodies do not bend as the lumbosacral junction does ({found})", ""
    return "", f"the image goes on {below_mm:.0f} mm below, {found}"


def view_below_mm(bodies: OrderedBodies, lowest: BodyMeasurement, view: VolumeGeometry) -> float:
    """Return how far the image goes on below the lower end plate of the lowest body, along its axis."""
    if lowest.heights is None:
        return 0.0
    start = np.array(lowest.centre_mm) - bodies.tangents[0] * lowest.heights.middle_mm / 2
    inverse = np.linalg.inv(view.affine)
    at = inverse[:3, :3] @ start + inverse[:3, 3]
    per_mm = -inverse[:3, :3] @ bodies.tangents[0]
    ends = np.where(per_mm > 0, np.array(view.shape) - 0.5, -0.5)
    distances = np.divide(ends - at, per_mm, out=np.full(3, np.inf), where=np.abs(per_mm) > 1e-9)
    return float(max(0.0, distances.min()))
