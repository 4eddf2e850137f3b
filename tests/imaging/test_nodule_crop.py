import json

import numpy as np
import pytest
import SimpleITK
from highdicom import Volume

from imaging.nodule_crop import (
    CropInput,
    classifier_crop,
    crop_geometry,
    crop_input,
    grow_in_slices,
    load_crop_input,
    outline_crop,
    outline_region,
)
from imaging.outcome import ModelError
from imaging.region import Region, region_of
from tests.phantoms import TURNS, oblique_affine, turned, voxel_centres_mm

SPACING_MM = (1.5, 0.6, 0.9)
SHAPE = (30, 70, 50)
WINDOW = (-1200.0, 600.0)
CUBE = CropInput(spacing_mm=(1.25, 1.25, 1.25), shape=(32, 32, 32), window_hu=WINDOW, dilation_mm=3.0)
BOX = CropInput(spacing_mm=(2.0, 1.0, 1.0), shape=(12, 24, 20), window_hu=WINDOW)
RADIUS_MM = 6.2


def scan(array=None, shape=SHAPE, spacing_mm=SPACING_MM):
    array = np.full(shape, -700.0) if array is None else array
    return Volume(array.astype(np.float32), oblique_affine(spacing_mm=spacing_mm), "PATIENT")


def place_mm(volume, index):
    return tuple(float(mm) for mm in (volume.affine @ [*index, 1])[:3])


def distance_mm(volume, centre_mm):
    return np.linalg.norm(voxel_centres_mm(volume.shape, volume.affine) - centre_mm, axis=-1)


def ball(volume, index, radius_mm=RADIUS_MM):
    """Region of a ball about an index, which may lie between voxels."""
    return region_of(distance_mm(volume, place_mm(volume, index)) <= radius_mm)


def logits_of(distance, radius_mm):
    """Logits that cross zero at a distance, as steep as those of a sure network."""
    return np.clip((radius_mm - distance) * 4, -20, 20).astype(np.float32)


def test_a_voxel_grows_by_millimetres_within_its_slice():
    volume = scan()
    grown = grow_in_slices(volume, Region(np.ones((1, 1, 1), bool), (12, 30, 20)), 3.0)
    rows, columns = np.mgrid[-5:6, -3:4]
    assert grown.start == (12, 25, 17)
    assert np.array_equal(grown.mask[0], (rows * 0.6) ** 2 + (columns * 0.9) ** 2 <= 9.0 + 1e-9)


def test_growth_enters_no_slice_without_the_object():
    volume = scan()
    mask = np.zeros((3, 2, 2), bool)
    mask[[0, 2]] = True
    grown = grow_in_slices(volume, Region(mask, (4, 30, 20)), 60.0).within(volume.shape)
    assert np.flatnonzero(grown.any(axis=(1, 2))).tolist() == [4, 6]
    assert grown[4].all()  # the volume ends nearer than 60 mm


@pytest.mark.parametrize("index", [(14, 33, 24), (11.4, 20.3, 29.7)])
def test_a_ball_lies_in_the_middle_of_the_cube_with_its_rim(index):
    volume = scan(np.full(SHAPE, 100.0))
    region = ball(volume, index)
    cube = classifier_crop(volume, region, CUBE)
    inside = np.argwhere(cube > 0)
    assert cube.dtype == np.float32
    assert inside.mean(axis=0) == pytest.approx([15.5] * 3, abs=0.4)
    r, d = RADIUS_MM, 3.0  # of the ball, and by which each of its slices grows
    rim_mm3 = 4 / 3 * np.pi * r**3 + np.pi**2 * d * r**2 + 2 * np.pi * d**2 * r
    assert len(inside) * 1.25**3 == pytest.approx(rim_mm3, rel=0.08)


def test_hounsfield_units_become_shares_of_the_window_and_the_rest_is_zero():
    volume = scan(np.full(SHAPE, 100.0))
    cube = classifier_crop(volume, ball(volume, (14, 33, 24)), CUBE)
    assert np.unique(cube[cube > 0]) == pytest.approx(1300 / 1800, abs=1e-6)
    assert (cube == 0).any()
    for hu, share in ((-3000, 0.0), (3000, 1.0)):
        extreme = classifier_crop(scan(np.full(SHAPE, hu)), ball(volume, (14, 33, 24)), CUBE)
        assert extreme[16, 16, 16] == share


def test_without_dilation_the_surroundings_stay():
    wanted = CropInput(spacing_mm=CUBE.spacing_mm, shape=(8, 8, 8), window_hu=WINDOW)
    volume = scan()
    cube = classifier_crop(volume, Region(np.ones((1, 1, 1), bool), (14, 33, 24)), wanted)
    assert cube == pytest.approx(np.full((8, 8, 8), 500 / 1800), abs=1e-6)


@pytest.mark.parametrize("index", [(0, 0, 0), (29, 69, 49), (0, 35, 49), (29, 0, 25)])
def test_a_nodule_at_the_border_is_cut_there(index):
    volume = scan()
    region = ball(volume, index)
    grid = crop_geometry(volume, region, CUBE)
    shown = np.argwhere(classifier_crop(volume, region, CUBE) > 0)
    at = volume.map_reference_to_indices(grid.map_indices_to_reference(shown))
    assert len(shown) > 50
    assert (at >= -0.5 - 1e-6).all()
    assert (at <= np.array(SHAPE) - 0.5 + 1e-6).all()


def test_a_nodule_larger_than_the_cube_is_seen_coarser_and_whole():
    volume = scan(shape=(50, 110, 80))
    region = ball(volume, (24, 55, 40), radius_mm=31.0)
    grid = crop_geometry(volume, region, CUBE)
    cube = classifier_crop(volume, region, CUBE) > 0
    assert grid.spacing == pytest.approx([(2 * 34 + 0.6) / 30] * 3, rel=0.04)
    assert cube.any(axis=(1, 2)).sum() == pytest.approx(62 / grid.spacing[0], abs=2)
    assert not any(np.take(cube, face, axis).any() for axis in range(3) for face in (0, -1))
    assert crop_geometry(volume, ball(volume, (24, 55, 40)), CUBE).spacing == pytest.approx(CUBE.spacing_mm)


@pytest.mark.parametrize(("order", "signs"), TURNS[5::7])
def test_the_order_of_the_source_axes_does_not_matter(order, signs, rng):
    volume = scan(rng.normal(-300, 300, SHAPE))
    region = ball(volume, (12, 30, 26))
    array, affine = turned(volume.array, volume.affine, order, signs)
    mask, _ = turned(region.within(SHAPE), volume.affine, order, signs)
    other = Volume(array, affine, "PATIENT")
    seed = place_mm(volume, (12.2, 30.4, 25.8))
    plain = CropInput(spacing_mm=CUBE.spacing_mm, shape=CUBE.shape, window_hu=WINDOW, dilation_mm=0.0)
    assert outline_crop(other, seed, BOX).array == pytest.approx(outline_crop(volume, seed, BOX).array, abs=1e-4)
    cubes = [classifier_crop(*each, plain) for each in ((volume, region), (other, region_of(mask)))]
    assert np.count_nonzero(np.abs(cubes[0] - cubes[1]) > 1e-4) <= 5  # the mask's edge may fall on one half exactly


def test_the_box_is_that_of_an_independent_resampler(rng):
    volume = scan(rng.normal(-300, 300, SHAPE))
    wanted = CropInput(spacing_mm=(1.4, 0.5, 0.7), shape=(8, 16, 12), window_hu=WINDOW)  # finer: no smoothing
    box = outline_crop(volume, place_mm(volume, (12.3, 30.7, 25.1)), wanted)
    assert itk_value(volume, box) == pytest.approx(box.array * 1800 - 1200, abs=0.2)


def itk_value(volume, box):
    image = SimpleITK.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / np.array(volume.spacing))[:, ::-1].ravel().tolist())
    points = voxel_centres_mm(box.shape, box.affine).reshape(-1, 3)
    values = [image.EvaluateAtPhysicalPoint(point.tolist(), SimpleITK.sitkLinear) for point in points]
    return np.clip(np.array(values), *WINDOW).reshape(box.shape)


def test_the_seed_is_the_centre_of_the_box():
    volume = scan()
    seed = place_mm(volume, (12.3, 30.7, 25.1))
    box = outline_crop(volume, seed, BOX)
    assert box.shape == BOX.shape
    assert box.spacing == pytest.approx(BOX.spacing_mm)
    assert place_mm(box, (np.array(BOX.shape) - 1) / 2) == pytest.approx(seed, abs=1e-6)


def test_beyond_the_volume_its_border_repeats():
    array = np.full(SHAPE, -700.0)
    array[0] = 0.0
    volume = scan(array, spacing_mm=(2.0, 1.0, 1.0))
    box = outline_crop(volume, place_mm(volume, (0, 30, 20)), BOX).array * 1800 - 1200
    assert box[:6] == pytest.approx(np.zeros((6, 24, 20)), abs=0.01)
    assert box[7:] == pytest.approx(np.full((5, 24, 20), -700.0), abs=0.01)


def test_a_seed_outside_the_volume_is_refused():
    volume = scan()
    with pytest.raises(ValueError, match="must lie in the volume"):
        outline_crop(volume, place_mm(volume, (-2, 30, 20)), BOX)


@pytest.mark.parametrize("index", [(14, 33, 24), (11.4, 20.3, 29.7)])
def test_an_outline_comes_back_to_the_source_where_it_was(index):
    volume = scan()
    seed = place_mm(volume, index)
    box = outline_crop(volume, seed, BOX)
    region = outline_region(box.with_array(logits_of(distance_mm(box, seed), 5.0)), volume.get_geometry(), seed)
    truth = ball(volume, index, 5.0)
    both = np.count_nonzero(region.within(SHAPE) & truth.within(SHAPE))
    assert 2 * both / (region.voxels + truth.voxels) > 0.96


def test_only_the_object_at_the_seed_is_outlined():
    volume = scan()
    seed, other = place_mm(volume, (14, 33, 24)), place_mm(volume, (14, 47, 24))
    box = outline_crop(volume, seed, BOX)
    near, far = (distance_mm(box, centre) for centre in (seed, other))
    both = np.maximum(logits_of(near, 2.0), logits_of(far, 4.0))
    region = outline_region(box.with_array(both), volume.get_geometry(), seed)
    assert not (region.within(SHAPE) & (distance_mm(volume, other) < 5)).any()
    assert region.within(SHAPE)[14, 33, 24]


@pytest.mark.parametrize(("off_mm", "found"), [(3.0, True), (9.0, False)])
def test_an_object_counts_up_to_a_few_millimetres_from_the_seed(off_mm, found):
    volume = scan()
    seed = place_mm(volume, (14, 33, 24))
    box = outline_crop(volume, seed, BOX)
    aside = place_mm(volume, (14, 33 + (2.0 + off_mm) / 0.6, 24))
    logits = box.with_array(logits_of(distance_mm(box, aside), 2.0))
    assert (outline_region(logits, volume.get_geometry(), seed) is not None) == found


def test_nothing_above_the_threshold_is_no_object():
    volume = scan()
    seed = place_mm(volume, (14, 33, 24))
    box = outline_crop(volume, seed, BOX)
    assert outline_region(box.with_array(np.full(BOX.shape, -3.0, np.float32)), volume.get_geometry(), seed) is None


def test_an_outline_at_the_border_stays_in_the_volume():
    volume = scan()
    seed = place_mm(volume, (0, 0, 49))
    box = outline_crop(volume, seed, BOX)
    region = outline_region(box.with_array(logits_of(distance_mm(box, seed), 6.0)), volume.get_geometry(), seed)
    assert all(0 <= part.start < part.stop <= size for part, size in zip(region.box, SHAPE, strict=True))
    assert region.voxels == pytest.approx(ball(volume, (0, 0, 49), 6.0).voxels, rel=0.12)


def test_the_crop_is_read_from_the_metadata(tmp_path):
    crop = {"spacing_mm": [2, 1, 1], "shape": [12, 24, 20], "window_hu": [-1200, 600]}
    (tmp_path / "metadata.json").write_text(json.dumps({"crop": crop}))
    assert load_crop_input(tmp_path) == BOX


@pytest.mark.parametrize(
    "record",
    [
        pytest.param({}, id="no crop"),
        pytest.param({"crop": {"spacing_mm": [1, 1, 1], "shape": [8, 8, 8]}}, id="no window"),
        pytest.param({"crop": {"spacing_mm": [1, 1], "shape": [8, 8, 8], "window_hu": [0, 1]}}, id="two axes"),
        pytest.param({"crop": {"spacing_mm": [1, 1, 1], "shape": [8, 8, 8], "window_hu": [1, 0]}}, id="no width"),
        pytest.param({"crop": {"spacing_mm": [1, 0, 1], "shape": [8, 8, 8], "window_hu": [0, 1]}}, id="no spacing"),
    ],
)
def test_metadata_without_a_usable_crop_are_refused(tmp_path, record):
    (tmp_path / "metadata.json").write_text(json.dumps(record))
    with pytest.raises(ModelError, match='under "crop"'):
        load_crop_input(tmp_path)


def test_a_crop_knows_no_dilation_unless_it_is_told():
    record = {"spacing_mm": [1, 1, 1], "shape": [8, 8, 8], "window_hu": [0, 1]}
    assert (crop_input(record).dilation_mm, crop_input({**record, "dilation_mm": 0}).dilation_mm) == (None, 0.0)
