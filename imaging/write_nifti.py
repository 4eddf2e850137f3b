"""A volume as NIfTI, for tools that do not read DICOM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from highdicom import Volume

from imaging.outcome import OutputError

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT: millimetres of the scanner, as DICOM's


def write_nifti(volume: Volume, path: Path) -> None:
    """Write a (slice, row, column) volume as .nii.gz at the same millimetres; bool becomes uint8.

    NIfTI counts column, row, slice, and its world is RAS.
    """
    import nibabel  # slow to import, and only this option needs it

    array = volume.array.astype(np.uint8) if volume.array.dtype == bool else volume.array
    affine = RAS_FROM_LPS @ volume.affine[:, [2, 1, 0, 3]]
    image = nibabel.Nifti1Image(array.transpose(2, 1, 0), affine)
    image.set_sform(affine, SCANNER)
    image.set_qform(affine, SCANNER)
    try:
        nibabel.save(image, str(path))
    except OSError as error:
        raise OutputError(
            f"The result {path.name} cannot be written. Free space or choose another folder with -o."
        ) from error
