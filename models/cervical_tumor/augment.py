"""Random views of cases: zoom and elastic deformation as published, and what acquisitions differ in beyond them.

A view is a case on the network's grid, moved, turned, mirrored, zoomed and bent; diffusion and ADC are moved a little
against the T2w series; each sequence has another grey-value curve, shading and noise; and now and then diffusion,
ADC, or both are missing, so that the network works without them. Axes are (slice, row, column) = rising to (head,
posterior, left).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import IterableDataset

from imaging.prepare_sequences import normalise
from models.cervical_tumor.prepare import MULTIPLE, Prepared

T2W, DWI, ADC = 0, 1, 2
View = tuple[Tensor, Tensor]
"""Image (sequence, slice, row, column) and mask (1, slice, row, column), float32."""


class Views(IterableDataset[View]):
    """Draws views without end; the same seed gives the same views in one process."""

    def __init__(
        self, cases: Sequence[Prepared], stage: Mapping[str, Any], options: Mapping[str, Any], seed: int
    ) -> None:
        super().__init__()
        self.cases, self.stage, self.options, self.seed = cases, stage, options, seed
        self.spacing_mm = float(stage["spacing_mm"])
        self.rng = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[View]:
        worker = torch.utils.data.get_worker_info()
        self.rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            order = self.rng.permutation(len(self.cases))
            for number in order:
                yield self.draw(self.cases[number])

    def draw(self, case: Prepared) -> View:
        """Return a crop of the stage's shape, or a share of the field of view."""
        size = np.array(case.mask.shape)
        shape, middle = self._crop(case) if "shape" in self.stage else self._field_of_view(size)
        where, other = self._places(shape, middle)
        image = torch.from_numpy(np.asarray(case.image, np.float32))
        mask = torch.from_numpy(np.asarray(case.mask, np.float32))[None]
        first, late = _sample(torch.cat([image[:1], mask]), where), _sample(image[1:], other)
        return self._changed(torch.cat([first[:1], late])), (first[1:] > 0.5).float()

    # -- where -----------------------------------------------------------------------------------------------------

    def _crop(self, case: Prepared) -> tuple[list[int], np.ndarray]:
        """Size of a crop, and its middle in voxels: about the tumour, or anywhere."""
        rng, size, shape = self.rng, np.array(case.mask.shape), list(self.stage["shape"])
        tumour = np.argwhere(case.mask[::2, ::2, ::2]) * 2
        if len(tumour) and rng.random() >= self.options["anywhere_fraction"]:
            return shape, tumour[rng.integers(len(tumour))] + rng.uniform(-0.3, 0.3, 3) * shape
        return shape, rng.uniform(0.3, 0.7, 3) * size

    def _field_of_view(self, size: np.ndarray) -> tuple[list[int], np.ndarray]:
        """Size of a field of view as the application meets it, and its middle: all slices, most rows and columns."""
        rng = self.rng
        share = rng.uniform(*self.stage["field_of_view"])
        seen = size * (1.0, share, share)
        shape = [math.ceil(n / MULTIPLE - 1e-6) * MULTIPLE for n in seen]
        if rng.random() < self.options["padded_fraction"]:
            shape = [n + MULTIPLE * int(rng.integers(0, 2)) for n in shape]
        return shape, (size - 1) / 2 + rng.uniform(-0.5, 0.5, 3) * (size - seen)

    def _places(self, shape: Sequence[int], middle: np.ndarray) -> tuple[Tensor, Tensor]:
        """Voxels that a view shows of the T2w series, and of diffusion and ADC, (slice, row, column, 3)."""
        rng, options = self.rng, self.options
        zoom = rng.uniform(*options["zoom"]) if rng.random() < options["zoom_fraction"] else 1.0
        matrix = self._rotation() / zoom @ np.diag([1.0, 1.0, rng.choice([-1.0, 1.0])])
        where = torch.from_numpy(middle.astype(np.float32)).expand(1, 1, 1, 3)
        for axis, n in enumerate(shape):
            along = np.outer(np.arange(n) - (n - 1) / 2, matrix[:, axis]).astype(np.float32)
            where = where + torch.from_numpy(along).view([n if at == axis else 1 for at in range(3)] + [3])
        if rng.random() < options["elastic_fraction"]:
            where = where + self._bend(shape, options["elastic_mm"] * rng.random())
        moved = rng.normal(0, options["misaligned_mm"] / 2, 3) / self.spacing_mm
        other = self._bend(shape, options["misaligned_mm"] * rng.random()) + torch.from_numpy(moved.astype(np.float32))
        return where, other.add_(where)

    def _rotation(self) -> np.ndarray:
        """A rotation by random angles about the column, row and slice axes."""
        result = np.eye(3)
        for axis, limit in zip((2, 1, 0), self.options["rotation_deg"], strict=True):
            angle = math.radians(self.rng.uniform(-limit, limit))
            turn = np.eye(3)
            a, b = [i for i in range(3) if i != axis]
            turn[a, a] = turn[b, b] = math.cos(angle)
            turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
            result = result @ turn
        return result

    def _bend(self, shape: Sequence[int], most_mm: float) -> Tensor:
        points = self.options["elastic_points"]
        coarse = self._uniform((1, 3, points, points, points)) * (most_mm / self.spacing_mm)
        return F.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=True)[0].permute(1, 2, 3, 0)

    # -- what ------------------------------------------------------------------------------------------------------

    def _changed(self, channels: Tensor) -> Tensor:
        """Return the sequences with another contrast, shading and noise, normalised as the application does."""
        result, seen = torch.zeros_like(channels), channels != 0
        absent = self._absent()
        for at in range(len(channels)):
            if at not in absent and bool(seen[at].any()):
                changed = self._contrast(channels[at], seen[at], shaded=at != ADC)
                result[at] = torch.from_numpy(normalise(changed.numpy(), seen[at].numpy()))
        return result

    def _absent(self) -> tuple[int, ...]:
        dice, one = self.rng.random() - self.options["without_diffusion"], self.options["without_one"]
        if dice < 0:
            return DWI, ADC
        return (DWI,) if dice < one else (ADC,) if dice < 2 * one else ()

    def _contrast(self, channel: Tensor, seen: Tensor, *, shaded: bool) -> Tensor:
        rng, options = self.rng, self.options
        inside = channel[seen][::17]
        low, high = float(inside.quantile(0.005)), float(inside.quantile(0.995))
        image = ((channel - low) / max(high - low, 1e-6)).clamp(min=0)
        image = image ** float(np.exp(rng.uniform(-1, 1) * options["gamma_log"]))
        if shaded and rng.random() < 0.5:
            points = int(rng.integers(2, 5))
            coarse = torch.from_numpy(rng.normal(size=(1, 1, points, points, points)).astype(np.float32))
            field = F.interpolate(coarse, size=tuple(image.shape), mode="trilinear", align_corners=True)[0, 0]
            image = image * torch.exp(field * (options["bias_log"] * rng.random()))
        if rng.random() < 0.5:
            sd = options["noise"] * rng.random() ** 2
            image = image + torch.from_numpy(rng.standard_normal(tuple(image.shape), np.float32)) * sd
        return image

    def _uniform(self, shape: Sequence[int]) -> Tensor:
        return torch.from_numpy(self.rng.uniform(-1, 1, tuple(shape)).astype(np.float32))


def _sample(stack: Tensor, where: Tensor) -> Tensor:
    """Return the channels at places given in voxels; 0 outside."""
    size = torch.tensor(stack.shape[1:], dtype=torch.float32)
    grid = where.mul(2 / size).add_(1 / size - 1).flip(-1)[None]
    return F.grid_sample(stack[None], grid, padding_mode="zeros", align_corners=False)[0]
