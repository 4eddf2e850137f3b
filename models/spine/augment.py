"""Random views of real scans: crops on the network's grid with geometry, contrast and acquisition changed.

The published augmentations (gamma, scale, rotation, elastic) plus what a lumbar protocol varies beyond them: slice
thickness and gap, signal of the marrow (T1, fat saturation, replacement by tumour or oedema), the grey-value curve,
surface-coil bias, noise and blur. Axes are (slice, row, column) = rising to (left, foot, posterior).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from models.spine.prepare import Scan

BODY, CORE = 0, 1
"""Channels of the target and of the network's output."""
PROFILES = ((1.0,), (0.5, 0.5), (0.25, 0.5, 0.25))
"""Slice profiles: a thin slice with a gap, a thick slice, and the triangle that inference resamples with."""


@dataclass(frozen=True)
class Source:
    """A scan ready to be sampled: channels are z-score image, body, core, and one where labels are known."""

    kind: str
    group: str
    channels: Tensor  # (1, 4, slice, row, column) float32
    spacing_mm: tuple[float, float, float]
    centres_mm: np.ndarray  # (bodies, 3) from the first voxel


def source_of(scan: Scan) -> Source:
    """Return a scan as tensors."""
    stack = np.stack([z_score(scan.image), scan.labels > 0, scan.core, scan.known]).astype(np.float32)
    boxes = [box for box in ndimage.find_objects(scan.labels) if box is not None]
    centres = [[(side.start + side.stop - 1) / 2 for side in box] for box in boxes]
    return Source(
        kind=scan.case.kind,
        group=scan.case.patient_group,
        channels=torch.from_numpy(stack)[None],
        spacing_mm=scan.spacing_mm,
        centres_mm=np.array(centres) * np.array(scan.spacing_mm),
    )


def z_score(image: np.ndarray) -> np.ndarray:
    """Return the image with zero mean and unit standard deviation over the whole volume, float32."""
    values = image.astype(np.float32)
    return np.asarray((values - values.mean()) / max(float(values.std()), 1e-6))


class Augmenter:
    """Draws (image, target, known); the same seed gives the same crops."""

    def __init__(
        self, sources: Sequence[Source], sampling: Mapping[str, float], options: Mapping[str, Any], seed: int
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.noise = torch.Generator().manual_seed(seed)
        self.options = options
        kinds = [kind for kind in sampling if any(source.kind == kind for source in sources)]
        self.by_kind = {kind: _by_group([source for source in sources if source.kind == kind]) for kind in kinds}
        self.kinds = kinds
        self.odds = np.array([sampling[kind] for kind in kinds]) / sum(sampling[kind] for kind in kinds)

    def stream(
        self, shapes: Sequence[Sequence[int]], spacing_mm: Sequence[float], batch: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield batches without end; the crops of a batch share a shape drawn from ``shapes``."""
        while True:
            shape = shapes[int(self.rng.integers(len(shapes)))]
            crops = [self.draw(self._source(), shape, spacing_mm) for _ in range(batch)]
            yield tuple(torch.cat(parts) for parts in zip(*crops, strict=True))

    def whole(
        self, share: Sequence[float], spacing_mm: Sequence[float], multiples: Sequence[int]
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield fields of view as the application meets them: all slices, a random share of the rows and columns.

        Instance normalisation sees the whole image, so a network that learns from crops alone is off on whole scans.
        """
        while True:
            source = self._source()
            size_mm = np.array(source.channels.shape[2:]) * source.spacing_mm
            seen_mm = size_mm * (1.0, *self.rng.uniform(*share, 2))
            shape = [math.ceil(mm / step / m) * m for mm, step, m in zip(seen_mm, spacing_mm, multiples, strict=True)]
            centre_mm = size_mm / 2 + self.rng.uniform(-0.5, 0.5, 3) * np.maximum(size_mm - seen_mm, 0)
            yield self.draw(source, shape, spacing_mm, centre_mm)

    def draw(
        self, source: Source, shape: Sequence[int], spacing_mm: Sequence[float], centre_mm: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return image (1, 1, ...), target (1, 2, ...) and known (1, 1, ...), float32 (slice, row, column)."""
        where_mm, slice_mm = self._grid(source, shape, spacing_mm, centre_mm)
        sampled = self._sample(source, where_mm, slice_mm)
        image, target, known = sampled[:, :1], sampled[:, 1:3], sampled[:, 3:]
        size_mm = torch.tensor(source.channels.shape[2:]) * torch.tensor(source.spacing_mm)
        seen = ((where_mm >= -0.5 * torch.tensor(source.spacing_mm)) & (where_mm < size_mm)).all(-1)[None, None]
        image = self._contrast(image, target[:, BODY : BODY + 1])
        image = self._acquire(image)
        inside = image[seen]
        image = (image - inside.mean()) / inside.std().clamp(min=1e-6) if inside.numel() > 1 else image
        image = image * float(np.exp(self.rng.normal(0, 0.2))) + float(self.rng.normal(0, 0.3))
        return image * seen, target, (known > 0.99).float()

    def _source(self) -> Source:
        groups = self.by_kind[self.kinds[self.rng.choice(len(self.kinds), p=self.odds)]]
        scans = groups[self.rng.integers(len(groups))]
        return scans[self.rng.integers(len(scans))]

    # -- where -------------------------------------------------------------------------------------------------

    def _grid(
        self, source: Source, shape: Sequence[int], spacing_mm: Sequence[float], centre_mm: np.ndarray | None
    ) -> tuple[Tensor, float]:
        """Positions in mm from the first voxel, (slice, row, column, 3), and the distance of slices in mm."""
        rng, options = self.rng, self.options
        matrix = self._rotation() * rng.uniform(*options["scale"]) @ np.diag(rng.uniform(0.95, 1.05, 3))
        slice_scale = rng.uniform(*options["slice_scale"])
        steps = np.array(spacing_mm) * (slice_scale, 1.0, 1.0)
        flip = np.array([rng.choice([-1.0, 1.0]), 1.0, 1.0])
        axes = [(np.arange(n) - (n - 1) / 2) * step * sign for n, step, sign in zip(shape, steps, flip, strict=True)]
        grid = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij"), -1).astype(np.float32))
        if rng.random() < 0.5:
            grid = grid + self._elastic(shape)
        if centre_mm is None:
            centre_mm = self._centre(source, np.array(shape) * steps)
        centre = torch.from_numpy(centre_mm.astype(np.float32))
        return grid @ torch.from_numpy(matrix.astype(np.float32)).T + centre, float(steps[0])

    def _centre(self, source: Source, extent_mm: np.ndarray) -> np.ndarray:
        """Middle of the crop in mm: near a body, or anywhere."""
        rng = self.rng
        size_mm = np.array(source.channels.shape[2:]) * source.spacing_mm
        if rng.random() < self.options["anywhere_fraction"]:
            return np.asarray(rng.uniform(0.2, 0.8, 3) * size_mm)
        jitter = rng.uniform(-0.5, 0.5, 3) * (0.4, 0.6, 0.8) * extent_mm
        return np.asarray(source.centres_mm[rng.integers(len(source.centres_mm))] + jitter)

    def _rotation(self) -> np.ndarray:
        """A rotation by random angles about the row, column and slice axes."""
        result = np.eye(3)
        for axis, limit in zip((1, 2, 0), self.options["rotation_deg"], strict=True):
            angle = math.radians(self.rng.uniform(-limit, limit))
            turn = np.eye(3)
            a, b = [i for i in range(3) if i != axis]
            turn[a, a] = turn[b, b] = math.cos(angle)
            turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
            result = result @ turn
        return result

    def _elastic(self, shape: Sequence[int]) -> Tensor:
        points = self.options["elastic_points"]
        coarse = self._uniform((1, 3, points, points, points)) * self.options["elastic_mm"] * self.rng.random()
        coarse[:, 0] *= 0.5  # the slice axis has no detail to bend
        return F.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)[0].permute(1, 2, 3, 0)

    def _sample(self, source: Source, where_mm: Tensor, slice_mm: float) -> Tensor:
        """Mean over a random slice profile: the image and its labels see the same partial volume."""
        profile = PROFILES[self.rng.integers(len(PROFILES))]
        spread = slice_mm * {1: 0.0, 2: 0.5, 3: 1.0}[len(profile)]
        offsets = np.linspace(-spread / 2, spread / 2, len(profile)) if len(profile) > 1 else [0.0]
        size = torch.tensor(source.channels.shape[2:], dtype=torch.float32)
        total = torch.zeros(1, 4, *where_mm.shape[:3])
        for weight, offset in zip(profile, offsets, strict=True):
            at = where_mm + torch.tensor([float(offset), 0.0, 0.0])
            grid = ((2 * at / torch.tensor(source.spacing_mm) + 1) / size - 1).flip(-1)[None]
            total += weight * F.grid_sample(source.channels, grid, padding_mode="border", align_corners=False)
        outside = (grid.abs() > 1).any(-1)[:, None]
        total[:, 1:3] = total[:, 1:3].masked_fill(outside, 0.0)
        return total

    # -- what --------------------------------------------------------------------------------------------------

    def _contrast(self, image: Tensor, body: Tensor) -> Tensor:
        """Grey values between about 0 and 1 with another signal of marrow, gamma and grey-value curve."""
        rng, options = self.rng, self.options
        low, high = torch.quantile(image.flatten()[:: max(1, image.numel() // 50_000)], torch.tensor([0.005, 0.995]))
        image = (image - low) / (high - low).clamp(min=1e-6)
        if rng.random() < options["marrow_fraction"]:
            image = image * (1 + (float(rng.uniform(0.4, 2.2)) - 1) * body)
        if rng.random() < options["lesion_fraction"]:
            blobs = self._smooth_noise(image.shape[2:], int(rng.integers(5, 12)))
            blobs = (blobs - float(rng.uniform(0.7, 1.4))).clamp(0, 1)
            image = image * (1 + (float(rng.uniform(0.3, 2.0)) - 1) * blobs)
        image = image.clamp(min=0) ** float(np.exp(rng.uniform(-1, 1) * options["gamma_log"]))
        if rng.random() < options["curve_fraction"]:
            image = self._curve(image)
        return image

    def _curve(self, image: Tensor) -> Tensor:
        """A random monotonous piecewise linear curve, sometimes falling: stands for other sequences."""
        knots = np.linspace(0, 1, 6)
        values = np.sort(np.concatenate([[0.0], self.rng.random(4), [1.0]]))
        if self.rng.random() < self.options["inverted_fraction"]:
            values = 1 - values
        bent = np.interp(image.numpy(), knots, values).astype(np.float32)
        return torch.from_numpy(bent) + 0.3 * (image - 1).clamp(min=0)

    # -- how it was acquired -----------------------------------------------------------------------------------

    def _acquire(self, image: Tensor) -> Tensor:
        rng, options = self.rng, self.options
        if rng.random() < 0.5:
            points = int(rng.integers(2, 5))
            image = image * torch.exp(self._smooth_noise(image.shape[2:], points) * options["bias_log"] * rng.random())
        if rng.random() < 0.3:
            image = self._blur(image, rng.uniform(0.3, options["blur_voxels"]))
        if rng.random() < 0.5:
            sd = options["noise"] * rng.random() ** 2
            image = torch.hypot(image + self._normal(image.shape) * sd, self._normal(image.shape) * sd)
        return image

    def _blur(self, image: Tensor, sd: float) -> Tensor:
        """Blur within the slice plane; sd in voxels."""
        offsets = torch.arange(-2, 3, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / sd) ** 2)
        kernel = kernel / kernel.sum()
        image = F.conv3d(image, kernel.reshape(1, 1, 1, 5, 1), padding=(0, 2, 0))
        return F.conv3d(image, kernel.reshape(1, 1, 1, 1, 5), padding=(0, 0, 2))

    def _smooth_noise(self, shape: Sequence[int], points: int) -> Tensor:
        coarse = self._normal((1, 1, max(2, points // 2), points, points))
        return F.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)

    def _normal(self, shape: Sequence[int]) -> Tensor:
        return torch.randn(tuple(shape), generator=self.noise)

    def _uniform(self, shape: Sequence[int]) -> Tensor:
        return torch.rand(tuple(shape), generator=self.noise) * 2 - 1


def _by_group(sources: Sequence[Source]) -> list[list[Source]]:
    """Scans of each patient group: a patient with many scans is not drawn more often."""
    groups: dict[str, list[Source]] = {}
    for source in sources:
        groups.setdefault(source.group, []).append(source)
    return list(groups.values())
