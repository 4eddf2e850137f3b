from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread

from imaging.encode_heat_map import OPAQUE, blend, heat_on, picture, shown_on, write_heat_map
from imaging.heat_box import HeatBox
from imaging.mark import Mark, Origin
from imaging.measure_nodule import measure_nodule
from imaging.region import Region
from imaging.report_nodules import Nodule
from imaging.window import LUNG_WINDOW
from tests.nodule_samples import write_ct
from tests.series_samples import OTHER_WEIGHTS, PLANES, PROVENANCE, source_of

SHAPE = (7, 80, 130)
PLACES = {1: (2, 50, 100), 2: (3, 40, 20)}  # first voxel of two nodules of 2 x 4 x 5 voxels


def found(source, number, heat=True):
    """A nodule, hot in the middle of a box that is a voxel larger on every side."""
    start = PLACES[number]
    region = Region(np.ones((2, 4, 5), bool), start)
    values = np.full((4, 6, 7), 0.02, np.float32)
    values[1:3, 2, 3] = 1.0
    values[1:3, 3, 4] = 0.5
    box = HeatBox(values, tuple(first - 1 for first in start))
    measured = measure_nodule(source.volume, region)
    mark = Mark(centre_mm=measured.centre_mm, origin=Origin.USER)
    return Nodule(mark=mark, region=region, measured=measured, heat=box if heat else None, number=number)


def read_ct(folder, **options):
    pixels = np.full(SHAPE, -800, np.int16)
    return source_of(write_ct(folder, pixels=pixels, **options))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return read_ct(tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def nodules(source):
    return [found(source, 1), found(source, 2)]


def written(folder, nodules, source, provenance=PROVENANCE):
    folder.mkdir(exist_ok=True)
    return [dcmread(path) for path in write_heat_map(folder, nodules, source, provenance)]


@pytest.fixture(scope="module")
def images(source, nodules, tmp_path_factory):
    return written(tmp_path_factory.mktemp("heat"), nodules, source)


def pixels_of(image):
    return np.frombuffer(image.PixelData, np.uint8)[: image.Rows * image.Columns * 3].reshape(
        image.Rows, image.Columns, 3
    )


def is_coloured(rgb):
    return (rgb.max(axis=-1) - rgb.min(axis=-1)) > 2


def test_there_is_an_image_for_each_slice_that_shows_a_nodule(source, images):
    positions = [float(image.ImagePositionPatient[2]) for image in images]

    assert positions == [source.planes[at].position_mm[2] for at in (2, 3, 4)]
    assert [image.InstanceNumber for image in images] == [1, 2, 3]


def test_colour_is_where_the_heat_is_and_nowhere_else(images):
    for at, expected in enumerate(
        [{(51, 102), (52, 103)}, {(51, 102), (52, 103), (41, 22), (42, 23)}, {(41, 22), (42, 23)}]
    ):
        coloured = {
            (int(row), int(column)) for row, column in np.argwhere(is_coloured(pixels_of(images[at])[: SHAPE[1]]))
        }
        assert coloured == expected


def test_more_heat_is_redder(images):
    rgb = pixels_of(images[0]).astype(int)
    hot, warm = rgb[51, 102], rgb[52, 103]

    assert hot[0] - hot[1] > warm[0] - warm[1] > 0
    assert hot[2] < warm[2] < 255


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_the_hot_pixel_lies_at_the_millimetres_of_the_heat(tmp_path, plane, backwards):
    source = read_ct(tmp_path / "ct", plane=plane, backwards=backwards)
    nodule = found(source, 1)

    image = written(tmp_path / "heat", [nodule], source)[0]

    rgb = pixels_of(image)[: SHAPE[1]].astype(int)
    row, column = np.unravel_index((rgb[..., 0] - rgb[..., 2]).argmax(), SHAPE[1:])
    orientation = np.array(image.ImageOrientationPatient, float)
    spacing_mm = np.array(image.PixelSpacing, float)
    found_mm = (
        np.array(image.ImagePositionPatient, float)
        + orientation[:3] * spacing_mm[1] * column
        + orientation[3:] * spacing_mm[0] * row
    )
    expected_mm = source.volume.map_indices_to_reference(np.array([(2, 51, 102)]))[0]
    np.testing.assert_allclose(found_mm, expected_mm, atol=0.01)


def test_the_left_lung_lies_at_higher_columns_of_a_supine_axial_image(images):
    """Columns rise to the left of the patient, and so to the right of the screen."""
    assert list(images[0].ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert np.argwhere(is_coloured(pixels_of(images[0])[: SHAPE[1]]))[:, 1].min() > SHAPE[2] / 2


def test_every_image_says_that_it_is_for_research_in_its_pixels(images):
    strips = [pixels_of(image)[SHAPE[1] :] for image in images]

    assert (strips[0] == 255).all(axis=-1).any()
    assert len({strip.tobytes() for strip in strips}) == 1


def test_every_image_names_its_nodules(source, nodules):
    """In white, at the left of the heat: of a picture in which the nodule has another number, only that differs."""
    for at, places in ((2, {1}), (3, {1, 2}), (4, {2})):
        changed = [replace(nodule, number=nodule.number + 6) for nodule in nodules]
        differs = (picture(nodules, source, at) != picture(changed, source, at)).any(axis=-1)
        assert differs[:, 80:].any() == (1 in places)
        assert differs[:, :30].any() == (2 in places)
        assert not differs[SHAPE[1] :].any()


def uids(folder, source, nodules, provenance=PROVENANCE):
    made = written(folder, nodules, source, provenance)
    return {image.SeriesInstanceUID for image in made}, [image.SOPInstanceUID for image in made]


def test_other_weights_nodules_or_heat_make_another_series(source, nodules, tmp_path):
    heat = nodules[0].heat
    warmer = replace(nodules[0], heat=HeatBox(heat.values * np.float32(0.9), heat.start))

    all_uids = [
        uids(tmp_path / "one", source, nodules),
        uids(tmp_path / "two", source, nodules, OTHER_WEIGHTS),
        uids(tmp_path / "three", source, nodules[:1]),
        uids(tmp_path / "four", source, [warmer, nodules[1]]),
    ]

    assert len(set.union(*(series for series, _ in all_uids))) == 4
    assert len({uid for _, instances in all_uids for uid in instances}) == sum(len(two) for _, two in all_uids)


def test_without_heat_there_is_no_image(source, tmp_path):
    assert written(tmp_path, [found(source, 1, heat=False)], source) == []
    assert written(tmp_path, [], source) == []


def test_only_slices_with_voxels_of_a_nodule_show_it(source, nodules):
    assert [[one.number for one in shown_on(nodules, at)] for at in range(SHAPE[0])] == [
        [], [], [1], [1, 2], [2], [], [],
    ]  # fmt: skip


@pytest.mark.parametrize("start", [(0, -2, -3), (0, 6, 9), (0, -9, 0), (0, 40, 0), (-1, 2, 3)])
def test_heat_beyond_the_image_is_cut_off(nodules, start, rng):
    values = rng.random((3, 5, 6), np.float32)
    whole = np.zeros((20, 80, 80), np.float32)
    whole[tuple(slice(20 * (axis > 0) + first + (axis == 0), None) for axis, first in enumerate(start))][:3, :5, :6] = (
        values
    )

    heat = heat_on([replace(nodules[0], heat=HeatBox(values, start))], 1, (4, 8, 10))

    np.testing.assert_array_equal(heat, whole[2, 20:28, 20:30])


def test_where_boxes_overlap_the_higher_heat_counts(nodules):
    one, other = (
        replace(nodules[0], heat=HeatBox(np.full((1, 2, 2), value, np.float32), (0, 0, at)))
        for value, at in ((0.4, 0), (0.7, 1))
    )

    assert heat_on([one, other], 0, (1, 1, 4)).tolist() == [pytest.approx([0.4, 0.7, 0.7, 0.0])]


def test_the_window_is_that_of_the_lung():
    grey = LUNG_WINDOW.grey(np.array([-3000, -1350, -600, 150, 3000], np.float32))

    assert grey.tolist() == [0, 0, 128, 255, 255]


def test_without_heat_the_picture_is_grey():
    grey = np.arange(256, dtype=np.uint8)[None]

    rgb = blend(grey, np.zeros(grey.shape, np.float32))

    np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, axis=2))


def test_a_ct_for_inverted_display_is_shown_inverted_and_heat_as_ever(source, nodules, tmp_path):
    def edit(header, _number):
        header.PhotometricInterpretation = "MONOCHROME1"

    inverted = read_ct(tmp_path / "ct", edit=edit)
    plain, other = (picture(nodules, one, 3)[: SHAPE[1]].astype(int) for one in (source, inverted))

    hot = heat_on(nodules, 3, SHAPE)
    np.testing.assert_array_equal(other[70, 30], 255 - plain[70, 30])
    np.testing.assert_allclose(other[hot == 1], plain[hot == 1], atol=255 * (1 - OPAQUE) + 1)
