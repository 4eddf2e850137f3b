"""Objects in the activation of a network, and which of them is the primary tumour.

Hodneland et al., Cancers 2022;14:2372: the object with the highest mean activation is the tumour; its size plays no
part. Most of their patients had several objects. Here the others are reported, and none below a least volume can win:
the mean over a few voxels at the rim of the threshold is chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from highdicom import Volume, VolumeGeometry
from scipy import ndimage

from imaging.ensemble import probability
from imaging.keep_largest import bounding_box
from imaging.restore_mask import covered

NEIGHBOURS = np.ones((3, 3, 3), bool)
"""Voxels that share a face, an edge or a corner belong to one object."""
SPECK_ML = 0.1
"""A smaller object, less than 6 mm across, is a speck and never the primary tumour."""
BACKGROUND = np.float32(-20.0)
"""Logit of what is surely no tumour."""

Point = tuple[float, float, float]


@dataclass(frozen=True)
class TumourObject:
    """One connected object above the threshold, on the grid of the network."""

    volume_ml: float
    mean_activation: float  # of its voxels' probabilities, 0 to 1
    centre_mm: Point  # LPS
    primary: bool = False

    @property
    def speck(self) -> bool:
        """Whether it is too small to be the primary tumour."""
        return self.volume_ml < SPECK_ML


@dataclass(frozen=True)
class TumourObjects:
    """What a network found."""

    primary: Volume | None  # logits in which no other object is left; None when there is no primary tumour
    objects: tuple[TumourObject, ...]  # the primary tumour first, then by mean activation

    @property
    def others(self) -> tuple[TumourObject, ...]:
        """All but the primary tumour."""
        return tuple(one for one in self.objects if not one.primary)

    @property
    def flags(self) -> tuple[str, ...]:
        """What is to be said of the choice, as sentences."""
        first = next((one for one in self.objects if one.primary), None)
        if not self.others:
            return ()
        said = [f"{_counted(len(self.others))} above the threshold: {_described(self.others)}"]
        if first is None:
            said.append(f"None of them has {SPECK_ML:g} mL, the least volume of a tumour here")
        else:
            said += _doubts(first, self.others)
        return tuple(said)


def find_tumour(logits: Volume, threshold: float, within: VolumeGeometry | None = None) -> TumourObjects:
    """Return the objects in a single-channel logit volume (slice, row, column), and the primary tumour alone.

    threshold  probability that voxels of an object exceed
    within     grid, parallel to the logits', of the image: what a network says of the padding around it is no object

    The primary tumour is the object with the highest mean probability among those of at least ``SPECK_ML``; of equal
    ones the largest, then the first in array order.
    """
    activation = probability(logits.array)
    inside = np.zeros(activation.shape, bool)
    box = covered(logits.get_geometry(), within) if within else (slice(None),) * 3
    inside[box] = activation[box] > threshold
    labels, objects = _objects(inside, activation, logits)
    ranked = sorted(range(len(objects)), key=lambda at: _rank(objects[at]))
    if not ranked or objects[ranked[0]].speck:
        return TumourObjects(None, tuple(objects[at] for at in ranked))
    first = ranked[0]
    found = (replace(objects[first], primary=True), *(objects[at] for at in ranked[1:]))
    other = (activation > threshold) & (labels != first + 1)  # below the threshold, its surroundings stay as they are
    return TumourObjects(logits.with_array(np.where(other, BACKGROUND, logits.array)), found)


def _objects(
    inside: npt.NDArray[np.bool_], activation: npt.NDArray[np.float32], grid: Volume
) -> tuple[npt.NDArray[np.int32], list[TumourObject]]:
    """Return the number of its object at each voxel, from 1, and the objects in that order."""
    labels = np.zeros(inside.shape, np.int32)
    box = bounding_box(inside)
    if box is None:
        return labels, []
    part, count = ndimage.label(inside[box], NEIGHBOURS, output=np.int32)
    labels[box] = part
    numbers = np.arange(1, count + 1)
    sizes = np.bincount(part.ravel(), minlength=count + 1)[1:]
    means = ndimage.mean(activation[box].astype(np.float64), part, numbers)
    centres = np.array(ndimage.center_of_mass(part > 0, part, numbers)) + [one.start for one in box]
    voxel_ml = math.prod(grid.spacing) / 1000
    return labels, [
        TumourObject(float(size * voxel_ml), float(mean), _point(place))
        for size, mean, place in zip(sizes, means, grid.map_indices_to_reference(centres), strict=True)
    ]


def _rank(one: TumourObject) -> tuple[bool, float, float]:
    return one.speck, -one.mean_activation, -one.volume_ml


def _point(place: npt.NDArray[np.float64]) -> Point:
    x, y, z = (float(value) for value in place)
    return x, y, z


def _doubts(first: TumourObject, others: tuple[TumourObject, ...]) -> list[str]:
    """Return what speaks for another object: one that is larger, or a speck that is more active."""
    largest = max(others, key=lambda one: one.volume_ml)
    said = []
    if largest.volume_ml > first.volume_ml:
        said.append(
            f"The primary tumour is the object with the highest mean activation ({_numbers(first)}), not the largest "
            f"one ({_numbers(largest)})"
        )
    specks = sum(one.speck and one.mean_activation > first.mean_activation for one in others)
    if specks:
        said.append(f"{_counted(specks)} of higher mean activation counted as specks below {SPECK_ML:g} mL")
    return said


def _counted(count: int) -> str:
    return "1 other object" if count == 1 else f"{count} other objects"


def _described(objects: tuple[TumourObject, ...], most: int = 5) -> str:
    """Return volume and activation of the most active objects, and how many specks there are; metadata.json has all."""
    whole = [one for one in objects if not one.speck]
    listed = [_numbers(one) for one in whole[:most]]
    listed += [f"{len(whole) - most} more"] if len(whole) > most else []
    specks = len(objects) - len(whole)
    listed += [f"{specks} of less than {SPECK_ML:g} mL"] if specks else []
    return "; ".join(listed)


def _numbers(one: TumourObject) -> str:
    return f"{one.volume_ml:.2f} mL, mean activation {one.mean_activation:.2f}"
