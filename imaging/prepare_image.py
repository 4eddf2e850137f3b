"""The image as a network wants it: canonical axes, its voxel size, its scale of intensities."""

from __future__ import annotations

import numpy as np
from highdicom import Volume, VolumeGeometry

from imaging.crop_air import crop_air
from imaging.model_package import ModelInput
from imaging.outcome import ModelError, Reason, RefusedError
from imaging.resample import model_geometry, resample
from imaging.scale_intensity import intensity_window, scale_intensity

SCALES = ("unit_range", "z_score")
"""Of intensities that a whole volume can be given."""


def prepare_image(source: Volume, wanted: ModelInput) -> Volume:
    """Return the volume on the model grid in float32; beyond the source it is 0.

    "unit_range" scales the 0.5th to 99.5th percentile to 0..1 and clips; "z_score" subtracts the mean of the whole
    volume and divides by its standard deviation. Raises RefusedError when the image has no contrast, ModelError when
    the network wants another scale, such as a window of HU, which crops get elsewhere.
    """
    if wanted.intensity not in SCALES:
        raise ModelError(
            f"A network for whole volumes is needed, of intensity {' or '.join(SCALES)}; this one wants "
            f"{wanted.intensity!r}. Give -m the folder of a model that fits the application."
        )
    window = intensity_window(source.array)
    if not window[1] > window[0]:
        raise RefusedError(
            f"An image with contrast is needed; nearly every voxel of the series holds one value, {window[0]:g}. "
            "Send the acquired series.",
            Reason.NO_CONTRAST,
        )
    grid = model_geometry(source, wanted.spacing_mm, wanted.multiple, wanted.maximum, orientation=wanted.orientation)
    if wanted.intensity == "z_score":
        return _z_scored(source, grid)
    coarse = resample(source, grid, outside=window[0])
    image = coarse.with_array(scale_intensity(coarse.array, window))
    return image if wanted.margin_mm is None else crop_air(image, wanted.margin_mm, wanted.multiple)


def _z_scored(source: Volume, grid: VolumeGeometry) -> Volume:
    mean, deviation = (float(f(source.array, dtype=np.float64)) for f in (np.mean, np.std))
    coarse = resample(source, grid, outside=mean)
    return coarse.with_array((coarse.array - np.float32(mean)) / np.float32(deviation))
