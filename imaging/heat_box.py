"""How much each place spoke for a decision of a network, on a part of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from imaging.region import Box


@dataclass(frozen=True)
class HeatBox:
    """Heat of a box of a volume, (slice, row, column); elsewhere there is none."""

    values: npt.NDArray[np.float32]  # 0 to 1
    start: tuple[int, int, int]  # index in the volume of the first voxel of the box

    @property
    def box(self) -> Box:
        """Slices of the volume that the values cover."""
        k, j, i = (slice(first, first + size) for first, size in zip(self.start, self.values.shape, strict=True))
        return k, j, i
