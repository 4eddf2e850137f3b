"""What the two lung-nodule networks get to see: a cube around a nodule, and a box around a seed point.

Training, evaluation and application call these functions, so they see the same. HU are mapped linearly from a window
to 0..1 and clipped. Every grid here has the axes of the source volume turned to head, posterior, left, never rotated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume, VolumeGeometry
from scipy import ndimage

from imaging.ensemble import probability
from imaging.keep_largest import keep_largest
from imaging.model_package import METADATA, Triple
from imaging.outcome import ModelError
from imaging.region import Region, region_of
from imaging.resample import MODEL_ORIENTATION, resample

Point = tuple[float, float, float]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
FREE = 2
"""Voxels that a cube keeps free between a nodule and its faces, both sides together."""
REACH_MM = 5.0
"""An object this far from its seed is still the seed's."""


@dataclass(frozen=True, kw_only=True)
class CropInput:
    """The grid and the values of a crop; each triple is for (slice, row, column)."""

    spacing_mm: tuple[float, float, float]
    shape: Triple
    window_hu: tuple[float, float]  # becomes 0 to 1
    dilation_mm: float | None = None  # by which a mask grows within its slices; None leaves the image whole


def crop_input(record: Mapping[str, Any]) -> CropInput:
    """Return the crop that a record of a model's metadata describes; KeyError, TypeError or ValueError when none."""
    spacing = tuple(float(mm) for mm in record["spacing_mm"])
    shape = tuple(int(size) for size in record["shape"])
    low, high = (float(hu) for hu in record["window_hu"])
    dilation = record.get("dilation_mm")
    if len(spacing) != 3 or len(shape) != 3 or min(spacing) <= 0 or min(shape) <= FREE or low >= high:
        raise ValueError(f"no crop has spacing {spacing} mm, shape {shape} and window {low:g} to {high:g} HU")
    return CropInput(
        spacing_mm=spacing,
        shape=shape,
        window_hu=(low, high),
        dilation_mm=None if dilation is None else float(dilation),
    )


def load_crop_input(folder: Path) -> CropInput:
    """Return the crop that the model in a folder wants, from "crop" of its metadata; ModelError when it has none."""
    path = folder / METADATA
    try:
        return crop_input(json.loads(path.read_text())["crop"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f'{path} must say under "crop" what the network gets ({type(error).__name__}: {error}). '
            "Restore it from the release."
        ) from error


def classifier_crop(volume: Volume, region: Region, wanted: CropInput) -> Floats:
    """Return the cube around a nodule, (slice, row, column) float32 in 0..1; 0 outside the dilated mask.

    volume  HU, any orientation; what lies beyond its border counts as outside the mask
    region  the nodule, on the grid of the volume
    """
    grown = grow_in_slices(volume, region, wanted.dilation_mm or 0.0)
    grid = _cube(volume, grown, wanted)
    around = _around(volume, grid)
    image = window_hu(resample(_box(volume, *around), grid).array, wanted.window_hu)
    if wanted.dilation_mm is None:
        return image
    inside = _like(volume, _placed(grown, *around), around[0])
    return np.where(resample(inside, grid).array > 0.5, image, np.float32(0))


def crop_geometry(volume: Volume, region: Region, wanted: CropInput) -> VolumeGeometry:
    """Return the grid of a nodule's cube, centred on the box of its dilated mask.

    A nodule that the cube does not hold is seen on a coarser grid, all axes alike: ``spacing`` tells.
    """
    return _cube(volume, grow_in_slices(volume, region, wanted.dilation_mm or 0.0), wanted)


def _cube(volume: VolumeGeometry, grown: Region, wanted: CropInput) -> VolumeGeometry:
    first, size = np.array(grown.start), np.array(grown.mask.shape)
    centre_mm = volume.map_indices_to_reference((first + (size - 1) / 2)[None])[0]
    turned = _geometry(volume).to_patient_orientation(MODEL_ORIENTATION)
    along = np.abs(np.linalg.inv(volume.affine[:3, :3]) @ turned.affine[:3, :3]).argmax(axis=0)
    extent_mm = (size * np.array(volume.spacing))[along]
    room_mm = (np.array(wanted.shape) - FREE) * np.array(wanted.spacing_mm)
    scale = max(1.0, float((extent_mm / room_mm).max()))
    return _grid(volume, centre_mm, np.array(wanted.spacing_mm) * scale, wanted.shape)


def grow_in_slices(volume: VolumeGeometry, region: Region, radius_mm: float) -> Region:
    """Return a region grown by a radius within its slices, never into slices it has no voxel in.

    The crops that the networks learned from end, most of them, with the first and last slice of the mask, so growth
    across slices could not be learned. What would leave the volume is cut off.
    """
    reach = [0, *(int(radius_mm / mm) for mm in volume.spacing[1:])]
    low = [min(start, by) for start, by in zip(region.start, reach, strict=True)]
    ends = (start + size for start, size in zip(region.start, region.mask.shape, strict=True))
    high = [min(whole - end, by) for whole, end, by in zip(volume.shape, ends, reach, strict=True)]
    mask = np.pad(region.mask, list(zip(low, high, strict=True)))
    k, j, i = (start - by for start, by in zip(region.start, low, strict=True))
    across = 1e3 * (1 + radius_mm)  # no slice reaches its neighbour
    distance = ndimage.distance_transform_edt(~mask, sampling=(across, *volume.spacing[1:]))
    return region_of(distance <= radius_mm + 1e-6, (k, j, i)) or region


def outline_crop(volume: Volume, centre_mm: Point, wanted: CropInput) -> Volume:
    """Return the box around a seed point as the outline network wants it, float32 in 0..1.

    volume     HU; beyond its border the outermost voxels repeat
    centre_mm  LPS; ValueError when it lies outside the volume
    """
    at = volume.map_reference_to_indices(np.array([centre_mm]))[0]
    if (at < -0.5).any() or (at > np.array(volume.shape) - 0.5).any():
        raise ValueError(f"the seed must lie in the volume of {volume.shape} voxels, got index {at.round(1).tolist()}")
    grid = _grid(volume, np.array(centre_mm), np.array(wanted.spacing_mm), wanted.shape)
    box = resample(_box(volume, *_around(volume, grid)), grid)
    return box.with_array(window_hu(box.array, wanted.window_hu))


def outline_region(
    logits: Volume, source: VolumeGeometry, centre_mm: Point, *, threshold: float = 0.5, reach_mm: float = REACH_MM
) -> Region | None:
    """Return the object at a seed point on the source's grid, None when none lies within reach of it.

    logits     of the outline network, on the grid of its box
    threshold  the probability is interpolated, then cut here; cavities are filled
    """
    first, last = _around(source, logits.get_geometry())
    low = np.clip(first, 0, source.shape)
    high = np.clip(last + 1, low, source.shape)
    if (low == high).any():
        return None
    part = source[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    chance = resample(logits.with_array(probability(logits.array)), part).array
    labels, found = ndimage.label(chance > threshold)
    if not found:
        return None
    seed = source.map_reference_to_indices(np.array([centre_mm]))[0] - low
    voxels = np.argwhere(labels)
    distance = np.linalg.norm((voxels - seed) * np.array(source.spacing), axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > reach_mm + max(source.spacing) / 2:
        return None
    k, j, i = (int(index) for index in low)
    return region_of(keep_largest(labels == labels[tuple(voxels[nearest])]), (k, j, i))


def window_hu(array: Floats, window: tuple[float, float]) -> Floats:
    """Return HU scaled so that the window becomes 0 to 1, clipped.

    >>> window_hu(np.array([-2000, -300, 600], np.float32), (-1200, 600)).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = window
    return np.asarray(np.clip((array - np.float32(low)) / np.float32(high - low), 0, 1), np.float32)


def _grid(source: VolumeGeometry, centre_mm: Doubles, spacing_mm: Doubles, shape: Triple) -> VolumeGeometry:
    """Return a grid of a size around a point, its axes those of the source turned."""
    turned = _geometry(source).to_patient_orientation(MODEL_ORIENTATION)
    affine = np.eye(4)
    affine[:3, :3] = turned.affine[:3, :3] / np.array(turned.spacing) * spacing_mm
    affine[:3, 3] = centre_mm - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return VolumeGeometry(affine, shape, "PATIENT", frame_of_reference_uid=source.frame_of_reference_uid)


def _geometry(source: VolumeGeometry | Volume) -> VolumeGeometry:
    return source.get_geometry() if isinstance(source, Volume) else source


def _around(source: VolumeGeometry, grid: VolumeGeometry) -> tuple[Index, Index]:
    """Return first and last index of the source that interpolation onto a grid reads; they may lie outside it."""
    voxels = np.linalg.inv(source.affine) @ grid.affine
    corners = np.array([[0, 0, 0], np.array(grid.shape) - 1]) @ voxels[:3, :3].T + voxels[:3, 3]
    width = np.maximum(1.0, np.abs(voxels[:3, :3]).max(axis=1))
    first = np.floor(corners.min(axis=0) - width).astype(int)
    return first, np.ceil(corners.max(axis=0) + width).astype(int)


def _box(volume: Volume, first: Index, last: Index) -> Volume:
    """Return part of a volume; where it lies beyond the border, the outermost voxels repeat."""
    ranges = [np.clip(np.arange(a, b + 1), 0, n - 1) for a, b, n in zip(first, last, volume.shape, strict=True)]
    return _like(volume, volume.array[np.ix_(*ranges)], first)


def _placed(region: Region, first: Index, last: Index) -> Floats:
    """Return the mask of a region on the box from a first to a last index."""
    shape = [b - a + 1 for a, b in zip(first, last, strict=True)]
    result = np.zeros(shape, np.float32)
    at = [start - a for start, a in zip(region.start, first, strict=True)]
    box = [(max(0, s), min(s + n, size)) for s, n, size in zip(at, region.mask.shape, shape, strict=True)]
    to = tuple(slice(low, high) for low, high in box)
    result[to] = region.mask[tuple(slice(low - s, high - s) for (low, high), s in zip(box, at, strict=True))]
    return result


def _like(volume: VolumeGeometry, array: npt.NDArray[np.generic], first: Index) -> Volume:
    """Return an array whose first voxel has an index on the grid of a volume, as a volume of its own."""
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ np.array(first)
    return Volume(array, affine, "PATIENT", frame_of_reference_uid=volume.frame_of_reference_uid)
