import numpy as np
import pytest

from imaging.mask_frames import frames_of, on_slice, planes_of, viewer_notes
from imaging.region import Region, region_of
from tests.series_samples import SHAPE, asymmetric_mask, source_of, write_series


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_series(tmp_path_factory.mktemp("series")))


@pytest.fixture(scope="module")
def source_without_slices(tmp_path_factory):
    """Slices 2 and 3 are missing."""
    folder = write_series(tmp_path_factory.mktemp("series"))
    for number in (3, 4):
        (folder / f"{number:04d}.dcm").unlink()
    return source_of(folder, max_gap_mm=100)


def test_a_region_shows_on_each_slice_what_its_mask_shows():
    mask = asymmetric_mask()
    region = region_of(mask)

    assert region.mask.shape != SHAPE  # its last slice is empty
    for axis in range(3):
        for number in range(SHAPE[axis]):
            expected = mask.take(number, axis)
            np.testing.assert_array_equal(on_slice(mask, number, SHAPE, axis), expected)
            np.testing.assert_array_equal(on_slice(region, number, SHAPE, axis), expected)


def test_a_mask_on_the_volume_has_every_plane(source):
    assert planes_of(np.zeros(SHAPE, bool), source) == tuple(range(SHAPE[0]))


def test_an_empty_slice_within_a_region_is_no_plane_of_it(source):
    mask = np.zeros(SHAPE, bool)
    mask[1, 2, 3] = mask[4, 5, 6] = True

    assert planes_of(region_of(mask), source) == (1, 4)


def test_planes_are_counted_without_missing_slices(source_without_slices):
    region = Region(np.ones((3, 1, 1), bool), (3, 0, 0))

    planes = planes_of(region, source_without_slices)

    assert [source_without_slices.planes[at].slice for at in planes] == [4, 5]
    assert planes == (2, 3)


@pytest.mark.parametrize(("slice_", "nearest"), [(2, 1), (3, 4)])
def test_a_region_on_a_missing_slice_has_the_nearest_plane(source_without_slices, slice_, nearest):
    (at,) = planes_of(Region(np.ones((1, 1, 1), bool), (slice_, 0, 0)), source_without_slices)

    assert source_without_slices.planes[at].slice == nearest


@pytest.fixture
def odd_source(tmp_path):
    """Five slices whose frames fill 15 bytes."""
    return source_of(write_series(tmp_path / "odd", shape=(5, 12, 10)))


def in_bytes(frames):
    return 15 * len(frames)


def test_an_empty_frame_is_left_out_where_a_pad_byte_would_follow(odd_source):
    mask = np.ones(odd_source.volume.shape, bool)
    mask[[0, 3]] = False

    frames = frames_of([mask], odd_source)

    assert frames == [(1, 0), (1, 1), (1, 2), (1, 4)]
    assert in_bytes(frames) % 2 == 0


def test_a_region_gets_an_empty_frame_beside_it_where_a_pad_byte_would_follow(odd_source):
    first, second = np.zeros((2, *odd_source.volume.shape), bool)
    first[1:3, 4, 5] = second[2, 6, 7] = True

    frames = frames_of([region_of(first), region_of(second)], odd_source)

    assert frames == [(1, 1), (1, 2), (2, 2), (2, 3)]
    assert in_bytes(frames) % 2 == 0


def test_without_a_pad_byte_no_frame_is_added_or_left_out(odd_source):
    mask = np.zeros(odd_source.volume.shape, bool)
    mask[1:3, 4, 5] = True

    assert frames_of([region_of(mask)], odd_source) == [(1, 1), (1, 2)]


def test_no_occupied_frame_is_left_out(odd_source):
    whole = np.ones(odd_source.volume.shape, bool)
    empty = np.zeros(odd_source.volume.shape, bool)

    assert len(frames_of([whole], odd_source)) == 5
    assert len(frames_of([empty], odd_source)) == 4


@pytest.mark.parametrize(
    ("rows", "columns", "frames", "said"),
    [(181, 217, 4, "wrong mask"), (90, 108, 5, "does not load"), (90, 108, 6, None), (256, 256, 5, None)],
)
def test_what_a_viewer_cannot_show_is_said(rows, columns, frames, said):
    """The sizes of docs/viewers.md and of decision 25."""
    notes = viewer_notes(rows, columns, frames)

    assert [said in note for note in notes] == ([True] if said else [])
