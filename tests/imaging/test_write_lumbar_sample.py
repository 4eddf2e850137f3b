import numpy as np
import pytest
from pydicom import dcmread

from imaging.image_kind import Plane, Weighting
from imaging.load_study import load_study
from imaging.order_bodies import order_bodies
from imaging.select_series import SeriesRule, judge_study, select_series
from imaging.to_volume import to_volume
from imaging.write_lumbar_sample import (
    OTHERS,
    SAGITTAL_T2W,
    expected_bodies,
    series_affine,
    write_lumbar_study,
)

pytestmark = pytest.mark.system  # slow: many voxels

RULE = SeriesRule(title="sagittal T2w", modality="MR", weighting=Weighting.T2W, plane=Plane.SAGITTAL, min_slices=7)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_lumbar_study(tmp_path_factory.mktemp("lumbar") / "study")


@pytest.fixture(scope="module")
def source(study):
    return to_volume(select_series(load_study(study), RULE).stack)


def test_the_sagittal_t2w_series_is_taken_and_each_other_one_refused(study):
    verdicts = judge_study(load_study(study), RULE)

    assert [verdict.stack.series.number for verdict in verdicts if verdict.eligible] == [SAGITTAL_T2W.number]
    assert len(verdicts) == 1 + len(OTHERS)


def test_equal_arguments_give_equal_files(study, tmp_path):
    localizer = OTHERS[0]

    again = write_lumbar_study(tmp_path, series=(localizer,))

    for path in (again / "series1").iterdir():
        assert path.read_bytes() == (study / "series1" / path.name).read_bytes()


def test_another_seed_gives_another_study(study, tmp_path):
    other = write_lumbar_study(tmp_path, seed=1, series=OTHERS[:1])

    one, two = (dcmread(folder / "series1" / "0001.dcm") for folder in (study, other))
    assert one.StudyInstanceUID != two.StudyInstanceUID
    assert one.PixelData != two.PixelData


def test_all_series_share_study_and_frame_of_reference_and_no_instance(study):
    headers = [dcmread(path, stop_before_pixels=True) for path in study.rglob("*.dcm")]

    assert len({header.StudyInstanceUID for header in headers}) == 1
    assert len({header.FrameOfReferenceUID for header in headers}) == 1
    assert len({header.SeriesInstanceUID for header in headers}) == 5
    assert len({header.SOPInstanceUID for header in headers}) == len(headers)


def test_slices_are_4_mm_thick_with_a_gap_and_oblique(source):
    header = source.stack.header

    assert float(header.SliceThickness) == 4.0
    assert float(header.SpacingBetweenSlices) == pytest.approx(4.4)
    assert source.volume.spacing[0] == pytest.approx(4.4, abs=1e-4)
    assert 2 < np.degrees(np.arccos(np.abs(source.volume.direction[0, 0]))) < 6


def test_the_grid_is_the_one_that_was_asked_for(source):
    assert source.volume.shape == SAGITTAL_T2W.shape
    np.testing.assert_allclose(source.volume.affine, series_affine(SAGITTAL_T2W), atol=1e-4)


def test_the_expected_bodies_lie_whole_inside_the_view(source):
    expected = expected_bodies()
    border = expected.copy()
    border[1:-1, 1:-1, 1:-1] = 0

    assert set(np.unique(expected)) == {0, 1, 2, 3, 4, 5, 6}
    assert not border.any()


def test_the_expected_bodies_are_in_order_and_hold_marrow(source):
    expected = source.volume.with_array(expected_bodies().astype(np.int16))

    np.testing.assert_array_equal(order_bodies(expected).labels.array, expected.array)
    inside = source.volume.array[expected.array > 0]
    assert inside.std() / inside.mean() < 0.3
