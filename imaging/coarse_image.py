"""A small copy of an image and its segments as NIfTI in memory, for the viewer in the page."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

from imaging.encode_seg import Segment
from imaging.mask_frames import on_slice
from imaging.window import GreyWindow

MOST_VOXELS = 2_500_000
MOST_BYTES = 2_000_000
"""Of the compressed image: with the viewer and the pictures the page stays below 5 MB."""
GREY_LEVELS = 64
"""As many as are told apart on a screen at a glance; noise costs fewer bytes."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
LABELS, GREY = 1002, 0  # intent codes of NIfTI-1: NIFTI_INTENT_LABEL, NIFTI_INTENT_NONE

Bytes3d = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A place to go to in the viewer."""

    name: str
    rgb: tuple[int, int, int]
    centre_ras_mm: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class CoarseImage:
    """A small copy of an image."""

    image: bytes  # .nii.gz, uint8, the window from black to white
    labels: bytes  # .nii.gz, uint8, number of the segment or 0
    voxel_mm: tuple[float, float, float]  # column, row, slice
    targets: tuple[Target, ...]  # of each segment, in order


def coarse_image(
    volume: Volume, segments: Sequence[Segment], window: GreyWindow, hide_beyond_mm: float | None = None
) -> CoarseImage:
    """Return a copy of at most MOST_VOXELS voxels, each the mean of a block, and MOST_BYTES compressed bytes.

    hide_beyond_mm  what is farther from any segment is black: of a head, the face
    """
    factors, image = (1, 1, 1), b""
    most = MOST_VOXELS
    while not image or len(image) > MOST_BYTES:
        factors = block_size(volume.shape, volume.spacing, most)
        labels = label_blocks(segments, volume.shape, factors)
        affine = _affine(volume, factors)
        grey = window.grey(mean_blocks(volume.array, factors))
        if hide_beyond_mm is not None:
            spacing_mm = [mm * factor for mm, factor in zip(volume.spacing, factors, strict=True)]
            grey = np.where(near_labels(labels, spacing_mm, hide_beyond_mm), grey, np.uint8(0))
        step = 256 // GREY_LEVELS
        image = nifti_gz((grey // step * step).astype(np.uint8), affine, GREY)
        most = most * 2 // 3
    return CoarseImage(
        image=image,
        labels=nifti_gz(labels, affine, LABELS),
        voxel_mm=tuple(float(mm * factor) for mm, factor in zip(volume.spacing[::-1], factors[::-1], strict=True)),  # type: ignore[arg-type]
        targets=_targets(segments, labels, affine),
    )


def block_size(shape: Sequence[int], spacing_mm: Sequence[float], most: int) -> tuple[int, int, int]:
    """Return voxels of a block along each axis, so that few blocks remain and are as even as can be.

    >>> block_size((180, 320, 320), (1.5, 1.0, 1.0), 2_500_000)
    (2, 2, 2)
    """
    factors = [1, 1, 1]
    while np.prod([-(-size // factor) for size, factor in zip(shape, factors, strict=True)]) > most:
        factors[int(np.argmin(np.multiply(spacing_mm, factors)))] += 1
    return factors[0], factors[1], factors[2]


def mean_blocks(array: npt.NDArray[np.float32], factors: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return the mean of each block; the last ones repeat the edge of the array.

    >>> mean_blocks(np.arange(6, dtype=np.float32).reshape(1, 1, 6), (1, 1, 4))
    array([[[1.5 , 4.75]]], dtype=float32)
    """
    rest = [(0, -size % factor) for size, factor in zip(array.shape, factors, strict=True)]
    whole = np.pad(array, rest, mode="edge") if any(after for _, after in rest) else array
    for axis, factor in enumerate(factors):
        if factor > 1:
            lines = np.moveaxis(whole, axis, 0)
            total = lines[::factor].astype(np.float32)
            for at in range(1, factor):
                total += lines[at::factor]
            total /= np.float32(factor)
            whole = np.moveaxis(total, 0, axis)
    return np.asarray(whole, np.float32)


def label_blocks(segments: Sequence[Segment], shape: Sequence[int], factors: Sequence[int]) -> Bytes3d:
    """Return the number of the segment in the middle of each block, 0 where there is none; up to 255 segments."""
    counts = [-(-size // factor) for size, factor in zip(shape, factors, strict=True)]
    labels = np.zeros(counts, np.uint8)
    middles = [
        np.minimum(np.arange(count) * factor + factor // 2, size - 1)
        for count, factor, size in zip(counts, factors, shape, strict=True)
    ]
    for number, segment in enumerate(segments[:255], start=1):
        for at, middle in enumerate(middles[0]):
            seen = on_slice(segment.mask, int(middle), shape)
            if seen.any():
                labels[at][seen[np.ix_(middles[1], middles[2])]] = number
    return labels


def near_labels(labels: Bytes3d, spacing_mm: Sequence[float], distance_mm: float) -> npt.NDArray[np.bool_]:
    """Return where a grid is at most so far from any label; judged on every second voxel, which costs an eighth."""
    half = labels[::2, ::2, ::2]
    off_mm = ndimage.distance_transform_edt(half == 0, sampling=[2 * mm for mm in spacing_mm])
    near = np.asarray(off_mm <= distance_mm) & bool(half.any())
    for axis, size in enumerate(labels.shape):
        near = near.repeat(2, axis).take(range(size), axis)
    return near


def nifti_gz(array: Bytes3d, affine: npt.NDArray[np.float64], intent: int) -> bytes:
    """Return a (slice, row, column) array as compressed NIfTI-1, its affine from (column, row, slice) to RAS mm."""
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *array.shape[::-1], 1, 1, 1, 1)
    struct.pack_into("<3h", header, 68, intent, 2, 8)  # intent, DT_UINT8, bits
    struct.pack_into("<8f", header, 76, 1.0, *np.linalg.norm(affine[:3, :3], axis=0), 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352.0, 1.0, 0.0)  # offset of the voxels, slope, intercept
    header[123] = 2  # mm
    struct.pack_into("<2h", header, 252, 0, 1)  # qform unknown, sform scanner
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    return gzip.compress(bytes(header) + np.ascontiguousarray(array).tobytes(), compresslevel=4, mtime=0)


def _affine(volume: Volume, factors: Sequence[int]) -> npt.NDArray[np.float64]:
    """Return the affine of blocks, (column, row, slice) to RAS mm; a block lies where its middle is."""
    blocks = np.eye(4)
    blocks[:3, :3] = np.diag(factors)
    blocks[:3, 3] = [(factor - 1) / 2 for factor in factors]
    turned = np.asarray(LPS_TO_RAS @ volume.affine @ blocks, float)
    return turned[:, [2, 1, 0, 3]]


def _targets(segments: Sequence[Segment], labels: Bytes3d, affine: npt.NDArray[np.float64]) -> tuple[Target, ...]:
    found = []
    for number, segment in enumerate(segments[:255], start=1):
        voxels = np.argwhere(labels == number)
        if len(voxels):
            middle = voxels[np.linalg.norm(voxels - voxels.mean(axis=0), axis=1).argmin()]  # inside, whatever its shape
            x, y, z = affine[:3, :3] @ middle[::-1] + affine[:3, 3]
            place = (float(x), float(y), float(z))
            found.append(Target(name=segment.label.label, rgb=segment.label.display_rgb, centre_ras_mm=place))
    return tuple(found)
