import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from scipy.spatial.transform import Rotation

from imaging.geometry import STRICT, GeometryPolicy
from imaging.load_study import load_study
from imaging.outcome import Reason, RefusedError
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from tests.phantoms import (
    ORIGIN_MM,
    SHAPE,
    SPACING_MM,
    TURNS,
    coded_pixels,
    oblique_affine,
    position_code,
    read_by_itk,
    turned,
    value_at,
    voxel_centres_mm,
    write_series,
)


def volume_of(folder, policy=STRICT):
    return to_volume(split_series(load_study(folder).series[0])[0], policy)


@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_each_numbering_of_the_voxels_gives_the_same_value_at_the_same_place(order, signs, tmp_path):
    box = (4, 5, 7)
    write_series(tmp_path, *turned(coded_pixels(box), oblique_affine(), order, signs))

    volume = volume_of(tmp_path).volume

    places_mm = voxel_centres_mm(box, oblique_affine())
    assert (value_at(volume.array, volume.affine, places_mm) == coded_pixels(box)).all()
    assert volume.array.size == 4 * 5 * 7


@pytest.mark.parametrize("seed", range(20))
def test_each_oblique_orientation_keeps_every_value_at_its_place(seed, tmp_path):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.random(rng=rng).as_matrix() * rng.uniform(0.4, 3, 3)
    affine[:3, 3] = rng.uniform(-20, 20, 3)
    paths = write_series(tmp_path, coded_pixels((4, 7, 5), affine), affine)

    volume = volume_of(tmp_path).volume

    centres_mm = voxel_centres_mm(volume.shape, volume.affine)
    assert np.abs(volume.array - position_code(centres_mm)).max() <= 0.5001  # codes are stored as whole numbers
    itk_array, itk_affine = read_by_itk(paths)
    assert (value_at(itk_array, itk_affine, centres_mm) == volume.array).all()


def test_shuffled_names_and_wrong_instance_numbers_change_nothing(tmp_path):
    def wrong_number(header, number):
        header.InstanceNumber = (7 * number + 3) % 6

    names = ["f.dcm", "a", "010", "9", "é.ima", "B.DCM"]
    paths = write_series(tmp_path, names=names, change=wrong_number)

    source = volume_of(tmp_path)

    assert (source.volume.array == coded_pixels()).all()
    assert [frame.instance.path for frame in source.frames] == paths


def test_instances_are_given_in_the_order_of_their_slices(tmp_path):
    pixels, affine = turned(coded_pixels(), oblique_affine(), (0, 1, 2), (-1, 1, 1))
    write_series(tmp_path, pixels, affine)

    source = volume_of(tmp_path)

    assert source.slices == (0, 1, 2, 3, 4, 5)
    for number, frame in enumerate(source.frames):
        position_mm = np.array(frame.header.ImagePositionPatient, float)
        assert position_mm == pytest.approx((source.volume.affine @ [number, 0, 0, 1])[:3], abs=1e-6)


def test_spacing_and_frame_of_reference_are_those_of_the_series(tmp_path):
    write_series(tmp_path, FrameOfReferenceUID="1.2.3.4")

    volume = volume_of(tmp_path).volume

    assert volume.spacing == pytest.approx(SPACING_MM)
    assert volume.position == pytest.approx(ORIGIN_MM)
    assert volume.frame_of_reference_uid == "1.2.3.4"
    assert volume.array.dtype == np.float32


def test_a_series_without_frame_of_reference_is_a_volume_all_the_same(tmp_path):
    write_series(tmp_path, FrameOfReferenceUID=None)

    assert volume_of(tmp_path).volume.frame_of_reference_uid is None


def test_two_slices_make_a_volume(tmp_path):
    write_series(tmp_path, coded_pixels()[:2])

    assert (volume_of(tmp_path).volume.array == coded_pixels()[:2]).all()


def test_each_slice_is_rescaled_by_its_own_slope_and_intercept(tmp_path):
    slopes, intercepts = np.linspace(0.5, 3, 6), np.linspace(-100, 400, 6)

    def rescaled(header, number):
        header.RescaleSlope, header.RescaleIntercept = f"{slopes[number]:g}", f"{intercepts[number]:g}"

    write_series(tmp_path, change=rescaled)

    found = volume_of(tmp_path).volume.array

    assert found == pytest.approx(coded_pixels() * slopes[:, None, None] + intercepts[:, None, None], rel=1e-6)


def test_slices_may_differ_in_sign_bits_and_syntax(tmp_path):
    expected = coded_pixels() % 100
    write_series(tmp_path, expected.astype(np.uint8))
    for number, dtype, syntax in [(1, "i2", ImplicitVRLittleEndian), (4, "u4", ExplicitVRLittleEndian)]:
        paths = write_series(tmp_path / "other", expected.astype(dtype), syntax=syntax)
        paths[number].rename(tmp_path / f"{number:03d}.dcm")
        for path in (tmp_path / "other").iterdir():
            path.unlink()

    assert (volume_of(tmp_path).volume.array == expected).all()


def test_a_blank_first_slice_stays_blank(tmp_path):
    pixels = coded_pixels()
    pixels[0] = 0
    write_series(tmp_path, pixels)

    assert (volume_of(tmp_path).volume.array == pixels).all()


def test_a_missing_slice_is_refused(tmp_path):
    write_series(tmp_path)[3].unlink()

    with pytest.raises(RefusedError, match=r"found 8\.00 mm between slices 3 and 4"):
        volume_of(tmp_path)


def test_a_tolerated_missing_slice_is_interpolated_and_said(tmp_path):
    write_series(tmp_path)[3].unlink()

    source = volume_of(tmp_path, GeometryPolicy(max_gap_mm=8.0))

    centres_mm = voxel_centres_mm(SHAPE, oblique_affine())
    assert source.volume.array.shape == SHAPE
    assert np.abs(source.volume.array - position_code(centres_mm)).max() < 0.51  # the code is linear in position
    assert source.slices == (0, 1, 2, 4, 5)
    assert source.flags[0].startswith("1 of 6 slices missing in the series (slice 4 by position), interpolated")


def test_two_neighbours_missing_are_interpolated_by_their_distance(tmp_path):
    paths = write_series(tmp_path)
    paths[1].unlink()
    paths[2].unlink()

    source = volume_of(tmp_path, GeometryPolicy(max_gap_mm=12.0))

    first, last = coded_pixels()[0], coded_pixels()[3]
    assert source.volume.array[1] == pytest.approx(2 / 3 * first + 1 / 3 * last, rel=1e-6)
    assert source.volume.array[2] == pytest.approx(1 / 3 * first + 2 / 3 * last, rel=1e-6)
    assert "2 of 6 slices missing in the series (slice 2, 3 by position)" in source.flags[0]


def test_slices_without_a_frame_are_left_out_of_what_belongs_to_frames(tmp_path):
    write_series(tmp_path)[3].unlink()
    source = volume_of(tmp_path, GeometryPolicy(max_gap_mm=8.0))

    kept = source.of_planes(np.arange(6)[:, None, None] * np.ones((1, 2, 2)))

    assert kept[:, 0, 0].tolist() == [0, 1, 2, 4, 5]


def test_a_whole_series_keeps_all_its_slices(tmp_path):
    write_series(tmp_path)
    source = volume_of(tmp_path)

    assert source.flags == ()
    assert source.of_planes(source.volume.array) is source.volume.array


def test_an_absurd_size_is_refused_before_memory_is_taken_for_it(tmp_path):
    def absurd(header, _):
        header.Rows = header.Columns = 65535

    write_series(tmp_path, change=absurd)

    with pytest.raises(RefusedError, match="claims 65535 x 65535 pixels"):
        volume_of(tmp_path)


def test_a_damaged_slice_refuses_the_whole_series_and_is_named(tmp_path):
    path = write_series(tmp_path)[3]
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(
        RefusedError, match=r"instance 4 of series 3 is not: its pixels are cut short: 204 of 234 bytes"
    ):
        volume_of(tmp_path)


def test_a_real_single_slice_is_refused_for_being_one():
    with pytest.raises(RefusedError, match="At least 2 slices make a volume"):
        volume_of(pydicom.examples.get_path("mr"))


def test_two_different_files_with_one_uid_are_refused(tmp_path):
    paths = write_series(tmp_path)
    first, second = (pydicom.dcmread(path) for path in paths[2:4])
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = first.SOPInstanceUID
    second.save_as(paths[3])

    with pytest.raises(RefusedError, match=r"1 files repeat that of another file with other content") as refused:
        volume_of(tmp_path)

    assert refused.value.reason is Reason.SAME_UID
