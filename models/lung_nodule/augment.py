"""Training examples: nodules as other scanners, readers and outlines would show them. The shape of a nodule is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from highdicom import Volume
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from imaging.nodule_crop import CropInput, classifier_crop, window_hu
from imaging.region import Region, region_of
from imaging.resample import interpolation_weights
from models.lung_nodule.prepare import Nodule

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
THIN_MM = 1.6
"""Slices up to this distance may be averaged in pairs."""
LUNG_HU = -850.0
CROSS = ndimage.generate_binary_structure(2, 1)[None]
"""Neighbours within a slice."""


def draw_cubes(nodule: Nodule, wanted: CropInput, options: dict[str, Any], seed: Sequence[int]) -> Floats:
    """Return cubes of a nodule (variant, slice, row, column): the one the application sees, and varied ones."""
    rng = np.random.default_rng(seed)
    varied = [draw_cube(nodule, wanted, options, rng) for _ in range(options["variants"] - 1)]
    return np.stack([classifier_crop(nodule.volume, nodule.region, wanted), *varied])


def draw_cube(nodule: Nodule, wanted: CropInput, options: dict[str, Any], rng: np.random.Generator) -> Floats:
    """Return a cube of a nodule with a varied mask, slices and noise."""
    image, mask, spacing = nodule.volume.array, nodule.region.within(nodule.volume.shape), nodule.volume.affine
    if rng.random() < options["mask_fraction"]:
        mask = varied_mask(mask, rng)
    if rng.random() < options["thick_fraction"] and nodule.volume.spacing[0] <= THIN_MM and len(image) > 3:
        image, mask, spacing = thicker(image, mask, spacing)
    image = image + rng.normal(0, options["noise_hu"] * rng.random() ** 2, image.shape).astype(np.float32)
    region = region_of(mask) or nodule.region
    return classifier_crop(Volume(image, spacing, "PATIENT"), region, wanted)


def varied_mask(mask: Bools, rng: np.random.Generator) -> Bools:
    """Return a mask as somebody else, or a network, or a person with two clicks might have drawn it."""
    kind = rng.integers(5)
    if kind == 0:
        varied = ndimage.binary_dilation(mask, CROSS)
    elif kind == 1:
        varied = ndimage.binary_erosion(mask, CROSS)
    elif kind == 2:
        varied = ndimage.gaussian_filter(mask.astype(np.float32), (0.7, 1.2, 1.2)) > rng.uniform(0.3, 0.6)
    elif kind == 3:
        varied = np.roll(mask, rng.integers(-1, 2, 2), (1, 2))
    else:
        varied = ellipsoid(mask)
    return varied if 0.3 < np.count_nonzero(varied) / np.count_nonzero(mask) < 2.5 else mask


def ellipsoid(mask: Bools) -> Bools:
    """Return the ellipsoid in the bounding box of a mask."""
    region = region_of(mask)
    if region is None:
        return mask
    axes = np.meshgrid(*((np.arange(n) - (n - 1) / 2) / (n / 2) for n in region.mask.shape), indexing="ij")
    return Region(sum(axis**2 for axis in axes) <= 1, region.start).within(mask.shape)  # type: ignore[arg-type]


def thicker(
    image: Floats, mask: Bools, affine: npt.NDArray[np.float64]
) -> tuple[Floats, Bools, npt.NDArray[np.float64]]:
    """Return neighbouring slices averaged in pairs; an odd one at the end is dropped unless the mask is in it."""
    if len(image) % 2:
        image, mask = (np.concatenate([part, part[-1:]]) for part in (image, mask))
    doubled = affine.copy()
    doubled[:3, 0] *= 2
    doubled[:3, 3] += affine[:3, 0] / 2
    return (image[::2] + image[1::2]) / 2, mask[::2] | mask[1::2], doubled


def turned(cubes: Tensor, wanted: CropInput, options: dict[str, Any], rng: np.random.Generator) -> Tensor:
    """Return cubes (batch, 1, ...) turned about random axes, enlarged, moved and mirrored; each in its own way.

    wanted  the grid to return, which has the field of view of the cubes
    """
    extent_mm = np.array(wanted.shape) * wanted.spacing_mm / 2
    matrices = []
    for _ in range(len(cubes)):
        axis = rng.normal(size=3)
        angle = np.radians(rng.uniform(-options["rotation_deg"], options["rotation_deg"]))
        turn = Rotation.from_rotvec(axis / np.linalg.norm(axis) * angle).as_matrix()
        turn = turn @ np.diag(rng.choice([-1.0, 1.0], 3)) / rng.uniform(*options["scale"])
        shift = rng.uniform(-1, 1, 3) * options["shift_mm"] / extent_mm
        matrices.append(np.concatenate([turn, shift[:, None]], axis=1))
    theta = torch.tensor(np.array(matrices), dtype=torch.float32)
    grid = F.affine_grid(theta, [len(cubes), 1, *wanted.shape], align_corners=False)
    return F.grid_sample(cubes, grid, align_corners=False)


def draw_box(
    nodule: Nodule, wanted: CropInput, shape: Sequence[int], options: dict[str, Any], rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Return image, mask and known voxels of a box about a seed in a nodule, (slice, row, column) each.

    Beyond the crop nothing is known: it is filled in one of several ways, so that the network relies on none.
    """
    image, mask, affine = nodule.volume.array, nodule.region.within(nodule.volume.shape), nodule.volume.affine
    if rng.random() < options["thick_fraction"] and nodule.volume.spacing[0] <= THIN_MM and len(image) > 3:
        image, mask, affine = thicker(image, mask, affine)
    spacing = np.diag(affine[[2, 1, 0]][:, :3]) * rng.uniform(*options["scale"]) * rng.uniform(0.95, 1.05, 3)
    seed = draw_seed(mask, spacing, options, rng)
    noise = rng.normal(0, 1, image.shape).astype(np.float32) * options["noise_hu"] * rng.random() ** 2
    image = image + noise + np.float32(rng.normal(0, options["offset_hu"]))
    low, high = reach(seed, spacing, shape, wanted.spacing_mm)
    widths = [(max(0, -a), max(0, b - n)) for a, b, n in zip(low, high, image.shape, strict=True)]
    cut = tuple(slice(max(0, a), min(b, n)) for a, b, n in zip(low, high, image.shape, strict=True))
    padded = filled(image[cut], widths, rng)
    parts = [padded, np.pad(mask[cut].astype(np.float32), widths), np.pad(np.ones(mask[cut].shape, np.float32), widths)]
    for axis in range(3):
        weights = interpolation_weights(
            padded.shape[axis],
            shape[axis],
            scale=wanted.spacing_mm[axis] / spacing[axis],
            offset=seed[axis] - low[axis] - (shape[axis] - 1) / 2 * wanted.spacing_mm[axis] / spacing[axis],
        )
        parts = [np.moveaxis(np.tensordot(weights, part, (1, axis)), 0, axis) for part in parts]
    box, truth, known = mirrored(parts, rng)
    return window_hu(box, wanted.window_hu), truth, (known > 0.99).astype(np.float32)


def draw_seed(
    mask: Bools, spacing: npt.NDArray[np.float64], options: dict[str, Any], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return an index inside a mask: part of the way from the centroid to a voxel of it, at most some millimetres."""
    voxels = np.argwhere(mask)
    centroid = voxels.mean(axis=0)
    step = (voxels[rng.integers(len(voxels))] - centroid) * rng.uniform(0, options["seed_share"])
    length_mm = float(np.linalg.norm(step * spacing))
    return centroid + step * min(1.0, options["seed_mm"] / max(length_mm, 1e-6))


def reach(
    seed: npt.NDArray[np.float64], spacing: npt.NDArray[np.float64], shape: Sequence[int], spacing_mm: tuple[float, ...]
) -> tuple[list[int], list[int]]:
    """Return the first index that a box about a seed reads, and the one past the last."""
    half = np.array(shape) / 2 * spacing_mm / spacing + np.maximum(1, np.array(spacing_mm) / spacing)
    return [int(a) for a in np.floor(seed - half)], [int(a) + 1 for a in np.ceil(seed + half)]


def filled(image: Floats, widths: list[tuple[int, int]], rng: np.random.Generator) -> Floats:
    """Return an image with something beside it: its own edge, its mirror image, lung, or an edge that fades to lung."""
    kind = rng.integers(4)
    if kind == 0:
        return np.pad(image, widths, mode="edge")
    if kind == 1:
        return np.pad(image, widths, mode="symmetric")
    lung = np.float32(rng.normal(LUNG_HU, 50))
    known = np.pad(np.ones(image.shape, bool), widths)
    noise = rng.normal(0, rng.uniform(5, 60), known.shape).astype(np.float32)
    if kind == 2:
        return np.where(known, np.pad(image, widths), lung + noise)
    away = ndimage.distance_transform_cdt(~known, "taxicab").astype(np.float32)
    share = np.exp(-away / np.float32(rng.uniform(0.7, 6)))
    return np.pad(image, widths, mode="edge") * share + (lung + noise) * (1 - share)


def mirrored(parts: list[Floats], rng: np.random.Generator) -> list[Floats]:
    """Return arrays mirrored, and rows and columns exchanged, all in the same random way."""
    axes = [axis for axis in range(3) if rng.random() < 0.5]
    parts = [np.flip(part, axes) for part in parts]
    return [part.swapaxes(1, 2) for part in parts] if rng.random() < 0.5 else parts
