import numpy as np
import pytest
from pydicom import dcmread

from imaging.write_ct_series import CtSeries, write_ct_series
from tests.phantoms import oblique_affine

FACTS = CtSeries(
    study="a",
    series=("b",),
    patient="Chest",
    number=4,
    description="c",
    body_part="CHEST",
    thickness_mm=4.0,
    kernel="LUNG",
)
SHAPE = (3, 5, 7)


@pytest.fixture
def hu():
    return np.linspace(-1400, 3600, np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)


def read(folder):
    return [dcmread(path) for path in sorted(folder.iterdir())]


def test_densities_come_back_within_what_12_bits_hold(tmp_path, hu):
    images = read(write_ct_series(tmp_path, hu, oblique_affine(), FACTS))

    values = np.stack(
        [image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept) for image in images]
    )
    np.testing.assert_allclose(values, np.clip(hu, -1024, 3071), atol=0.5)


def test_each_voxel_lies_where_the_affine_says(tmp_path, hu):
    affine = oblique_affine()

    images = read(write_ct_series(tmp_path, hu, affine, FACTS))

    for number, image in enumerate(images):
        row, column = np.array(image.ImageOrientationPatient, float).reshape(2, 3)
        spacing = np.array(image.PixelSpacing, float)
        place = np.array(image.ImagePositionPatient, float) + column * spacing[0] * 4 + row * spacing[1] * 6
        np.testing.assert_allclose(place, (affine @ [number, 4, 6, 1])[:3], atol=1e-5)


def test_what_is_said_of_the_series_is_in_its_headers(tmp_path, hu):
    image = read(write_ct_series(tmp_path, hu, oblique_affine(), FACTS))[0]

    assert (image.Modality, image.ConvolutionKernel, image.SeriesNumber) == ("CT", "LUNG", 4)
    assert float(image.SliceThickness) == 4.0
    assert list(image.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]
