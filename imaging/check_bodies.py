"""What is suspicious about vertebral bodies: gaps, merged pairs, cut bodies, sizes that no body has.

Nothing is repaired here. Every limit is wider than what healthy and common pathological spines show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import Volume

from imaging.measure_bodies import BodyMeasurement, Heights
from imaging.measure_brain import AIR_FRACTION, AIR_LEVEL
from imaging.order_bodies import OrderedBodies
from imaging.scale_intensity import intensity_window

USUAL_BODIES = 5
"""A lumbar field of view shows at least L1 to L5."""
PLAUSIBLE_ML = (4.0, 90.0)
"""Marrow of one body: 8 to 54 mL from T10 to S1 in the labels of 32 lumbar series (see label_levels); fractures and
large men stay inside."""
CERVICAL_ML = 9.0
"""Median volume below which the bodies are of the size of cervical ones (about 3 to 7 mL)."""
TALLEST_MM = 45.0
"""Mean height of lumbar bodies is 27 to 31 mm, standard deviation under 3 (Zhou et al., Eur Spine J 2000;9:242)."""
FLATTEST_MM = 10.0
"""Less is left only of a body that has collapsed."""
GAP_RATIO, GAP_MM = 1.5, 55.0
"""Distance of two centres by the median distance, or in mm: a body is missing between them."""
NEAR_RATIO = 0.55
"""The same: they are parts of one body."""
MERGED_VOLUME, MERGED_HEIGHT = 1.6, 1.4
"""A body so much larger and taller than any of its neighbours may be two."""
LEAN_DEG = 45.0
"""A row that leaves the head-foot direction by more is hardly a spine."""


def check_bodies(measured: Sequence[BodyMeasurement], bodies: OrderedBodies) -> tuple[str, ...]:
    """Return what is suspicious about the row as a whole, as sentences."""
    flags = []
    if len(measured) < USUAL_BODIES:
        flags.append(
            f"Only {len(measured)} vertebral {'body was' if len(measured) == 1 else 'bodies were'} found; a lumbar "
            f"series shows at least {USUAL_BODIES}. The image may not show a whole lumbar spine"
        )
    if bodies.aside_ml:
        sizes = ", ".join(f"{size:.1f} mL" for size in bodies.aside_ml)
        flags.append(f"Left out because they lie beside the row of bodies or far from it: objects of {sizes}")
    lean = _lean_deg(bodies)
    if lean > LEAN_DEG:
        flags.append(f"The row of bodies runs {lean:.0f} degrees off the head-foot direction: it may not be a spine")
    median_ml = float(np.median([body.volume_ml for body in measured]))
    if median_ml < CERVICAL_ML:
        flags.append(f"The bodies are small (median {median_ml:.1f} mL), as cervical ones are: no lumbar series?")
    return tuple(flags)


def remarks_on(
    measured: Sequence[BodyMeasurement], bodies: OrderedBodies, image: Volume
) -> tuple[tuple[str, ...], ...]:
    """Return what is suspicious about each body, as phrases that follow its name and a colon."""
    gaps, merged, bright = _gaps(measured), _merged(measured), intensity_window(image.array)[1]
    return tuple(
        (
            *_border(body),
            *_size(body),
            *(["much larger than its neighbours, may be two bodies that could not be separated"] * merged[at]),
            *_neighbour(body, gaps[at], _median_distance(measured)),
            *_dark(image.array[bodies.labels.array == body.number], bright),
        )
        for at, body in enumerate(measured)
    )


def interrupted(measured: Sequence[BodyMeasurement]) -> list[bool]:
    """Return for each body whether counting from below must stop before it: after a gap, or at a doubtful body."""
    gaps, merged = _gaps(measured), _merged(measured)
    near = [_too_near(body, _median_distance(measured)) for body in measured]
    return [doubtful or (at > 0 and (gaps[at - 1] or near[at - 1])) or near[at] for at, doubtful in enumerate(merged)]


def has_gap_above(measured: Sequence[BodyMeasurement], at: int) -> bool:
    """Return whether a body seems to be missing above one."""
    return _gaps(measured)[at]


def _lean_deg(bodies: OrderedBodies) -> float:
    if len(bodies.centres_mm) < 2:
        return 0.0
    line = bodies.centres_mm[-1] - bodies.centres_mm[0]
    return float(np.degrees(np.arccos(line[2] / np.linalg.norm(line))))


def _median_distance(measured: Sequence[BodyMeasurement]) -> float:
    distances = [body.distance_above_mm for body in measured if body.distance_above_mm is not None]
    return float(np.median(distances)) if distances else 0.0


def _gaps(measured: Sequence[BodyMeasurement]) -> list[bool]:
    """Return for each body whether the next one is too far away; the middle of a merged pair always is."""
    limit, merged = min(GAP_MM, GAP_RATIO * _median_distance(measured)), _merged(measured)
    return [
        body.distance_above_mm is not None and body.distance_above_mm > limit and not any(merged[at : at + 2])
        for at, body in enumerate(measured)
    ]


def _too_near(body: BodyMeasurement, median_mm: float) -> bool:
    return body.distance_above_mm is not None and body.distance_above_mm < NEAR_RATIO * median_mm


def _mean_height(heights: Heights | None) -> float | None:
    return None if heights is None else (heights.anterior_mm + heights.middle_mm + heights.posterior_mm) / 3


def _merged(measured: Sequence[BodyMeasurement]) -> list[bool]:
    """Return for each body whether it is taller than any body, or much larger and taller than its neighbours."""
    found = []
    for at, body in enumerate(measured):
        height = _mean_height(body.heights)
        others = [measured[near] for near in (at - 1, at + 1) if 0 <= near < len(measured)]
        large = bool(others) and body.volume_ml > MERGED_VOLUME * max(other.volume_ml for other in others)
        heights = [other for other in (_mean_height(near.heights) for near in others) if other is not None]
        tall = height is None or not heights or height > MERGED_HEIGHT * max(heights)
        found.append((large and tall) or (height is not None and height > TALLEST_MM))
    return found


def _border(body: BodyMeasurement) -> list[str]:
    if body.cut:
        return ["cut by the border of the image, its volume is a lower bound and its heights are not measured"]
    return ["leaves the image at a side, its volume is a lower bound"] if body.leaves_slab else []


def _size(body: BodyMeasurement) -> list[str]:
    low, high = PLAUSIBLE_ML
    found = []
    if not low <= body.volume_ml <= high and not body.cut:
        found.append(f"implausible volume of {body.volume_ml:.1f} mL, expected {low:.0f} to {high:.0f} mL")
    if body.heights is not None and body.heights.middle_mm < FLATTEST_MM:
        found.append(f"{body.heights.middle_mm:.0f} mm high in its middle, has collapsed or its mask is wrong")
    return found


def _neighbour(body: BodyMeasurement, gap: bool, median_mm: float) -> list[str]:
    if gap:
        return [f"{body.distance_above_mm:.0f} mm from the next body above, one may be missing between them"]
    if _too_near(body, median_mm):
        return [f"{body.distance_above_mm:.0f} mm from the next body above, both may be parts of one"]
    return []


def _dark(values: np.ndarray, bright: float) -> list[str]:
    air = float(np.mean(values <= AIR_LEVEL * bright)) if values.size else 0.0
    if air <= AIR_FRACTION:
        return []
    return [f"as dark as air in {100 * air:.0f} % of its volume, metal or no body at all"]
