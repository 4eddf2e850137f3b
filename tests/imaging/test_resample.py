import highdicom
import numpy as np
import pytest
from scipy import ndimage

from imaging.resample import interpolation_weights, model_geometry, parallel_axes, resample
from tests.phantoms import TURNS, oblique_affine, turned, voxel_centres_mm

SPACING_MM = (3.0, 0.8, 1.1)
SHAPE = (9, 30, 23)


def volume(array, affine=None, frame=None):
    affine = oblique_affine(spacing_mm=SPACING_MM) if affine is None else affine
    return highdicom.Volume(array.astype(np.float32), affine, "PATIENT", frame_of_reference_uid=frame)


def middle_mm(shape, affine):
    return (affine @ [*(np.array(shape) - 1) / 2, 1])[:3]


def smooth_noise(rng, shape=SHAPE):
    return ndimage.gaussian_filter(rng.normal(size=shape), 1.5) * 100


def inner(source, target):
    """Voxels of the target that lie between the voxel centres of the source."""
    index = (voxel_centres_mm(target.shape, target.affine) - source.affine[:3, 3]) @ np.linalg.inv(
        source.affine[:3, :3]
    ).T
    return ((index >= 0) & (index <= np.array(source.shape) - 1)).all(axis=-1), index


def ball(source, radius_mm):
    centre = middle_mm(source.shape, source.affine)
    return np.linalg.norm(voxel_centres_mm(source.shape, source.affine) - centre, axis=-1) - radius_mm


def test_the_model_grid_is_isotropic_around_the_source_and_rises_to_head_back_and_left():
    source = volume(np.zeros(SHAPE), frame="1.2.3")

    grid = model_geometry(source, 2.0, 16, 128)

    axes = grid.affine[:3, :3] / 2.0
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
    assert (axes[2, 0], axes[1, 1], axes[0, 2]) > (0.8, 0.8, 0.8)
    assert grid.shape == (16, 16, 16)  # 27, 24 and 25.3 mm in steps of 2 mm, up to whole sixteens
    assert middle_mm(grid.shape, grid.affine) == pytest.approx(middle_mm(SHAPE, source.affine))
    assert grid.frame_of_reference_uid == "1.2.3"


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_the_model_grid_does_not_depend_on_how_voxels_are_numbered(order, signs):
    source = volume(np.zeros(SHAPE))
    array, affine = turned(source.array, source.affine, order, signs)

    expected, found = (model_geometry(each, 2.0, 8, 128) for each in (source, volume(array, affine)))

    assert found.shape == expected.shape
    assert found.affine == pytest.approx(expected.affine, abs=1e-9)


def test_a_model_grid_larger_than_its_maximum_is_cut_at_both_ends():
    source = volume(np.zeros((200, 10, 10)), oblique_affine(spacing_mm=(1, 1, 1)))

    grid = model_geometry(source, 1.0, 8, 64)

    assert grid.shape == (64, 16, 16)
    assert middle_mm(grid.shape, grid.affine) == pytest.approx(middle_mm((200, 10, 10), source.affine))


def test_a_size_that_is_a_whole_multiple_is_not_rounded_up():
    source = volume(np.zeros((10, 30, 40)), oblique_affine(spacing_mm=(4.8, 1.6, 1.2)))

    assert model_geometry(source, 2.0, 8, 512).shape == (24, 24, 24)


def test_the_grid_of_the_source_itself_gives_its_values_exactly(rng):
    source = volume(rng.normal(size=SHAPE))

    assert (resample(source, source.get_geometry()).array == source.array).all()


@pytest.mark.parametrize("spacing_mm", [0.5, 1.0, 2.0, 5.0])
def test_a_constant_stays_constant(spacing_mm):
    source = volume(np.full(SHAPE, 7.0))

    found = resample(source, model_geometry(source, spacing_mm, 1, 512))

    index = inner(source, found)[1]
    inside = ((index >= -0.5) & (index <= np.array(SHAPE) - 0.5)).all(axis=-1)
    assert inside.mean() > 0.7
    assert np.abs(found.array[inside] - 7).max() < 1e-4
    assert (found.array[~inside] == 0).all()


def test_beyond_the_source_lies_what_the_caller_says():
    source = volume(np.full(SHAPE, 7.0))
    grid = model_geometry(source, 2.0, 32, 512)

    found = resample(source, grid, outside=-5.0)

    assert found.array[0, 0, 0] == -5.0
    assert found.array[tuple(size // 2 for size in grid.shape)] == pytest.approx(7.0)


@pytest.mark.parametrize("spacing_mm", [0.5, 0.7, 1.0])
def test_a_linear_ramp_keeps_its_value_at_every_place(spacing_mm):
    slope = np.array([3.0, -7.0, 5.0])
    affine = oblique_affine(spacing_mm=(1.2, 1.1, 1.3))
    source = volume(voxel_centres_mm(SHAPE, affine) @ slope, affine)

    found = resample(source, model_geometry(source, spacing_mm, 1, 512))

    inside = inner(source, found)[0]
    expected = voxel_centres_mm(found.shape, found.affine) @ slope
    assert np.abs(found.array - expected)[inside].max() < 0.01


def test_a_linear_ramp_survives_a_coarser_grid_away_from_the_border():
    slope = np.array([3.0, -7.0, 5.0])
    affine = oblique_affine(spacing_mm=(1.0, 0.9, 0.7))
    source = volume(voxel_centres_mm((40, 44, 56), affine) @ slope, affine)

    found = resample(source, model_geometry(source, 2.0, 1, 512))

    off = np.abs(found.array - voxel_centres_mm(found.shape, found.affine) @ slope)[3:-3, 3:-3, 3:-3]
    assert off.max() < 0.1 * 2.0 * np.linalg.norm(slope)  # a tenth of the step between neighbours


@pytest.mark.parametrize("spacing_mm", [0.4, 0.8])
def test_finer_grids_agree_with_scipy(spacing_mm, rng):
    source = volume(smooth_noise(rng))
    grid = model_geometry(source, spacing_mm, 1, 512)

    found = resample(source, grid)

    inside, index = inner(source, grid)
    expected = ndimage.map_coordinates(source.array, np.moveaxis(index, -1, 0), order=1, mode="nearest")
    assert inside.any()
    assert np.abs(found.array - expected)[inside].max() < 1e-3


@pytest.mark.parametrize("spacing_mm", [0.6, 2.0])
@pytest.mark.parametrize(("order", "signs"), TURNS[1::5])
def test_numbering_the_voxels_otherwise_changes_no_value(order, signs, spacing_mm, rng):
    source = volume(smooth_noise(rng))
    other = volume(*turned(source.array, source.affine, order, signs))
    grid = model_geometry(source, spacing_mm, 1, 512)

    assert np.abs(resample(other, grid).array - resample(source, grid).array).max() < 1e-3


@pytest.mark.parametrize(("order", "signs"), TURNS[2::5])
def test_numbering_the_target_otherwise_changes_no_value(order, signs, rng):
    source = volume(smooth_noise(rng))
    straight = resample(source, model_geometry(source, 1.5, 1, 512))
    wanted, affine = turned(straight.array, straight.affine, order, signs)

    found = resample(source, volume(wanted, affine).get_geometry())

    assert np.abs(found.array - wanted).max() < 1e-3


def there_and_back(source, spacing_mm=2.0):
    coarse = resample(source, model_geometry(source, spacing_mm, 8, 256))
    return resample(coarse, source.get_geometry())


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.1, 0.7, 0.9)])
def test_a_ball_comes_back_within_half_a_coarse_voxel(spacing_mm):
    grid = volume(np.zeros((40, 52, 46)), oblique_affine(spacing_mm=spacing_mm))
    distance_mm = ball(grid, 13.0)

    found = there_and_back(volume(distance_mm <= 0, grid.affine)).array > 0.5

    wrong = found != (distance_mm <= 0)
    assert found.any()
    assert np.abs(distance_mm[wrong]).max(initial=0) <= 1.0


def test_a_plate_of_two_coarse_voxels_comes_back_within_half_a_coarse_voxel():
    grid = volume(np.zeros((40, 40, 40)), oblique_affine(spacing_mm=(1, 1, 1)))
    distance_mm = np.broadcast_to(np.abs(np.arange(40) - 20.0)[:, None, None] - 2.5, (40, 40, 40))

    found = there_and_back(volume(distance_mm <= 0, grid.affine)).array > 0.5

    wrong = (found != (distance_mm <= 0))[:, 2:-2, 2:-2]  # the model grid ends where the image ends
    assert found.any()
    assert np.abs(distance_mm[:, 2:-2, 2:-2][wrong]).max(initial=0) <= 1.0


def test_a_fine_pattern_is_smoothed_not_aliased():
    affine = oblique_affine(spacing_mm=(1, 1, 1))
    board = volume(np.indices((39, 39, 39)).sum(axis=0) % 2 * 100.0, affine)

    found = resample(board, model_geometry(board, 3.0, 1, 512))  # each new centre lies on an old one

    assert np.abs(found.array[2:-2, 2:-2, 2:-2] - 50).max() < 1


def test_the_result_carries_the_grid_and_the_frame_of_the_target():
    source = volume(np.ones(SHAPE), frame="1.2.3")

    found = resample(source, model_geometry(source, 2.0, 8, 256))

    assert found.frame_of_reference_uid == "1.2.3"
    assert found.affine == pytest.approx(model_geometry(source, 2.0, 8, 256).affine)
    assert found.array.flags.c_contiguous
    assert found.array.dtype == np.float32


def test_oblique_grids_are_refused_with_their_matrix():
    source, other = volume(np.zeros(SHAPE)), volume(np.zeros(SHAPE), oblique_affine((0, 0, 0)))

    with pytest.raises(ValueError, match=r"axes of both grids must be parallel, got the voxel matrix \[\["):
        resample(source, other.get_geometry())


def test_a_matrix_that_uses_an_axis_twice_is_refused():
    with pytest.raises(ValueError, match="must be parallel"):
        parallel_axes(np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.7, -0.3, -2.7])
def test_weights_sum_to_one_inside_and_to_zero_outside(scale):
    weights = interpolation_weights(9, 40, scale=scale, offset=4.0 - scale * 20)

    at = scale * (np.arange(40) - 20) + 4
    assert weights.sum(axis=1) == pytest.approx((np.abs(at - 4) <= 4.5).astype(float), abs=1e-6)
    assert weights.min() >= 0
