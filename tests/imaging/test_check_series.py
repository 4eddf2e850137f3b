import numpy as np
import pytest
from pydicom import dcmread

from imaging.check_series import check_series
from imaging.outcome import OutputError
from imaging.write_stripped_series import write_stripped_series
from tests.series_samples import PLANES, PROVENANCE, asymmetric_mask, source_of, write_series


@pytest.fixture(name="written")
def _written(tmp_path):
    source = source_of(write_series(tmp_path / "series", plane="oblique"))
    folder = tmp_path / "stripped"
    folder.mkdir()
    return source, write_stripped_series(folder, asymmetric_mask(), source, PROVENANCE)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_what_was_written_passes(tmp_path, plane, backwards):
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=backwards))
    folder = tmp_path / "stripped"
    folder.mkdir()

    check_series(write_stripped_series(folder, asymmetric_mask(), source, PROVENANCE), asymmetric_mask(), source)


def damaged(path, keyword, value):
    image = dcmread(path)
    setattr(image, keyword, value)
    image.save_as(path)


def test_an_image_that_lies_elsewhere_is_refused(written):
    source, paths = written
    x, y, z = dcmread(paths[2]).ImagePositionPatient
    damaged(paths[2], "ImagePositionPatient", [x, y, z + 0.01])

    with pytest.raises(OutputError, match=r"Image 3 of the written series lies 0\.010 mm beside its slice"):
        check_series(paths, asymmetric_mask(), source)


def test_an_image_that_is_turned_is_refused(written):
    source, paths = written
    damaged(paths[1], "ImageOrientationPatient", [1, 0, 0, 0, 1, 0])

    with pytest.raises(OutputError, match="Image 2 of the written series is turned or scaled"):
        check_series(paths, asymmetric_mask(), source)


def test_images_in_another_order_are_refused(written):
    source, paths = written

    with pytest.raises(OutputError, match="beside its slice"):
        check_series(paths[::-1], asymmetric_mask(), source)


def test_an_image_with_other_values_is_refused(written):
    source, paths = written
    pixels = dcmread(paths[2]).pixel_array.copy()
    pixels[tuple(np.argwhere(asymmetric_mask()[2])[0])] += 1
    damaged(paths[2], "PixelData", pixels.tobytes())

    with pytest.raises(OutputError, match="Image 3 of the written series holds other values"):
        check_series(paths, asymmetric_mask(), source)


def test_a_missing_image_is_refused(written):
    source, paths = written

    with pytest.raises(OutputError, match="6 images were to be written, 5 are there"):
        check_series(paths[:-1], asymmetric_mask(), source)


def test_an_image_that_cannot_be_read_is_refused(written):
    source, paths = written
    paths[4].write_bytes(paths[4].read_bytes()[:-40])

    with pytest.raises(OutputError, match="Image 5 of the written series cannot be read again"):
        check_series(paths, asymmetric_mask(), source)
