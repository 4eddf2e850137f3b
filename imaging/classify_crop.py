"""What a classifier says of a crop: a probability, and where in the crop the evidence lies.

A network gives a map of evidence whose mean is its logit: with a head that is linear in the mean of the last features
this is the class activation map (Zhou et al., CVPR 2016), and Grad-CAM up to a factor (Selvaraju et al., ICCV 2017).
One that gives a logit alone has no map, so there is no heat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume, VolumeGeometry

from imaging.heat_box import HeatBox
from imaging.outcome import ModelError
from imaging.region import Box, Region
from imaging.resample import resample

Map = npt.NDArray[np.float32]
MARGIN = 4
"""Voxels of the source around a region that its heat is given for."""


@dataclass(frozen=True)
class Classified:
    """One region's probability, and the heat that speaks for it where the network gives one."""

    probability: float
    heat: HeatBox | None


def probability_of(maps: Sequence[Map], temperature: float) -> float:
    """Return the mean of the members' logits, divided by a temperature (Guo et al., ICML 2017), as a probability.

    maps  output of each member of an ensemble: (1, slice, row, column), or (1,) for a logit alone
    """
    logits = [float(np.mean(found, dtype=np.float64)) for found in maps]
    if not np.isfinite(logits).all():
        raise ModelError("A classifier gave a value that is no number. Restore its weights.")
    return 1 / (1 + math.exp(-float(np.clip(np.mean(logits) / temperature, -40, 40))))


def heat_of(maps: Sequence[Map], grid: VolumeGeometry, source: VolumeGeometry, region: Region) -> HeatBox | None:
    """Return the evidence for the class about a region, 0 to 1 where it speaks most; None when there is no map.

    grid    of the crop that the network saw; its map covers the same extent with fewer voxels
    source  grid of the region
    """
    if any(found.ndim != 4 for found in maps):
        return None
    evidence = np.clip(np.mean([found[0] for found in maps], axis=0), 0, None).astype(np.float32)
    box = _around(region, source.shape)
    heat = resample(_stretched(evidence, grid), source[box]).array
    highest = float(heat.max(initial=0.0))
    start = (box[0].start, box[1].start, box[2].start)
    return HeatBox(heat / np.float32(highest) if highest > 0 else heat, start)


def _stretched(evidence: Map, grid: VolumeGeometry) -> Volume:
    """Return the map as a volume of larger voxels with the extent of the crop."""
    factor = np.array(grid.shape) / np.array(evidence.shape)
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, :3] * factor
    affine[:3, 3] = grid.affine[:3, 3] + grid.affine[:3, :3] @ ((factor - 1) / 2)
    return Volume(evidence, affine, "PATIENT", frame_of_reference_uid=grid.frame_of_reference_uid)


def _around(region: Region, shape: tuple[int, ...]) -> Box:
    k, j, i = (
        slice(max(0, part.start - MARGIN), min(part.stop + MARGIN, size))
        for part, size in zip(region.box, shape, strict=True)
    )
    return k, j, i
