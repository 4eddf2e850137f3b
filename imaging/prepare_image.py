"""The image as a network wants it: canonical axes, isotropic voxels, intensities within 0 to 1."""

from __future__ import annotations

from highdicom import Volume

from imaging.model_package import ModelInput
from imaging.resample import model_geometry, resample
from imaging.scale_intensity import intensity_window, scale_intensity


def prepare_image(source: Volume, wanted: ModelInput) -> Volume:
    """Return the volume on the model grid, float32 within 0 to 1; beyond the source it is 0."""
    window = intensity_window(source.array)
    grid = model_geometry(source, wanted.spacing_mm, wanted.multiple, wanted.maximum)
    coarse = resample(source, grid, outside=window[0])
    return coarse.with_array(scale_intensity(coarse.array, window))
