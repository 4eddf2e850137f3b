import math

import numpy as np
import pytest
from highdicom import Volume

from imaging.chest_phantom import NODULES, RIGHT_LUNG, ct_noise, paint_chest
from imaging.find_nodules import BALANCED, OperatingPoint, find_nodules
from imaging.lung_mask import LungMask
from imaging.mark import Origin
from tests.phantoms import turned, voxel_centres_mm

pytestmark = pytest.mark.system  # slow: many voxels

SPACING_MM = (2.0, 1.4, 1.5)
EVERYTHING = OperatingPoint(min_score=0.0)


def straight(shape, spacing_mm, middle_mm=(0, 0, 0)):
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[::-1] * spacing_mm
    affine[:3, 3] = np.array(middle_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


def lungs_of(mask, affine):
    return LungMask(Volume(mask.astype(np.uint8), affine, "PATIENT"), 1000.0, 0.0)


@pytest.fixture(scope="module")
def right_lung():
    """The right lung of the phantom with its three nodules; its mask is the analytic one."""
    shape = (120, 124, 92)
    affine = straight(shape, SPACING_MM, (-70, 0, 0))
    hu = paint_chest(shape, affine) + ct_noise(shape, 25.0, np.random.default_rng(2))
    x, y, z = np.moveaxis(voxel_centres_mm(shape, affine), -1, 0).astype(np.float32)
    mask = (RIGHT_LUNG.distance_mm(x, y, z) <= 0) & (np.hypot((x - 3) / 31, (y - 4) / 88) > 1)
    return Volume(hu, affine, "PATIENT"), lungs_of(mask, affine)


@pytest.fixture(scope="module")
def every(right_lung):
    return find_nodules(*right_lung, point=EVERYTHING, at_most=100)


BLOCK = (40, 64, 60)
BLOCK_AFFINE = straight(BLOCK, SPACING_MM)


def block(distance_mm, wall_mm=-1e3):
    """Lung with one thing in it, given by the distance to its surface; beyond a wall at some x lies tissue."""
    places = voxel_centres_mm(BLOCK, BLOCK_AFFINE)
    share = np.clip(0.5 - distance_mm(places) / 1.5, 0, 1)
    beyond = places[..., 0] < wall_mm
    hu = np.where(beyond, 50, -860 + 900 * share) + np.random.default_rng(3).normal(0, 15, BLOCK)
    return Volume(hu.astype(np.float32), BLOCK_AFFINE, "PATIENT"), lungs_of(~beyond, BLOCK_AFFINE)


def ball(radius_mm, centre_mm=(2.0, -3.0, 1.0)):
    return lambda places: np.linalg.norm(places - centre_mm, axis=-1) - radius_mm


def rod(radius_mm, direction=(1.0, 0.5, 0.3)):
    along = np.array(direction) / np.linalg.norm(direction)
    return lambda places: np.linalg.norm(places - (places @ along)[..., None] * along, axis=-1) - radius_mm


def fork(radius_mm):
    """Three branches that meet in the middle."""
    arms = [(1.0, 0.0, 0.0), (-0.8, 0.6, 0.0), (-0.8, -0.6, 0.1)]

    def distance(places):
        each = []
        for arm in np.array(arms) / np.linalg.norm(arms, axis=1)[:, None]:
            run = np.maximum(places @ arm, 0)[..., None]
            each.append(np.linalg.norm(places - run * arm, axis=-1))
        return np.min(each, axis=0) - radius_mm

    return distance


def best_score(distance_mm):
    """The best score in the middle: at the border, where a vessel leaves the lung, it looks like a nodule on a wall."""
    marks = find_nodules(*block(distance_mm), point=EVERYTHING)
    return max((mark.score for mark in marks if np.linalg.norm(mark.centre_mm) < 25), default=0.0)


@pytest.mark.parametrize("diameter_mm", [5.0, 8.0, 14.0, 24.0])
def test_a_ball_is_found_with_its_place_and_size(diameter_mm):
    marks = find_nodules(*block(ball(diameter_mm / 2)))

    assert len(marks) == 1
    assert math.dist(marks[0].centre_mm, (2, -3, 1)) < 1.0
    assert marks[0].diameter_mm == pytest.approx(diameter_mm, rel=0.25)
    assert marks[0].score > 0.6
    assert marks[0].origin is Origin.COMPUTER


@pytest.mark.parametrize("radius_mm", [1.5, 3.0, 5.0])
@pytest.mark.parametrize("shape", [rod, fork])
def test_a_vessel_and_its_fork_score_less_than_any_ball(shape, radius_mm):
    assert best_score(shape(radius_mm)) < BALANCED.min_score


def test_a_ball_against_the_wall_is_found_on_the_side_of_the_lung():
    marks = find_nodules(*block(ball(6.0, (-20.0, 0.0, 0.0)), wall_mm=-23.0))

    assert len(marks) == 1
    assert math.dist(marks[0].centre_mm, (-20, 0, 0)) < 4.0


def test_a_ball_in_tissue_outside_the_lung_is_not_looked_at():
    volume, lungs = block(ball(6.0, (-36.0, 0.0, 0.0)), wall_mm=-20.0)

    assert find_nodules(volume, lungs) == ()


def test_an_empty_lung_has_no_marks():
    assert find_nodules(*block(ball(-5.0))) == ()


def test_without_lungs_there_are_no_marks():
    volume, _ = block(ball(6.0))

    assert find_nodules(volume, lungs_of(np.zeros(BLOCK, bool), BLOCK_AFFINE)) == ()


@pytest.mark.parametrize("nodule", [one for one in NODULES if one.centre_mm[0] < 0], ids=lambda one: one.name)
def test_the_nodules_of_the_phantom_are_among_the_first(every, nodule):
    near = [mark for mark in every[:5] if math.dist(mark.centre_mm, nodule.centre_mm) < nodule.reach_mm]
    assert near
    assert near[0].diameter_mm == pytest.approx(2 * np.prod(nodule.semi_axes_mm) ** (1 / 3), rel=0.35)


def test_marks_come_best_first_and_apart(every):
    scores = [mark.score for mark in every]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    for number, one in enumerate(every):
        for other in every[:number]:
            assert math.dist(one.centre_mm, other.centre_mm) > max(one.diameter_mm, other.diameter_mm) / 2


def test_no_more_marks_come_than_asked_for():
    volume, lungs = block(lambda places: np.minimum(ball(6.0, (-15, 0, 0))(places), ball(4.0, (18, 5, 0))(places)))

    both = find_nodules(volume, lungs)

    assert len(both) == 2
    assert find_nodules(volume, lungs, at_most=1) == both[:1]
    assert find_nodules(volume, lungs, at_most=0) == ()


@pytest.mark.system
def test_a_stricter_operating_point_leaves_out_the_lower_scores(right_lung, every):
    strict = find_nodules(*right_lung, point=OperatingPoint(min_score=0.5), at_most=100)

    assert strict == tuple(mark for mark in every if mark.score >= 0.5)
    assert 0 < len(strict) < len(every)


@pytest.mark.system
def test_numbering_the_voxels_otherwise_finds_the_same(right_lung, every):
    volume, lungs = right_lung
    array, affine = turned(volume.array, volume.affine, (2, 0, 1), (1, -1, 1))
    sides, _ = turned(lungs.sides.array, volume.affine, (2, 0, 1), (1, -1, 1))

    again = find_nodules(Volume(array, affine, "PATIENT"), lungs_of(sides, affine), at_most=3)

    for mark, same in zip(again, every[:3], strict=True):
        assert math.dist(mark.centre_mm, same.centre_mm) < 0.3
        assert mark.score == pytest.approx(same.score, abs=0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_score": -0.1},
        {"min_score": 1.5},
        {"min_diameter_mm": 1.0},
        {"min_diameter_mm": 20.0, "max_diameter_mm": 10.0},
        {"max_diameter_mm": 100.0},
    ],
    ids=str,
)
def test_an_operating_point_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        OperatingPoint(**wrong)
