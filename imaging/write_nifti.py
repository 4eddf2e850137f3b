"""A volume as NIfTI, for tools that do not read DICOM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from highdicom import Volume

from imaging.outcome import OutputError


def write_nifti(volume: Volume, path: Path) -> None:
    """Write a (slice, row, column) volume as .nii.gz at the same millimetres; bool becomes uint8."""
    import SimpleITK as sitk  # noqa: N813  slow to import, and only this option needs it

    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    image = sitk.GetImageFromArray(array)
    directions = volume.direction[:, ::-1]  # ITK lists the fastest axis, columns, first
    image.SetDirection(directions.flatten().tolist())
    image.SetSpacing([float(size) for size in volume.spacing[::-1]])
    image.SetOrigin([float(value) for value in volume.position])
    try:
        sitk.WriteImage(image, str(path))
    except RuntimeError as error:  # SimpleITK does not say why
        raise OutputError(
            f"The result {path.name} cannot be written. Free space or choose another folder with -o."
        ) from error
