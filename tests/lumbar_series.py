"""A volume as the DICOM series a scanner would have made of it: thick slices, a gap, oblique, one or two stations."""

from pathlib import Path

import nibabel as nib
import numpy as np
from highdicom import Volume
from scipy import ndimage
from scipy.spatial.transform import Rotation

from imaging.write_lumbar_sample import T2_TSE
from imaging.write_mr_series import MrSeries, write_mr_series

SAGITTAL = np.stack([(-1.0, 0, 0), (0, 0, -1.0), (0, 1.0, 0)], axis=1)
THICKNESS_MM, GAP = 4.0, 0.1
PIXEL_MM = 0.78
TURN_DEG = (1.0, 2.0, -3.0)
"""About the left, posterior and head axes."""
OVERLAP_MM = 40.0
"""What two stations share."""


def load_nifti(path: Path) -> Volume:
    """A NIfTI volume in LPS mm, (slice, row, column) being its last, second and first axis."""
    image = nib.load(path)
    affine = (np.diag([-1.0, -1, 1, 1]) @ image.affine)[:, [2, 1, 0, 3]]
    return Volume(np.ascontiguousarray(np.asarray(image.dataobj).transpose(2, 1, 0)), affine, "PATIENT")


def acquired_grid(volume: Volume, turn_deg=TURN_DEG, pixel_mm=PIXEL_MM) -> tuple[tuple[int, int, int], np.ndarray]:
    """Shape and affine of an oblique sagittal series around the middle of a volume, as large as the volume."""
    axes = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix() @ SAGITTAL
    spacing_mm = np.array([THICKNESS_MM * (1 + GAP), pixel_mm, pixel_mm])
    extent_mm = np.array(volume.shape) * volume.spacing
    along = np.abs(SAGITTAL.T @ volume.direction).argmax(axis=1)  # which axis of the volume each axis runs along
    shape = tuple(int(size) for size in np.floor(extent_mm[along] / spacing_mm))
    affine = np.eye(4)
    affine[:3, :3] = axes * spacing_mm
    centre = volume.map_indices_to_reference((np.array([volume.shape]) - 1) / 2)[0]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return shape, affine


def sampled(volume: Volume, shape, affine, *, order: int = 1) -> np.ndarray:
    """A volume at the voxels of a grid; with order 1 over the thickness of its slices, with order 0 at their middle."""
    shares = (-1 / 3, 0, 1 / 3) if order else (0,)
    to_voxels = np.linalg.inv(volume.affine) @ affine
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).astype(float)
    images = []
    for share in shares:
        moved = index + np.array([share / (1 + GAP), 0, 0])[:, None, None, None]
        places = np.tensordot(to_voxels[:3, :3], moved, 1) + to_voxels[:3, 3][:, None, None, None]
        images.append(
            ndimage.map_coordinates(
                volume.array.astype(float), places, order=order, mode="nearest" if order else "constant"
            )
        )
    return np.mean(images, axis=0)


def stations(shape, count: int) -> list[slice]:
    """Rows of each station, from the upper one to the lower one."""
    if count == 1:
        return [slice(0, shape[1])]
    overlap = round(OVERLAP_MM / PIXEL_MM / 2)
    return [slice(0, shape[1] // 2 + overlap), slice(shape[1] // 2 - overlap, shape[1])]


def write_lumbar_series(volume: Volume, folder: Path, *, count: int = 1, turn_deg=TURN_DEG, **facts) -> Path:
    """Write a volume as one series of each station and return the folder.

    facts  of MrSeries, where they differ from those of a sagittal T2w TSE of the lumbar spine
    """
    shape, affine = acquired_grid(volume, turn_deg)
    pixels = np.rint(sampled(volume, shape, affine) * 4).astype(np.uint16)
    for number, rows in enumerate(stations(shape, count), start=1):
        part = affine.copy()
        part[:3, 3] += affine[:3, 1] * rows.start
        said = MrSeries(
            **{
                "study": "volume", "series": (str(number),), "patient": "Spine", "number": number + 2,
                "description": "t2 tse sag", "body_part": "LSPINE", "thickness_mm": THICKNESS_MM, "sequence": T2_TSE,
                **facts,
            }
        )  # fmt: skip
        write_mr_series(folder / f"series{number}", pixels[:, rows], part, said)
    return folder
