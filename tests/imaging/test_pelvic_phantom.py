import numpy as np
import pytest
from scipy import ndimage

from imaging.pelvic_phantom import (
    TUMOUR_ML,
    Ellipsoid,
    Part,
    Tissue,
    Tube,
    draw_pelvis,
    label_pelvis,
)

BONES = (Tissue.CORTICAL_BONE, Tissue.MARROW)


def places(half_mm, step_mm, centre=(0.0, 0.0, 0.0)):
    along = [np.arange(-half, half, step_mm) + step_mm / 2 + at for half, at in zip(half_mm, centre, strict=True)]
    return np.stack(np.meshgrid(*along, indexing="ij"), axis=-1)


def tumour_mask(seed, ml, step_mm):
    half = 2.6 * (750 * ml / np.pi) ** (1 / 3) + 10
    return label_pelvis(draw_pelvis(seed, tumour_ml=ml), places((half,) * 3, step_mm)) == Tissue.TUMOUR


@pytest.mark.parametrize(("seed", "ml"), [
    (3, 20.0),
    *(pytest.param(seed, ml, marks=pytest.mark.system) for seed, ml in ((1, 1.0), (2, 4.0), (4, 60.0), (5, 60.0))),
])  # fmt: skip
def test_a_tumour_has_the_volume_that_was_asked_for_in_one_piece(seed, ml):
    step_mm = 0.07 * (1000 * ml) ** (1 / 3)
    mask = tumour_mask(seed, ml, step_mm)

    assert np.count_nonzero(mask) * step_mm**3 / 1000 == pytest.approx(ml, rel=0.03)
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert np.bincount(labels.ravel())[1:].max() > 0.99 * np.count_nonzero(mask), count


@pytest.mark.system
@pytest.mark.parametrize("seed", [1, 2])
def test_a_tumour_is_neither_a_ball_nor_symmetric(seed):
    mask = tumour_mask(seed, 20.0, 1.8)
    ball = mask.sum() ** (2 / 3) * (36 * np.pi) ** (1 / 3)
    middle = [round(at) for at in ndimage.center_of_mass(mask)]
    around = mask[tuple(slice(at - 16, at + 17) for at in middle)]

    surface = sum(np.count_nonzero(np.diff(mask.astype(np.int8), axis=axis)) for axis in range(3)) / 1.5
    assert surface > 1.03 * ball
    assert np.count_nonzero(around & ~around[::-1, ::-1, ::-1]) > 0.08 * mask.sum()


@pytest.mark.system
def test_without_a_tumour_there_is_none_and_the_same_person_is_left():
    points = places((90, 60, 50), 4.0)
    healthy, ill = (label_pelvis(draw_pelvis(7, tumour_ml=ml), points) for ml in (0, 3.0))

    assert not (healthy == Tissue.TUMOUR).any()
    assert (ill == Tissue.TUMOUR).any()
    assert (healthy == ill)[ill != Tissue.TUMOUR].all()


@pytest.mark.system
def test_a_large_tumour_pushes_bladder_and_rectum_away_and_leaves_the_bones():
    points = places((60, 90, 40), 4.0)
    small, large = (label_pelvis(draw_pelvis(7, tumour_ml=ml), points) for ml in (3.0, 55.0))

    def back(labels, tissue):
        return points[labels == tissue][:, 1].mean()

    assert back(large, Tissue.URINE) < back(small, Tissue.URINE) - 3
    assert back(large, Tissue.RECTAL_WALL) > back(small, Tissue.RECTAL_WALL) + 1
    np.testing.assert_array_equal(np.isin(small, BONES), np.isin(large, BONES))


@pytest.mark.system
def test_a_tumour_spares_bone_bladder_and_rectum():
    points = places((60, 45, 50), 4.0)
    spared = (*BONES, Tissue.URINE, Tissue.BLADDER_WALL, Tissue.RECTAL_WALL, Tissue.STOOL)
    for seed in (11, 12):
        ill = draw_pelvis(seed, tumour_ml=60.0)
        without = label_pelvis(type(ill)(**{**vars(ill), "tumour": None}), points)
        taken = without[label_pelvis(ill, points) == Tissue.TUMOUR]

        assert np.isin(taken, spared).mean() < 0.005


@pytest.mark.system
def test_every_tissue_is_drawn():
    points = np.random.default_rng(0).uniform((-80, -110, -90), (80, 90, 120), (40_000, 3))
    seen = set().union(*(np.unique(label_pelvis(draw_pelvis(seed), points)) for seed in (0, 3))) | {Tissue.AIR}

    assert seen == set(map(int, Tissue))
    assert label_pelvis(draw_pelvis(0), np.array([0.0, 400.0, 0.0])) == Tissue.AIR


def test_organs_lie_where_they_belong():
    points = places((80, 90, 80), 5.0)
    labels = label_pelvis(draw_pelvis(3, tumour_ml=5.0), points)
    middle = {tissue: points[labels == tissue].mean(0) for tissue in Tissue if (labels == tissue).any()}

    assert np.linalg.norm(middle[Tissue.TUMOUR]) < 20
    assert middle[Tissue.URINE][1] < -15 < 15 < middle[Tissue.RECTAL_WALL][1]
    assert middle[Tissue.VAGINA][2] < middle[Tissue.STROMA][2] < middle[Tissue.MYOMETRIUM][2]


def test_the_origin_is_the_middle_of_the_cervix():
    points = places((25, 25, 25), 2.5)
    for seed in range(3):
        cervix = label_pelvis(draw_pelvis(seed, tumour_ml=0), points) == Tissue.STROMA

        assert np.linalg.norm(points[cervix].mean(0)) < 6


def test_equal_seeds_give_equal_pelvises_and_others_do_not():
    points = np.random.default_rng(0).uniform(-90, 90, (20_000, 3))
    one, again, other = (label_pelvis(draw_pelvis(seed, tumour_ml=0), points) for seed in (5, 5, 6))

    np.testing.assert_array_equal(one, again)
    assert np.mean(one != other) > 0.05


def test_a_drawn_volume_lies_in_the_range_and_varies():
    volumes = [draw_pelvis(seed).tumour_ml for seed in range(3)]

    assert all(TUMOUR_ML[0] <= volume <= TUMOUR_ML[1] for volume in volumes)
    assert len(set(volumes)) == 3


def test_a_position_has_the_same_label_in_any_array():
    pelvis = draw_pelvis(2, tumour_ml=9.0)
    points = np.random.default_rng(0).uniform(-90, 90, (70_000, 3))  # more than one chunk
    labels = label_pelvis(pelvis, points)

    np.testing.assert_array_equal(label_pelvis(pelvis, points[::-1]), labels[::-1])
    np.testing.assert_array_equal(label_pelvis(pelvis, points[:600].reshape(20, 30, 3)), labels[:600].reshape(20, 30))


@pytest.mark.parametrize("shape", [
    Ellipsoid((3, -4, 5), (9, 5, 14), (20, -30, 40)),
    Tube(((0, 0, 0), (10, 5, 20), (-5, 9, 31)), (4, 7, 3), 1.6),
])  # fmt: skip
def test_the_box_of_a_shape_holds_it_and_fits(shape):
    points = places((40, 40, 50), 1.0).reshape(-1, 3).astype(np.float32)
    inside = points[shape.level_mm(*points.T) <= 0]

    np.testing.assert_allclose(inside.min(0), shape.box_mm[0], atol=1.5)
    np.testing.assert_allclose(inside.max(0), shape.box_mm[1], atol=1.5)


def test_the_cones_of_a_tube_are_the_tube():
    tube = Tube(((0, 0, 0), (10, 5, 20), (-5, 9, 31)), (4, 7, 3), 1.6)
    points = places((30, 30, 40), 2.0).reshape(-1, 3).astype(np.float32)

    joined = np.minimum.reduce([cone.level_mm(*points.T) for cone in tube.cones])
    np.testing.assert_allclose(joined, tube.level_mm(*points.T), atol=1e-4)


def test_the_level_of_a_ball_is_the_distance_from_it():
    x = np.array([0.0, 2.0, 5.0, 9.0], np.float32)

    np.testing.assert_allclose(Ellipsoid((0, 0, 0), (5, 5, 5)).level_mm(x, x * 0, x * 0), x - 5, atol=1e-5)


def test_parts_are_painted_in_their_order():
    parts = draw_pelvis(0, tumour_ml=0).parts
    first = {part.tissue: number for number, part in reversed(list(enumerate(parts)))}

    assert all(isinstance(part, Part) for part in parts)
    assert first[Tissue.BLADDER_WALL] < first[Tissue.URINE]
    assert first[Tissue.MYOMETRIUM] < first[Tissue.ENDOMETRIUM]
