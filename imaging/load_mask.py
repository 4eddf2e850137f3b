"""Masks from NIfTI or DICOM SEG, and masks of two files on one grid."""

from __future__ import annotations

from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK
from highdicom import Volume
from highdicom.seg import Segmentation, SegmentationTypeValues, segread
from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import SegmentationStorage
from scipy import ndimage

LABEL_MAP_SEGMENTATION_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"  # newer than pydicom's table
NIFTI_ENDINGS = (".nii.gz", ".nii")
SAME_PLACE_MM = 1e-3
LARGEST_GRID_VOXELS = 2**29

Positions = npt.NDArray[np.float64]


def load_mask(path: Path, *, segment_number: int | None = None) -> Volume:
    """Return the mask of a NIfTI file or of a DICOM Segmentation: uint8 0 and 1, (slice, row, column), LPS.

    path            `.nii`, `.nii.gz` or a DICOM file with any name
    segment_number  the segment of a SEG, the label of a NIfTI file

    Without a number, a SEG gives segment 1 and a NIfTI file its only label, whatever its value. A label that
    a NIfTI file does not hold gives an empty mask; a segment that a SEG does not describe is refused.
    NaN and infinity in a NIfTI file are background: SimpleITK reads them as 0.
    """
    if not path.is_file():
        raise ValueError(f"A mask is a NIfTI file or a DICOM Segmentation, found no file {path}")
    if is_nifti(path):
        return _load_nifti(path, segment_number)
    if is_segmentation(path):
        return _load_segmentation(path, 1 if segment_number is None else segment_number)
    raise ValueError(f"A mask is a NIfTI file or a DICOM Segmentation, {path} is neither")


def is_nifti(path: Path) -> bool:
    """Return whether the name ends as that of a NIfTI file.

    >>> is_nifti(Path("head.NII.gz")), is_nifti(Path("head.dcm"))
    (True, False)
    """
    return path.name.lower().endswith(NIFTI_ENDINGS)


def is_segmentation(path: Path) -> bool:
    """Return whether the file is a DICOM Segmentation or Label Map Segmentation, whatever its name."""
    try:
        header = dcmread(path, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    except InvalidDicomError:
        return False
    return header.get("SOPClassUID") in (SegmentationStorage, LABEL_MAP_SEGMENTATION_STORAGE)


def on_grid_of(mask: Volume, reference: Volume) -> Volume:
    """Return the mask on the grid of the reference.

    Grids whose corners are within 1e-3 mm of each other are the same, also where the axes come in another
    order or direction: nothing is resampled then. Otherwise each voxel of the reference takes the nearest
    voxel of the mask, 0 outside it. Mask voxels beyond the reference grid are lost: see `covering`.
    Two different frames of reference are refused where both are known; NIfTI files have none.
    """
    _require_same_frame(mask, reference)
    if _same_grid(mask, reference):
        return mask
    turned = mask.match_orientation(reference)
    if _same_grid(turned, reference):
        return turned
    to_mask = mask.inverse_affine @ reference.affine
    nearest = ndimage.affine_transform(
        mask.array,
        to_mask[:3, :3],
        offset=to_mask[:3, 3],
        output_shape=reference.spatial_shape,
        order=0,
        mode="grid-constant",  # "constant" would drop the outer half of the border voxels
    )
    return reference.with_array(nearest)


def covering(reference: Volume, mask: Volume) -> Volume:
    """Return the reference, padded with 0 as far as needed to hold every voxel of the mask.

    A SEG stores only slices with a segment, so its grid may end where the other mask goes on.
    """
    _require_same_frame(mask, reference)
    if not mask.array.any():
        return reference
    box = ndimage.find_objects((mask.array > 0).astype(np.uint8))[0]
    edges = list(product(*((extent.start - 0.5, extent.stop - 0.5) for extent in box)))
    inside = _positions(reference.inverse_affine @ mask.affine, np.array(edges))
    first = np.ceil(np.round(inside.min(axis=0), 6)).astype(int)
    last = np.floor(np.round(inside.max(axis=0), 6)).astype(int)
    before = np.maximum(-first, 0)
    after = np.maximum(last + 1 - np.array(reference.spatial_shape), 0)
    if not before.any() and not after.any():
        return reference
    padded_shape = [int(size) for size in before + after + reference.spatial_shape]
    if prod(padded_shape) > LARGEST_GRID_VOXELS:
        raise ValueError(f"Both masks must lie in one place, a grid for both would have {padded_shape} voxels")
    return reference.pad([(int(low), int(high)) for low, high in zip(before, after, strict=True)])


def _load_nifti(path: Path, label: int | None) -> Volume:
    try:
        image: Any = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise ValueError(f"A mask is a readable NIfTI file, {path} is not: {error}") from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise ValueError(f"A mask has three axes and one value per voxel, {path} has size {image.GetSize()}")
    axes = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine = np.eye(4)
    affine[:3, :3] = axes[:, ::-1]  # SimpleITK counts column, row, slice; its array slice, row, column
    affine[:3, 3] = image.GetOrigin()
    array = _only_label(SimpleITK.GetArrayFromImage(image), label, path)
    return Volume(array, affine=affine, coordinate_system="PATIENT")


def _only_label(values: npt.NDArray[Any], label: int | None, path: Path) -> npt.NDArray[np.uint8]:
    found = np.unique(values)
    if (found < 0).any() or (found % 1 != 0).any():
        raise ValueError(f"A mask holds whole numbers from 0, {path} has {found[0]} to {found[-1]}: threshold it")
    labels = [int(value) for value in found if value]
    if label is None and len(labels) > 1:
        raise ValueError(f"A mask holds one label, {path} has {labels[:20]}: give the number of one of them")
    mask = values > 0 if label is None else values == label
    return mask.astype(np.uint8)


def _load_segmentation(path: Path, segment_number: int) -> Volume:
    try:
        segmentation = segread(path)
        _require_segment(segmentation, segment_number, path)
        volume = segmentation.get_volume(segment_numbers=[segment_number])
    except (RuntimeError, AttributeError, KeyError) as error:
        raise ValueError(f"A mask has parallel, evenly spaced slices, {path} has not: {error}") from error
    array = (volume.squeeze_channel().array > 0).astype(np.uint8)
    return Volume(
        array,
        affine=volume.affine,
        coordinate_system="PATIENT",
        frame_of_reference_uid=volume.frame_of_reference_uid,
    )


def _require_segment(segmentation: Segmentation, segment_number: int, path: Path) -> None:
    if segmentation.segmentation_type == SegmentationTypeValues.FRACTIONAL:
        raise ValueError(f"A mask is a BINARY or LABELMAP Segmentation, {path} is FRACTIONAL: threshold it")
    if segmentation.is_tiled:
        raise ValueError(f"A mask lies in patient coordinates, {path} is of a slide")
    found = [int(number) for number in segmentation.segment_numbers]
    if segment_number not in found:
        raise ValueError(f"Segment {segment_number} is needed, {path} has {found}: give one of these")


def _require_same_frame(mask: Volume, reference: Volume) -> None:
    frames = {mask.frame_of_reference_uid, reference.frame_of_reference_uid} - {None}
    if len(frames) > 1:
        raise ValueError("Both masks need one FrameOfReferenceUID, found two: register one of them first")


def _same_grid(mask: Volume, reference: Volume) -> bool:
    if mask.spatial_shape != reference.spatial_shape:
        return False
    corners = np.array(list(product(*((0, size - 1) for size in reference.spatial_shape))))
    apart_mm = np.linalg.norm(_positions(mask.affine, corners) - _positions(reference.affine, corners), axis=1)
    return float(apart_mm.max()) <= SAME_PLACE_MM


def _positions(affine: Positions, indices: Positions) -> Positions:
    return indices @ affine[:3, :3].T + affine[:3, 3]
