"""What is suspicious about vertebral bodies: gaps, merged pairs, cut bodies, sizes that no body has.

Nothing is repaired here. Every limit is wider than what healthy and common pathological spines show.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom import Volume

from imaging.body_limits import (
    BESIDE,
    CUT,
    DARK,
    FLAT,
    GAP,
    LEAN,
    LEAVES,
    MERGED,
    NEAR,
    NUMBER,
    SMALL,
    TALL,
    VOLUME,
    WEDGE,
)
from imaging.measure_bodies import BodyMeasurement, Heights
from imaging.order_bodies import OrderedBodies
from imaging.plausibility import Flag
from imaging.scale_intensity import intensity_window

AIR_LEVEL = 0.04
"""Signal below this fraction of the image's bright end (99.5th percentile) is that of air."""
GAP_RATIO, NEAR_RATIO = 1.5, 0.55
"""Distance of two centres by the median distance: a body is missing between them, or they are parts of one."""
MERGED_VOLUME, MERGED_HEIGHT = 1.6, 1.4
"""A body so much larger and taller than any of its neighbours may be two."""


def check_bodies(measured: Sequence[BodyMeasurement], bodies: OrderedBodies) -> tuple[Flag, ...]:
    """Return what is suspicious about the row as a whole."""
    flags = []
    if NUMBER.broken_by(len(measured)):
        flags.append(NUMBER.flag(number_text(len(measured)), len(measured)))
    if BESIDE.broken_by(len(bodies.aside_ml)):
        sizes = ", ".join(f"{size:.1f} mL" for size in bodies.aside_ml)
        text = f"Left out because they lie beside the row of bodies or far from it: objects of {sizes}"
        flags.append(BESIDE.flag(text, len(bodies.aside_ml)))
    lean = _lean_deg(bodies)
    if LEAN.broken_by(lean):
        text = f"The row of bodies runs {lean:.0f} degrees off the head-foot direction: it may not be a spine"
        flags.append(LEAN.flag(text, lean))
    median_ml = float(np.median([body.volume_ml for body in measured]))
    if SMALL.broken_by(median_ml):
        text = f"The bodies are small (median {median_ml:.1f} mL), as cervical ones are: no lumbar series?"
        flags.append(SMALL.flag(text, median_ml))
    return tuple(flags)


def remarks_on(
    measured: Sequence[BodyMeasurement], bodies: OrderedBodies, image: Volume
) -> tuple[tuple[Flag, ...], ...]:
    """Return what is suspicious about each body, as phrases that follow its name and a colon."""
    gaps, merged, bright = _gaps(measured), _merged(measured), intensity_window(image.array)[1]
    pair = MERGED.flag("much larger than its neighbours, may be two bodies that could not be separated")
    return tuple(
        (
            *_border(body),
            *_size(body),
            *([pair] * merged[at]),
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


def number_text(count: int) -> str:
    """Return what is said of an unusual number of bodies."""
    if count > NUMBER.high:
        return f"{count} vertebral bodies were found, more than a spine has: some may be halves of one, or no bodies"
    return (
        f"Only {count} vertebral {'body was' if count == 1 else 'bodies were'} found; a lumbar series shows at least "
        f"{NUMBER.low}. The image may not show a whole lumbar spine"
    )


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
    limit, merged = min(GAP.high, GAP_RATIO * _median_distance(measured)), _merged(measured)
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
        found.append((large and tall) or (height is not None and TALL.broken_by(height)))
    return found


def _border(body: BodyMeasurement) -> list[Flag]:
    if body.cut:
        return [
            CUT.flag("cut by the border of the image, its volume is a lower bound and its heights are not measured")
        ]
    return [LEAVES.flag("leaves the image at a side, its volume is a lower bound")] if body.leaves_slab else []


def _size(body: BodyMeasurement) -> list[Flag]:
    found = []
    if VOLUME.broken_by(body.volume_ml) and not body.cut:
        text = f"implausible volume of {body.volume_ml:.1f} mL, expected {VOLUME.low:.0f} to {VOLUME.high:.0f} mL"
        found.append(VOLUME.flag(text, body.volume_ml))
    return found if body.heights is None else [*found, *shape_of(body.heights)]


def shape_of(heights: Heights) -> list[Flag]:
    """Return what is suspicious of the heights of a body."""
    if FLAT.broken_by(heights.middle_mm):
        text = f"{heights.middle_mm:.0f} mm high in its middle, has collapsed or its mask is wrong"
        return [FLAT.flag(text, heights.middle_mm)]
    ratio = heights.anterior_mm / max(heights.posterior_mm, 1e-3)
    if not WEDGE.broken_by(ratio):
        return []
    text = f"{heights.anterior_mm:.0f} mm high in front and {heights.posterior_mm:.0f} mm at the back"
    return [WEDGE.flag(f"{text}, a severe fracture or its mask is wrong", ratio)]


def _neighbour(body: BodyMeasurement, gap: bool, median_mm: float) -> list[Flag]:
    distance = body.distance_above_mm
    if gap:
        return [GAP.flag(f"{distance:.0f} mm from the next body above, one may be missing between them", distance)]
    if _too_near(body, median_mm):
        return [NEAR.flag(f"{distance:.0f} mm from the next body above, both may be parts of one", distance)]
    return []


def _dark(values: np.ndarray, bright: float) -> list[Flag]:
    air = float(np.mean(values <= AIR_LEVEL * bright)) if values.size else 0.0
    if not DARK.broken_by(air):
        return []
    return [DARK.flag(f"as dark as air in {100 * air:.0f} % of its volume, metal or no body at all", air)]
