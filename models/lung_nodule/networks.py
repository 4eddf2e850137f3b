"""The two networks: a residual classifier whose evidence can be seen, and a small U-Net that starts at a seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

READINGS = ("Malignancy", "Subtlety", "Spiculation", "Lobulation", "Margin", "Sphericity", "Texture", "Calcification")
"""What readers scored beside the label: learned with it, never an input."""


SHARPNESS = 36.0
"""Of the steps of ``Statistics``: from 27 % to 73 % within 100 HU of a window of 1800 HU."""


class Residual(nn.Module):
    """Two convolutions with batch norm and ReLU, the input added before the last ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(before, after, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm3d(after)
        self.second = nn.Conv3d(after, after, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm3d(after)
        self.skip = nn.Conv3d(before, after, 1, bias=False) if before != after else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """Return the features of an image of features."""
        inner = torch.relu(self.first_norm(self.first(image)))
        return torch.relu(self.second_norm(self.second(inner)) + self.skip(image))


class Statistics(nn.Module):
    """How many voxels of a masked cube are brighter than each of some values, and how far the mask extends: logs."""

    def __init__(self, steps: Sequence[float], hidden: int) -> None:
        super().__init__()
        self.register_buffer("steps", torch.tensor(steps, dtype=torch.float32).reshape(1, -1, 1, 1, 1))
        size = len(steps) + 4
        self.layers = nn.Sequential(nn.BatchNorm1d(size), nn.Linear(size, hidden), nn.ReLU())

    def forward(self, cube: Tensor, mask: Tensor) -> Tensor:
        """Return the features (batch, feature)."""
        brighter = (torch.sigmoid((cube - self.steps) * SHARPNESS) * mask).sum((2, 3, 4))
        extents = [mask.amax(axes).sum(2) for axes in ((3, 4), (2, 4), (2, 3))]
        return self.layers(torch.log1p(torch.cat([brighter, mask.sum((2, 3, 4)), *extents], 1)))


class Classifier(nn.Module):
    """A masked cube (batch, 1, slice, row, column) -> a map of evidence (batch, 1, ...) whose mean is the logit.

    Features of a residual network, averaged over the nodule, stand beside statistics of its voxels; the head is linear
    in both. So it may be applied before averaging: the part of the residual network is the class activation map (Zhou
    et al., CVPR 2016), to which Grad-CAM is identical for such a head, up to a factor (Selvaraju et al., ICCV 2017).
    The part of the statistics, which has no place of its own, is spread evenly over the nodule.
    """

    def __init__(
        self,
        channels: Sequence[int],
        pooled: Sequence[bool],
        dropout: float,
        steps: Sequence[float],
        hidden: int,
    ) -> None:
        super().__init__()
        levels: list[nn.Module] = []
        for before, after, pool in zip([1, *channels], channels, pooled, strict=False):
            levels += [Residual(before, after), *([nn.MaxPool3d(2)] if pool else [])]
        self.levels = nn.Sequential(*levels)
        self.cell = 2 ** sum(pooled)
        self.statistics = Statistics(steps, hidden)
        self.dropout = nn.Dropout(dropout)
        self.place_head = nn.Linear(channels[-1], 1)
        self.whole_head = nn.Linear(hidden, 1, bias=False)
        self.readings = nn.Linear(channels[-1] + hidden, len(READINGS))

    def forward(self, cube: Tensor) -> Tensor:
        """Return the map of evidence."""
        features, share, whole = self.seen(cube)
        local = nn.functional.conv3d(features, self.place_head.weight[:, :, None, None, None], self.place_head.bias)
        return (local + self.whole_head(whole)[:, :, None, None, None]) * share

    def learn(self, cube: Tensor) -> tuple[Tensor, Tensor]:
        """Return logit (batch,) and readings (batch, reading) for training, with dropout."""
        features, share, whole = self.seen(cube)
        inside = self.dropout((features * share).mean((2, 3, 4)))
        whole = self.dropout(whole)
        logit = self.place_head(inside) + self.whole_head(whole)
        return logit[:, 0], self.readings(torch.cat([inside, whole], 1))

    def seen(self, cube: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features of places, the nodule's share of each place over its mean share, and features of it all."""
        mask = (cube > 0).to(cube.dtype)
        share = nn.functional.avg_pool3d(mask, self.cell)
        share = share / share.mean((2, 3, 4), keepdim=True).clamp(min=1e-6)
        return self.levels(cube), share, self.statistics(cube, mask)


class Outline(nn.Module):
    """A box about a seed (batch, 1, slice, row, column) -> logits of the nodule that the seed lies in, same shape.

    A Gaussian about the centre of the box is the second input channel. Skips are added, not concatenated: cheaper.
    """

    def __init__(self, channels: Sequence[int], spacing_mm: Sequence[float], seed_mm: float) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.spacing_mm = tuple(float(mm) for mm in spacing_mm)
        self.seed_mm = float(seed_mm)
        self.enter = _conv(2, fine)
        self.fine = _conv(fine, fine)
        self.down = Residual(fine, middle)
        self.bottom = Residual(middle, coarse)
        self.bottom_again = Residual(coarse, coarse)
        self.from_coarse = nn.Conv3d(coarse, middle, 1)
        self.up = Residual(middle, middle)
        self.from_middle = nn.Conv3d(middle, fine, 1)
        self.leave = _conv(fine, fine)
        self.head = nn.Conv3d(fine, 1, 1)

    def forward(self, box: Tensor) -> Tensor:
        """Return the logits."""
        near = self._near_seed(box).to(box).expand_as(box)
        fine = self.fine(self.enter(torch.cat([box, near], 1)))
        middle = self.down(nn.functional.max_pool3d(fine, 2))
        coarse = self.bottom_again(self.bottom(nn.functional.max_pool3d(middle, 2)))
        middle = self.up(middle + _twice(self.from_coarse(coarse)))
        return self.head(self.leave(fine + _twice(self.from_middle(middle))))

    def _near_seed(self, box: Tensor) -> Tensor:
        result = torch.ones(1, 1, 1, 1, 1)
        for axis, (size, mm) in enumerate(zip(box.shape[2:], self.spacing_mm, strict=True)):
            at = (torch.arange(int(size)) - (int(size) - 1) / 2) * mm
            shape = [1] * 5
            shape[2 + axis] = -1
            result = result * torch.exp(-0.5 * (at / self.seed_mm) ** 2).reshape(shape)
        return result


def build_network(recipe: dict[str, Any], name: str) -> Classifier | Outline:
    """Return the untrained network of a name, "classifier" or "outline"."""
    options = recipe[name]
    if name == "classifier":
        return Classifier(**options["network"])
    return Outline(**options["network"], spacing_mm=options["crop"]["spacing_mm"])


def _conv(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv3d(before, after, 3, padding=1, bias=False), nn.BatchNorm3d(after), nn.ReLU())


def _twice(features: Tensor) -> Tensor:
    return nn.functional.interpolate(features, scale_factor=2.0, mode="nearest")
