"""What other tools make of a folder: SimpleITK's series reader and dcm2niix."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from tests.dicom_cases.judge import Image

LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
PATIENCE_S = 60


def read_by_simpleitk(folder: Path) -> list[Image]:
    """Return a volume for each series that GDCM finds, joined in its order; what cannot be read is left out."""
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    images = []
    for parent, _, names in os.walk(folder):
        try:
            found = SimpleITK.ImageSeriesReader.GetGDCMSeriesIDs(parent) if names else ()
        except RuntimeError:
            continue
        images += [image for uid in found for image in _series_by_simpleitk(parent, uid)]
    return images


def _series_by_simpleitk(folder: str, uid: str) -> Iterator[Image]:
    try:
        paths = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(folder, uid)
        image = SimpleITK.ReadImage(paths if len(paths) > 1 else paths[0])
    except (RuntimeError, TypeError, IndexError):  # the last two: a name that is no text, a series without files
        return
    if image.GetDimension() == 3 and image.GetNumberOfComponentsPerPixel() == 1:
        yield _of_simpleitk(image)


def _of_simpleitk(image: SimpleITK.Image) -> Image:
    axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes[:, ::-1], image.GetOrigin()
    return Image(SimpleITK.GetArrayFromImage(image).astype(np.float64), affine)


def read_by_dcm2niix(folder: Path) -> list[Image]:
    """Return every volume of every file that dcm2niix writes with its usual options."""
    with tempfile.TemporaryDirectory() as output:
        command = ["dcm2niix", "-b", "n", "-z", "n", "-f", "%s", "-o", output, str(folder)]
        try:
            subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            return []
        return [image for path in sorted(Path(output).glob("*.nii")) for image in _of_nifti(path)]


def _of_nifti(path: Path) -> list[Image]:
    try:
        nifti = nibabel.load(path)
        values = np.asarray(nifti.dataobj)
    except (ValueError, OSError, ImageFileError, HeaderDataError):
        return []  # damaged input may become a damaged file
    if values.dtype.names:  # colours
        return []
    affine = LPS_OF_RAS @ nifti.affine
    affine[:, :3] = affine[:, 2::-1]
    volumes = values.reshape(*values.shape[:3], -1).astype(np.float64) if values.ndim > 2 else values[..., None, None]
    return [Image(volumes[..., number].transpose(2, 1, 0), affine) for number in range(volumes.shape[3])]


def readers() -> Mapping[str, Callable[[Path], list[Image]]]:
    """Return the tools that are installed."""
    found = {"SimpleITK": read_by_simpleitk, "dcm2niix": read_by_dcm2niix}
    return {name: read for name, read in found.items() if name != "dcm2niix" or shutil.which(name)}
