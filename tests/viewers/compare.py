"""Segmentations given to readers, and their voxels compared with the masks they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from imaging.write_common import save_dicom
from tests.viewers.readers import Case, Found, Reader
from tests.viewers.variants import Variant, write_source

RIGHT = "every voxel"


def write_case(variant: Variant, folder: Path) -> tuple[Case, list[np.ndarray]]:
    """Write source and segmentation of a variant; return them with the masks that are to be read."""
    source = write_source(folder / "source", variant)
    masks = variant.masks(source.volume.shape)
    save_dicom(variant.encode(masks, source), folder / "seg.dcm")
    paths = [frame.instance.path for frame in source.frames]
    case = Case(folder, folder / "seg.dcm", paths, source.slices, source.volume.affine)
    written = np.isin(np.arange(len(masks[0])), [plane.slice for plane in source.planes])
    return case, [mask & written[:, None, None] for mask in masks]


def verdicts(variants: Sequence[Variant], reader: Reader, folder: Path) -> list[str]:
    """Return what a reader makes of each variant."""
    written = [write_case(variant, folder / str(number)) for number, variant in enumerate(variants)]
    found = reader([case for case, _ in written])
    return [said(one, masks, case.affine) for one, (case, masks) in zip(found, written, strict=True)]


def said(found: Found | str, masks: list[np.ndarray], affine: np.ndarray) -> str:
    """Return whether each mask was found at the same mm, or what is wrong."""
    if isinstance(found, str):
        return f"refused: {found}"
    if set(found) != set(range(1, len(masks) + 1)):
        return f"**wrong**: segments {', '.join(map(str, found))} of {len(masks)}"
    wrong = sum(differing(mask, affine, *found[number]) for number, mask in enumerate(masks, start=1))
    return f"**wrong**: {wrong} voxels, of {sum(map(np.count_nonzero, masks))}" if wrong else RIGHT


def differing(mask: np.ndarray, affine: np.ndarray, other: np.ndarray, other_affine: np.ndarray) -> int:
    """Number of points (LPS mm) that one mask holds and the other does not; grids may be turned or smaller."""
    return len(_points(mask, affine) ^ _points(other, other_affine))


def _points(mask: np.ndarray, affine: np.ndarray) -> set[tuple[int, ...]]:
    """Positions of the voxels of a mask, to 0.1 mm."""
    points_mm = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    return {tuple(map(int, point)) for point in np.rint(points_mm * 10)}
