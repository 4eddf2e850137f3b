"""What a viewer should draw, computed from the DICOM files alone, to be compared with what it drew."""

from dataclasses import dataclass

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage

LETTERS = (("L", "R"), ("P", "A"), ("H", "F"))
"""Of the positive and negative directions of LPS, as PS3.3 C.7.6.1.1.1 names them."""


@dataclass(frozen=True)
class Plane:
    """An image in the patient: masks of the segments on it, (segment, row, column), and its pixels."""

    image: Dataset
    masks: np.ndarray
    rgb: np.ndarray  # (segment, 3)

    @property
    def affine(self) -> np.ndarray:
        """Matrix of (row, column, 1) indices to LPS mm (PS3.3 C.7.6.2.1.1)."""
        along_row, along_column = np.array(self.image.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = map(float, self.image.PixelSpacing)
        position = np.array(self.image.ImagePositionPatient, float)
        return np.stack([along_column * between_rows, along_row * between_columns, position], axis=1)

    @property
    def letters(self) -> tuple[str, str]:
        """First letters at the left border and on top, of an image that is shown as it is stored."""
        along_row, along_column = np.array(self.image.ImageOrientationPatient, float).reshape(2, 3)
        return letter(-along_row), letter(-along_column)


def letter(direction: np.ndarray) -> str:
    """Return the anatomical direction that a vector in LPS points to most."""
    axis = int(np.abs(direction).argmax())
    return LETTERS[axis][int(direction[axis] < 0)]


def masks_by_image(seg: Dataset) -> dict[str, np.ndarray]:
    """Masks of all segments of a SEG on each source image that has any, (segment, row, column)."""
    count, frames = len(seg.SegmentSequence), seg.pixel_array.reshape(-1, seg.Rows, seg.Columns) > 0
    found: dict[str, np.ndarray] = {}
    for frame, groups in zip(frames, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        number = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found.setdefault(source, np.zeros((count, *frame.shape), bool))[number - 1] = frame
    return {source: masks for source, masks in found.items() if masks.any()}


def most_lopsided(masks: dict[str, np.ndarray]) -> str:
    """Return the image on which mirroring the mask changes most."""

    def change(mask: np.ndarray) -> int:
        return min(np.count_nonzero(mask & ~np.flip(mask, axis)) for axis in (0, 1))

    return max(masks, key=lambda image: change(masks[image].any(axis=0)))


def colours(seg: Dataset) -> np.ndarray:
    """The colours that a SEG recommends for its segments, (segment, 3)."""
    return np.array(
        [hd.color.CIELabColor(*_cielab(one.RecommendedDisplayCIELabValue)).to_rgb() for one in seg.SegmentSequence]
    )


def _cielab(value: list[int]) -> tuple[float, float, float]:
    """CIELab of the scaled integers of PS3.3 C.10.7.1.1."""
    lightness, a, b = value
    return lightness * 100 / 65535, a * 255 / 65535 - 128, b * 255 / 65535 - 128


@dataclass(frozen=True)
class Canvas:
    """What a viewer shows, (row, column, rgb), with and without the segmentation, and where that is in the patient."""

    overlaid: np.ndarray
    plain: np.ndarray
    origin_mm: np.ndarray  # of canvas point (0, 0)
    right_mm: np.ndarray  # from one canvas point to the next on the right
    down_mm: np.ndarray

    @property
    def drawn(self) -> np.ndarray:
        """Where the segmentation changes the picture."""
        return np.abs(self.overlaid - self.plain).max(axis=-1) > 16

    def indices_in(self, plane: Plane) -> np.ndarray:
        """(row, column) of the image at the middle of each canvas pixel: an array of (2, canvas row, canvas column)."""
        down, right = np.indices(self.plain.shape[:2]) + 0.5
        points_mm = (
            self.origin_mm[:, None, None] + self.right_mm[:, None, None] * right + self.down_mm[:, None, None] * down
        )
        matrix = plane.affine
        offsets_mm = points_mm - matrix[:, 2][:, None, None]
        return np.einsum("ij,jkl->ikl", np.linalg.pinv(matrix[:, :2]), offsets_mm)

    def expected(self, plane: Plane) -> np.ndarray:
        """Masks of the segments on the canvas, (segment, canvas row, canvas column)."""
        indices = self.indices_in(plane)
        return np.stack([ndimage.map_coordinates(one.astype(np.uint8), indices, order=0) for one in plane.masks]) > 0

    def image_agreement(self, plane: Plane, *, mirrored: bool = False) -> float:
        """Rank correlation of what is shown and the pixels of the file, where the image is."""
        pixels = np.asarray(plane.image.pixel_array, float)
        indices = self.indices_in(plane)
        sampled = ndimage.map_coordinates(pixels[:, ::-1] if mirrored else pixels, indices, order=1, cval=np.nan)
        inside = np.isfinite(sampled)
        shown = self.plain[..., 0][inside]
        free = (shown > 0) & (shown < 255)  # inside the window
        return float(np.corrcoef(shown[free], sampled[inside][free])[0, 1])


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union."""
    return float(np.count_nonzero(one & other) / np.count_nonzero(one | other))
