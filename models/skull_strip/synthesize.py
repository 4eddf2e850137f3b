"""Synthetic head images from label maps, after SynthStrip (Hoopes et al., NeuroImage 2022).

Every image is drawn from labels: random signal per label, texture, bias field, noise, blur, thick slices, cuts
and defacing, under a random affine and elastic deformation. No acquired image is used. Axes are those of the
network: (head, posterior, left) = (slice, row, column) of an axial DICOM volume.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from imaging.head_phantom import BRAIN_TISSUES, T1W_SIGNAL, Tissue, label_head

CSF = 24
HULL_RADIUS_MM = 5.0
SLAB_MM = 165.0
"""A field of view not taller than this is a slab of axial slices about the brain, not a whole head."""

# Names of the groups a label belongs to, with the range of its T1w signal (white matter is about 0.85).
T1W_RANGES: Mapping[str, tuple[float, float]] = {
    "air": (0.0, 0.03),
    "white": (0.72, 1.0),
    "grey": (0.45, 0.75),
    "deep": (0.55, 0.85),
    "csf": (0.05, 0.32),
    "dura": (0.1, 0.8),
    "vessel": (0.1, 0.8),
    "eye": (0.05, 0.3),
    "fat": (0.6, 1.4),
    "muscle": (0.25, 0.65),
    "skin": (0.25, 0.9),
    "mucosa": (0.3, 1.0),
    "bone": (0.0, 0.18),
    "marrow": (0.2, 1.1),
    "lesion": (0.3, 0.7),
}
ATLAS_GROUPS: Mapping[int, str] = {
    **dict.fromkeys((2, 41, 7, 46, 16), "white"),
    **dict.fromkeys((3, 42, 8, 47, 17, 53, 18, 54, 26, 58), "grey"),
    **dict.fromkeys((10, 49, 11, 50, 12, 51, 13, 52, 28, 60, 85, 512, 530), "deep"),
    **dict.fromkeys((4, 5, 14, 15, 43, 44, 72, 136, 137, 163, 164, 24, 30, 62), "csf"),
    **dict.fromkeys((25, 57), "lesion"),
    **dict.fromkeys((502, 514), "vessel"),
    506: "eye",
    507: "muscle",
    508: "muscle",
    509: "mucosa",
    511: "skin",
    515: "bone",
    516: "marrow",
}
FAT, DURA = 600, 601  # made here: outer part of soft tissue, outermost shell of the CSF
PHANTOM_GROUPS: Mapping[Tissue, str] = {
    Tissue.AIR: "air",
    Tissue.SKIN: "skin",
    Tissue.FAT: "fat",
    Tissue.MUSCLE: "muscle",
    Tissue.CORTICAL_BONE: "bone",
    Tissue.CANCELLOUS_BONE: "marrow",
    Tissue.OUTER_CSF: "csf",
    Tissue.SULCAL_CSF: "csf",
    Tissue.CORTEX: "grey",
    Tissue.WHITE_MATTER: "white",
    Tissue.VENTRICLE: "csf",
    Tissue.DEEP_GREY: "deep",
    Tissue.CEREBELLUM: "grey",
    Tissue.BRAIN_STEM: "white",
    Tissue.EYE: "eye",
    Tissue.SPINAL_CORD: "deep",
}


@dataclass(frozen=True)
class Head:
    """Labels of one head at 1 mm, their groups, and the brain hull to be found."""

    name: str
    labels: Tensor  # (slice, row, column) uint8, index into groups
    groups: tuple[str, ...]
    hull: Tensor  # (1, 1, slice, row, column) float16 at 2 mm, fraction of brain
    centre_mm: tuple[float, float, float]  # of the hull, from the first voxel, in (slice, row, column)
    signal: Tensor | None = None  # fixed signal per label, for the phantom


def brain_hull(labels: np.ndarray) -> np.ndarray:
    """Return the brain hull of an atlas label map at 1 mm: tissue closed with a 5 mm ball, inside brain and CSF."""
    brain = _fill(_largest((labels > 0) & (labels < 500)))
    tissue = brain & (labels != CSF)
    near = ndimage.distance_transform_edt(~tissue) <= HULL_RADIUS_MM
    closed = ndimage.distance_transform_edt(near) > HULL_RADIUS_MM
    return _fill(_largest((closed & brain) | tissue))


def load_head(path: Path) -> Head:
    """Return the head of a label map file (NIfTI, 1 mm isotropic)."""
    image = nib.as_closest_canonical(nib.load(path))
    if not np.allclose(image.header.get_zooms(), 1.0, atol=1e-3):
        raise ValueError(f"label maps must be 1 mm isotropic, {path.name} has {image.header.get_zooms()} mm")
    atlas = np.asarray(image.dataobj).round().astype(np.int32)[::-1, ::-1, :].transpose(2, 1, 0)
    box = ndimage.find_objects((atlas > 0).astype(np.uint8))[0]
    box = tuple(slice(s.start, s.start + (s.stop - s.start + 1) // 2 * 2) for s in box)
    atlas = np.pad(atlas, 2)[tuple(slice(s.start, s.stop + 4) for s in box)]
    hull = brain_hull(atlas)
    atlas = _split_soft_tissue(atlas)
    ids, index = np.unique(atlas, return_inverse=True)
    groups = {0: "air", FAT: "fat", DURA: "dura", **ATLAS_GROUPS}
    return Head(
        name=path.name,
        labels=torch.from_numpy(index.reshape(atlas.shape).astype(np.uint8)),
        groups=tuple(groups[int(i)] for i in ids),
        hull=_half(torch.from_numpy(hull)),
        centre_mm=tuple(np.argwhere(hull).mean(0).tolist()),
    )


def phantom_head() -> Head:
    """Return the procedural phantom as a head: its signal is that of the embedded sample."""
    axes = [np.arange(low, high, 1.0) for low, high in ((-150, 96), (-124, 116), (-96, 96))]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    labels = label_head(np.stack([x, y, z], -1))
    hull = _fill(_largest(np.isin(labels, BRAIN_TISSUES)))
    return Head(
        name="phantom",
        labels=torch.from_numpy(labels),
        groups=tuple(PHANTOM_GROUPS[t] for t in Tissue),
        hull=_half(torch.from_numpy(hull)),
        centre_mm=tuple(np.argwhere(hull).mean(0).tolist()),
        signal=torch.tensor([T1W_SIGNAL[t] / 800 for t in Tissue]),
    )


def _split_soft_tissue(atlas: np.ndarray) -> np.ndarray:
    """Fat under the skin, and a thin dura where CSF meets bone: the atlas has one label for each pair."""
    depth = ndimage.distance_transform_edt(atlas > 0)
    coarse = np.random.default_rng(0).normal(size=[n // 16 + 2 for n in atlas.shape])
    wave = ndimage.zoom(coarse, 16, order=1)[tuple(slice(n) for n in atlas.shape)]
    result = atlas.copy()
    result[(atlas == 507) & (depth < 7 + 4 * wave)] = FAT
    result[(atlas == 507) & (depth >= 7 + 4 * wave) & (wave > 0.9)] = FAT
    near_bone = ndimage.binary_dilation(atlas >= 500, iterations=1)
    result[(atlas == CSF) & near_bone] = DURA
    return result


def _largest(mask: np.ndarray) -> np.ndarray:
    labels, count = ndimage.label(mask)
    return labels == 1 + np.argmax(np.bincount(labels.ravel())[1:]) if count else mask


def _fill(mask: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.binary_fill_holes(mask))


def _half(mask: Tensor) -> Tensor:
    return F.avg_pool3d(mask.float()[None, None], 2).half()


class Synthesizer:
    """Draws (image, target) pairs; the same seed gives the same pairs."""

    def __init__(self, heads: Sequence[Head], options: Mapping[str, Any], seed: int, device: str = "cpu") -> None:
        self.heads = [head for head in heads if head.name != "phantom"]
        self.phantoms = [head for head in heads if head.name == "phantom"]
        self.options = options
        self.device = torch.device(device)
        self.rng = np.random.default_rng(seed)
        self.noise = torch.Generator(self.device).manual_seed(seed)

    def draw(self, shape: Sequence[int], spacing_mm: float) -> tuple[Tensor, Tensor]:
        """Return image and target, each (1, 1, slice, row, column) float32; the image lies within 0 to 1."""
        use_phantom = bool(self.phantoms) and self.rng.random() < self.options["phantom_fraction"]
        heads = self.phantoms if use_phantom else self.heads
        head = heads[self.rng.integers(len(heads))]
        where_mm = self._deformed_grid(head, shape, spacing_mm)
        target = self._sample(head.hull.to(self.device).float(), (where_mm - 0.5) / 2)
        image = self._paint(head, where_mm, samples=int(self.rng.choice([1, 2, 4])))
        return self._degrade(image, target, spacing_mm)

    def stream(self, shapes: Sequence[Sequence[int]], spacing_mm: float) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield pairs without end, each of a shape drawn from ``shapes``."""
        while True:
            yield self.draw(shapes[self.rng.integers(len(shapes))], spacing_mm)

    # -- where -------------------------------------------------------------------------------------------------

    def _deformed_grid(self, head: Head, shape: Sequence[int], spacing_mm: float) -> Tensor:
        """Positions in mm from the first voxel of the label map, (slice, row, column, 3)."""
        options, rng = self.options, self.rng
        rotation = self._rotation(rng.uniform(-1, 1, 3) * options["rotation_deg"] * rng.choice([0.3, 1.0]))
        scale = np.diag(rng.uniform(*options["scale"]) * rng.uniform(0.94, 1.06, 3))
        shear = np.eye(3) + rng.normal(0, options["shear"] / 2, (3, 3)) * (1 - np.eye(3))
        flip = np.diag([1.0, 1.0, rng.choice([-1.0, 1.0])])
        matrix = torch.tensor(rotation @ scale @ shear @ flip, dtype=torch.float32, device=self.device)
        shift = rng.uniform(-1, 1, 3) * options["translation_mm"]
        whole_head = shape[0] * spacing_mm > SLAB_MM
        shift[0] = shift[0] - 22 if whole_head else shift[0] / 2  # with the neck, or a slab about the brain
        axes = [
            (torch.arange(n, device=self.device, dtype=torch.float32) - (n - 1) / 2) * spacing_mm + float(offset)
            for n, offset in zip(shape, shift, strict=True)
        ]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
        grid = grid + self._elastic(shape)
        return grid @ matrix.T + torch.tensor(head.centre_mm, device=self.device, dtype=torch.float32)

    @staticmethod
    def _rotation(degrees: np.ndarray) -> np.ndarray:
        result = np.eye(3)
        for axis, angle in enumerate(np.deg2rad(degrees)):
            turn = np.eye(3)
            a, b = [i for i in range(3) if i != axis]
            turn[a, a] = turn[b, b] = math.cos(angle)
            turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
            result = result @ turn
        return result

    def _elastic(self, shape: Sequence[int]) -> Tensor:
        total = torch.zeros((1, 3, *shape), device=self.device)
        for points, sd_mm in self.options["elastic_mm"]:
            coarse = self._normal((1, 3, points, points, points)) * (sd_mm * self.rng.random() * 1.5)
            total += F.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)
        return total[0].permute(1, 2, 3, 0)

    @staticmethod
    def _sample(volume: Tensor, where: Tensor) -> Tensor:
        size = torch.tensor(volume.shape[2:], device=where.device, dtype=torch.float32)
        grid = ((2 * where + 1) / size - 1).flip(-1)[None]
        return F.grid_sample(volume, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    def _paint(self, head: Head, where_mm: Tensor, samples: int) -> Tensor:
        """Mean signal of a few labels around each position: stands for the partial volume of a voxel."""
        labels, signals = head.labels.to(self.device).flatten(), self._signals(head)
        size = torch.tensor(head.labels.shape, device=self.device)
        total = torch.zeros(where_mm.shape[:3], device=self.device)
        for _ in range(samples):
            jitter = self._normal((3,)) * (0.6 if samples > 1 else 0.0)
            at = (where_mm + jitter).round_().int()
            at = torch.minimum(at.clamp_(min=0), size - 1)  # the outermost voxels are air
            flat = (at[..., 0] * size[1] + at[..., 1]) * size[2] + at[..., 2]
            total += signals[labels[flat].int()]
        return (total / samples)[None, None]

    # -- what --------------------------------------------------------------------------------------------------

    def _signals(self, head: Head) -> Tensor:
        """Signal of each label: like T1w, or anything; the phantom also as in the embedded sample."""
        rng = self.rng
        if head.signal is not None and rng.random() < 0.5:
            return head.signal.to(self.device) * float(rng.uniform(0.9, 1.1))
        if rng.random() < self.options["t1w_fraction"]:
            bases = {group: rng.uniform(*limits) for group, limits in T1W_RANGES.items()}
            if rng.random() < 0.25:  # contrast agent
                bases["vessel"], bases["mucosa"], bases["dura"] = rng.uniform(0.9, 1.6, 3)
            if rng.random() < 0.4:  # surface coils and spin echoes: fat far brighter than brain
                gain = rng.uniform(1, 2.5)
                for group in ("fat", "marrow", "skin"):
                    bases[group] *= gain
            if rng.random() < 0.3:  # hardly any contrast between grey and white matter
                bases["grey"] = bases["white"] * rng.uniform(0.82, 0.98)
            if rng.random() < 0.2:  # fat saturation
                bases["fat"], bases["marrow"] = rng.uniform(0.05, 0.35, 2)
        else:
            bases = {group: rng.random() for group in T1W_RANGES}
            bases["air"] = rng.uniform(0, 0.05)
        spread = rng.uniform(0, 0.08)
        values = [max(0.0, bases[group] + (group != "air") * rng.normal(0, spread)) for group in head.groups]
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    # -- how it was acquired -----------------------------------------------------------------------------------

    def _degrade(self, image: Tensor, target: Tensor, spacing_mm: float) -> tuple[Tensor, Tensor]:
        rng, options = self.rng, self.options
        shape = image.shape[2:]
        image = image * (1 + self._smooth_noise(shape, 24) * rng.uniform(0, 0.12))
        image = image * torch.exp(self._smooth_noise(shape, rng.integers(2, 6)) * options["bias_log"] * rng.random())
        image = self._deface(image, target)
        image = self._blur(image, rng.uniform(0, options["blur_voxels"]))
        if rng.random() < 0.7:
            sd = options["noise"] * rng.random() ** 1.5
            image = torch.hypot(image + self._normal(image.shape) * sd, self._normal(image.shape) * sd)
        image = self._thick_slices(image, spacing_mm)
        seen = self._field_of_view(shape)
        image = self._normalise(image * seen) ** float(np.exp(rng.normal(0, 0.3)))
        return image, target * seen

    def _deface(self, image: Tensor, target: Tensor) -> Tensor:
        """Remove what lies in front of an oblique plane below the forehead, but never brain."""
        if self.rng.random() > self.options["defaced_fraction"]:
            return image
        n = image.shape[2:]
        axes = [torch.linspace(-1, 1, k, device=image.device) for k in n]
        z, y, _ = torch.meshgrid(*axes, indexing="ij")
        slope, offset = self.rng.uniform(0.2, 1.5), self.rng.uniform(-0.6, -0.1)
        near = F.max_pool3d(target, 5, 1, 2) > 0.1
        gone = (y < offset - slope * (z + 0.1)) & (z < self.rng.uniform(-0.3, 0.3))
        return torch.where(gone[None, None] & ~near, torch.zeros_like(image), image)

    def _thick_slices(self, image: Tensor, spacing_mm: float) -> Tensor:
        if self.rng.random() < 0.4:
            return image
        thickness = self.rng.uniform(spacing_mm, max(self.options["slice_mm"], spacing_mm * 1.2))
        size = list(image.shape[2:])
        axis = int(self.rng.integers(3))
        size[axis] = max(8, round(size[axis] * spacing_mm / thickness))
        thin = F.interpolate(image, size=size, mode="area")
        return F.interpolate(thin, size=image.shape[2:], mode="trilinear", align_corners=False)

    def _field_of_view(self, shape: Sequence[int]) -> Tensor:
        """One inside the field of view, which sometimes ends within the head."""
        seen = torch.ones((1, 1, 1, 1, 1), device=self.device)
        if self.rng.random() < self.options["cropped_fraction"]:
            axis = int(self.rng.integers(3))
            keep = torch.ones(shape[axis], device=self.device)
            keep[: int(self.rng.uniform(0, 0.22) * shape[axis])] = 0
            keep = keep.flip(0) if self.rng.random() < 0.5 else keep
            seen = keep.reshape([1, 1, *(-1 if i == axis else 1 for i in range(3))])
        return seen

    def _normalise(self, image: Tensor) -> Tensor:
        values = image.flatten()[:: max(1, image.numel() // 200_000)]
        low, high = torch.quantile(values, torch.tensor([0.005, 0.995], device=image.device))
        return ((image - low) / (high - low).clamp(min=1e-6)).clamp(0, 1)

    def _blur(self, image: Tensor, sd: float) -> Tensor:
        if sd < 0.2:
            return image
        offsets = torch.arange(-2, 3, device=image.device, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / sd) ** 2)
        kernel = kernel / kernel.sum()
        for axis in range(3):
            shape = [1, 1, *(5 if i == axis else 1 for i in range(3))]
            padding = [2 if i == axis else 0 for i in range(3)]
            image = F.conv3d(image, kernel.reshape(shape), padding=padding)
        return image

    def _smooth_noise(self, shape: Sequence[int], points: int) -> Tensor:
        coarse = self._normal((1, 1, points, points, points))
        return F.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)

    def _normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=self.noise, device=self.device)
