"""The image as a network wants it: canonical axes, isotropic voxels, intensities within 0 to 1."""

from __future__ import annotations

from highdicom import Volume

from imaging.model_package import ModelInput
from imaging.outcome import RefusedError
from imaging.resample import model_geometry, resample
from imaging.scale_intensity import intensity_window, scale_intensity


def prepare_image(source: Volume, wanted: ModelInput) -> Volume:
    """Return the volume on the model grid, float32 within 0 to 1; beyond the source it is 0.

    Raises RefusedError when the image has no contrast.
    """
    window = intensity_window(source.array)
    if not window[1] > window[0]:
        raise RefusedError(
            f"An image with contrast is needed; nearly every voxel of the series holds one value, {window[0]:g}. "
            "Send the acquired series."
        )
    grid = model_geometry(source, wanted.spacing_mm, wanted.multiple, wanted.maximum)
    coarse = resample(source, grid, outside=window[0])
    return coarse.with_array(scale_intensity(coarse.array, window))
