"""Aligned sequences with known values and tumours of known place and size; no anatomy, only geometry."""

import numpy as np
from highdicom import Volume
from scipy.ndimage import map_coordinates

from imaging.align_sequences import AlignedSequences
from imaging.study import Series, Stack
from imaging.to_volume import SourceImage
from tests.phantoms import oblique_affine, voxel_centres_mm

SHAPE = (13, 37, 44)
SPACING_MM = (3.0, 0.9, 1.1)  # slice, row, column: no two are alike
AFFINE = oblique_affine((12, -9, 20), SPACING_MM, (-21.0, 4.0, 33.0))
CENTRE_MM = voxel_centres_mm(SHAPE, AFFINE)[6, 18, 22]


def volume(array, affine=AFFINE) -> Volume:
    """An array with its place."""
    return Volume(np.ascontiguousarray(array), affine, "PATIENT", frame_of_reference_uid="1.2.3")


def field(seed=0, shape=SHAPE) -> np.ndarray:
    """A smooth field of values from 100 to 300, asymmetric, float32."""
    low = np.random.default_rng(seed).random((4, 5, 6))
    index = np.meshgrid(
        *(np.linspace(0, size - 1, length) for size, length in zip(low.shape, shape, strict=True)), indexing="ij"
    )
    return (100 + 200 * map_coordinates(low, index, order=1)).astype(np.float32)


def ellipsoid(semi_axes_mm, centre_mm=CENTRE_MM, shape=SHAPE, affine=AFFINE) -> np.ndarray:
    """Mask of an ellipsoid with axes along x, y and z."""
    places = voxel_centres_mm(shape, affine)
    return (((places - centre_mm) / semi_axes_mm) ** 2).sum(-1) <= 1


def aligned(t2w=None, dwi=None, adc=None, *, flags=(), **facts) -> AlignedSequences:
    """Sequences on one grid, of arrays; T2w is a field when none is given."""
    image = volume(field() if t2w is None else t2w)
    source = SourceImage(image, Stack(Series(()), ()), tuple(range(image.shape[0])))
    others = [None if array is None else volume(array) for array in (dwi, adc)]
    b_value = None if dwi is None else 800.0
    known = {"b_value": b_value, "calculated": False, "fitted": False, "facts": {}} | facts
    return AlignedSequences(source, *others, flags=tuple(flags), **known)
