"""What is known of the embedded samples: they are drawn from phantoms, so the right answers are geometry, not output.

Each check returns what is wrong, in words; nothing when the measurements are those of the phantom. The tolerances are
those of a network on images it was not trained on, wide enough for another processor and another library, and narrower
than any of the failures they are for: a shifted, mirrored or scaled image, other weights, a missing structure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

BRAIN_VOLUME = 0.05
"""Relative: a tenth of what is missing of a brain that is cut in half; a mask with the skin is half as large again."""
BODY_MM = 4.4
"""Of a centre: the distance of two slices, a tenth of that to the next body."""
NODULE_MM = 3.0
"""Of a centre and of a diameter: two slices."""
TUMOUR_MM = 10.0
"""Of a centre: a third of the tumour's diameter."""
TUMOUR_VOLUME = 0.5
"""Relative: the outline of this network is loose on purpose; a factor of two of either way is not."""


def check_brain(measured: Mapping[str, Any]) -> Iterator[str]:
    """Compare the brain volume with that of the phantom's tissues on the grid of the sample."""
    known_ml, found_ml = _brain_ml(), measured["brain_volume_ml"]
    if abs(found_ml / known_ml - 1) > BRAIN_VOLUME:
        yield f"brain volume {found_ml:.0f} mL, the phantom has {known_ml:.0f} mL"


@cache
def _brain_ml() -> float:
    from imaging.head_phantom import BRAIN_TISSUES
    from imaging.write_sample import SampleGeometry, sample_affine, sample_labels

    grid = SampleGeometry()
    labels = sample_labels(grid.shape, sample_affine(grid.shape, grid.spacing_mm))
    return float(np.isin(labels, BRAIN_TISSUES).sum() * math.prod(grid.spacing_mm) / 1000)


def check_bodies(measured: Mapping[str, Any]) -> Iterator[str]:
    """Compare level and centre of each vertebral body with the phantom's."""
    from imaging.lumbar_phantom import BODIES

    found = {body["level"]: body["centre_lps_mm"] for body in measured["bodies"]}
    if set(found) != set(BODIES):
        yield f"bodies {', '.join(sorted(found)) or 'none'}, the phantom has {', '.join(sorted(BODIES))}"
    for level in BODIES.keys() & found.keys():
        away_mm = math.dist(found[level], BODIES[level].centre_mm)
        if away_mm > BODY_MM:
            yield f"the centre of {level} lies {away_mm:.1f} mm from the phantom's"


def check_nodules(measured: Mapping[str, Any]) -> Iterator[str]:
    """Look for each nodule of the phantom that lies in the lung; others may be found too."""
    from imaging.chest_phantom import NODULES

    for nodule in NODULES:
        if not nodule.in_lung:
            continue
        near = [
            one for one in measured["nodules"]
            if math.dist(one["centre_lps_mm"], nodule.centre_mm) <= NODULE_MM
            and abs(one["longest_mm"] - nodule.longest_mm) <= NODULE_MM
        ]  # fmt: skip
        if not near:
            yield f"the nodule {nodule.name} of {nodule.longest_mm:.0f} mm was not found where the phantom has it"


def check_tumour(measured: Mapping[str, Any]) -> Iterator[str]:
    """Compare volume and centre of the tumour with the phantom's."""
    known_ml, centre_mm = _tumour_ml_and_centre_mm()
    found = measured.get("tumour")
    if not found:
        yield f"no tumour, the phantom has one of {known_ml:.1f} mL"
        return
    away_mm = math.dist(found["centre_lps_mm"], centre_mm)
    if away_mm > TUMOUR_MM:
        yield f"the centre of the tumour lies {away_mm:.1f} mm from the phantom's"
    if abs(found["volume_ml"] / known_ml - 1) > TUMOUR_VOLUME:
        yield f"tumour volume {found['volume_ml']:.1f} mL, the phantom has {known_ml:.1f} mL"


@cache
def _tumour_ml_and_centre_mm() -> tuple[float, npt.NDArray[np.float64]]:
    from imaging.write_pelvic_sample import AXIAL_T2W, expected_tumour, series_affine

    tumour, affine = expected_tumour(), series_affine(AXIAL_T2W)
    known_ml = tumour.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
    return float(known_ml), affine[:3, :3] @ np.argwhere(tumour).mean(axis=0) + affine[:3, 3]


CHECKS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "cervical_tumor": check_tumour,
    "lung_nodule": check_nodules,
    "skull_strip": check_brain,
    "spine": check_bodies,
}
"""The check for each application."""
