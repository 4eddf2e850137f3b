import numpy as np
import pytest
from highdicom import Volume
from pydicom import dcmread

from imaging.load_study import load_study
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.write_mr_series import MrSeries, write_mr_series
from tests.lumbar_series import OVERLAP_MM, acquired_grid, sampled, write_lumbar_series

AXES = np.array(
    [[0, 0, 1.0], [0, -1.0, 0], [-1.0, 0, 0]]
)  # slices to the right, rows to the front, columns to the head


@pytest.fixture
def volume(rng):
    affine = np.eye(4)
    affine[:3, :3] = AXES[:, ::-1] * [2.0, 1.5, 1.2]
    affine[:3, 3] = [31.0, 44.0, -77.0]
    return Volume(rng.integers(0, 255, (30, 60, 90)).astype(np.uint8), affine, "PATIENT")


def volumes_of(study):
    series = sorted(load_study(study).series, key=lambda one: one.number)
    return [to_volume(split_series(one)[0]).volume for one in series]


def test_a_volume_comes_back_from_its_series_at_the_same_millimetres(volume, tmp_path):
    shape, affine = acquired_grid(volume)

    (back,) = volumes_of(write_lumbar_series(volume, tmp_path))

    np.testing.assert_allclose(back.affine, affine, atol=1e-4)
    np.testing.assert_allclose(back.array, sampled(volume, shape, affine) * 4, atol=0.51)


def test_two_stations_share_their_overlap(volume, tmp_path):
    upper, lower = volumes_of(write_lumbar_series(volume, tmp_path, count=2))

    rows = round(OVERLAP_MM / 0.78 / 2) * 2
    np.testing.assert_array_equal(upper.array[:, -rows:], lower.array[:, :rows])
    step = np.subtract(lower.position, upper.position)
    np.testing.assert_allclose(step, upper.affine[:3, 1] * (upper.shape[1] - rows), atol=1e-3)


def test_two_stations_are_two_series_of_one_study(volume, tmp_path):
    write_lumbar_series(volume, tmp_path, count=2)

    headers = [dcmread(path, stop_before_pixels=True) for path in tmp_path.rglob("*.dcm")]
    assert len({header.SeriesInstanceUID for header in headers}) == 2
    assert len({header.StudyInstanceUID for header in headers}) == 1


def test_thickness_and_distance_of_slices_are_said_apart(volume, tmp_path):
    write_lumbar_series(volume, tmp_path)

    header = dcmread(next(tmp_path.rglob("*.dcm")))
    assert float(header.SliceThickness) == 4.0
    assert float(header.SpacingBetweenSlices) == pytest.approx(4.4)


def test_a_second_volume_goes_on_counting_in_the_same_series(tmp_path, rng):
    def facts(before, b_value):
        said = {"DiffusionBValue": b_value, "WindowCenter": "77"}
        return MrSeries(
            study="one", series=("two",), patient="Pelvis", number=5, description="synthetic", body_part="PELVIS",
            thickness_mm=1.0, sequence=said, before=before,
        )  # fmt: skip

    pixels = rng.integers(0, 4095, (2, 3, 5, 4)).astype(np.uint16)
    for number, b_value in enumerate((50.0, 800.0)):
        write_mr_series(tmp_path, pixels[number], np.eye(4), facts(3 * number, b_value))

    headers = [dcmread(path) for path in sorted(tmp_path.iterdir())]
    assert [header.InstanceNumber for header in headers] == [1, 2, 3, 4, 5, 6]
    assert [header.DiffusionBValue for header in headers] == [50.0] * 3 + [800.0] * 3
    assert len({header.SOPInstanceUID for header in headers}) == 6
    assert len({header.SeriesInstanceUID for header in headers}) == 1
    assert {float(header.WindowCenter) for header in headers} == {77}
    np.testing.assert_array_equal([header.pixel_array for header in headers], pixels.reshape(6, 5, 4))
