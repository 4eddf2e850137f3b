from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread

from imaging.chest_phantom import NODULES, nodule_region
from imaging.classify_ct import classify_ct, kernel_of
from imaging.image_kind import Kernel, Weighting
from imaging.load_study import load_study
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.write_chest_sample import LUNG_CT, OTHERS, series_affine, series_hu, write_chest_study

pytestmark = pytest.mark.system  # slow: many voxels

SMALL = (
    replace(LUNG_CT, shape=(60, 80, 80), spacing_mm=(4.5, 4.0, 4.0)),
    replace(OTHERS[0], shape=(1, 54, 64), spacing_mm=(5.0, 5.0, 5.0)),
    replace(OTHERS[1], shape=(18, 40, 40), spacing_mm=(15.0, 8.0, 8.0)),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_chest_study(tmp_path_factory.mktemp("chest") / "study", series=SMALL)


@pytest.fixture(scope="module")
def source(folder):
    (series,) = (one for one in load_study(folder).series if one.number == LUNG_CT.number)
    return to_volume(split_series(series)[0])


def headers(folder, series):
    return [dcmread(path) for path in sorted((folder / f"series{series}").iterdir())]


def test_the_volume_is_the_one_that_was_painted_on_the_grid_that_was_asked_for(source):
    expected = series_hu(SMALL[0])[::-1]  # written from the head down

    np.testing.assert_allclose(source.volume.array, np.clip(expected, -1024, 3071), atol=0.51)
    np.testing.assert_allclose(source.volume.affine[:3, 0], -series_affine(SMALL[0])[:3, 0], atol=1e-5)
    np.testing.assert_allclose(source.volume.map_indices_to_reference(np.array([[59, 0, 0]]))[0],
                               series_affine(SMALL[0])[:3, 3], atol=1e-4)  # fmt: skip
    assert source.flags == ()


def test_the_first_image_is_nearest_to_the_head(folder):
    heights = [float(header.ImagePositionPatient[2]) for header in headers(folder, 3)]

    assert heights == sorted(heights, reverse=True)
    assert [header.InstanceNumber for header in headers(folder, 3)] == list(range(1, 61))


def test_the_scout_and_the_soft_kernel_are_told_from_the_lung_kernel(folder):
    scout, soft, lung = (headers(folder, number)[0] for number in (1, 2, 3))

    assert classify_ct(scout).weighting is Weighting.SCOUT
    assert classify_ct(lung).weighting is classify_ct(soft).weighting is Weighting.CT
    assert (kernel_of(lung), kernel_of(soft)) == (Kernel.SHARP, Kernel.SOFT)


def test_the_whole_sample_is_moderate_in_size():
    voxels = sum(np.prod(series.shape) for series in (LUNG_CT, *OTHERS))

    assert voxels * 2 < 40e6


def test_equal_arguments_give_equal_files(folder, tmp_path):
    again = write_chest_study(tmp_path, series=SMALL[1:2])

    for path in (again / "series1").iterdir():
        assert path.read_bytes() == (folder / "series1" / path.name).read_bytes()


@pytest.mark.parametrize("change", [{"seed": 1}, {"nodules": NODULES[:2]}], ids=str)
def test_another_seed_or_other_nodules_are_another_series(folder, tmp_path, change):
    other = write_chest_study(tmp_path, series=SMALL[2:], **change)

    one, two = (headers(place, 2)[9] for place in (folder, other))
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.PixelData != two.PixelData


def test_all_series_share_study_and_frame_of_reference_and_no_instance(folder):
    every = [dcmread(path, stop_before_pixels=True) for path in folder.rglob("*.dcm")]

    assert len({header.StudyInstanceUID for header in every}) == 1
    assert len({header.FrameOfReferenceUID for header in every}) == 1
    assert len({header.SeriesInstanceUID for header in every}) == 3
    assert len({header.SOPInstanceUID for header in every}) == len(every) == 79


@pytest.mark.parametrize("nodule", NODULES, ids=lambda one: one.name)
def test_each_nodule_lies_whole_in_the_view(nodule):
    region = nodule_region(nodule, LUNG_CT.shape, series_affine())

    assert all(start > 5 for start in region.start)
    assert all(part.stop < size - 5 for part, size in zip(region.box, LUNG_CT.shape, strict=True))
