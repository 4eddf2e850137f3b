import numpy as np
import pytest
from scipy import ndimage

from imaging.keep_largest import keep_largest
from imaging.separate_bodies import separate_bodies
from tests.lumbar_bodies import GRID_SPACING_MM, LUMBAR, arc, grid_around, labels_of
from tests.phantoms import TURNS, turned

pytestmark = pytest.mark.system  # slow: many voxels

ROW = tuple(arc(5, step_deg=6, concavity_mm=0.5))
TIGHT = {"margin_mm": (6.0, 8.0, 8.0)}


def solid(bodies, **grid):
    """Labels of bodies, each one component: where its rim is thin, a voxel or two may stand alone."""
    labels = labels_of(bodies, *grid_around(bodies, **TIGHT, **grid)).array
    return sum((keep_largest(labels == number) * np.int16(number) for number in range(1, len(bodies) + 1)), 0 * labels)


@pytest.fixture(scope="module")
def truth():
    return solid(ROW)


@pytest.fixture(scope="module")
def bridged(truth):
    """Neighbours joined at the back by a bridge of 4 mm, in the five middle slices."""
    mask = truth > 0
    return mask | bridge_over(truth, thick_mm=4.0)


def bridge_over(truth, thick_mm):
    bridge = np.zeros(truth.shape, bool)
    middle = truth.shape[0] // 2
    for lower in range(1, truth.max()):
        places = [np.argwhere(truth[middle] == number).mean(axis=0) for number in (lower, lower + 1)]
        rows = slice(*sorted(int(place[0]) for place in places))
        column = int(np.mean([place[1] for place in places]))
        width = round(thick_mm / GRID_SPACING_MM[2] / 2)
        bridge[middle - 2 : middle + 3, rows, column - width : column + width] = True
    return bridge


def same_partition(found, truth, least=0.97):
    """Whether each true body is one found object to a large part, and none is shared."""
    owners = [np.bincount(found[truth == number]).argmax() for number in range(1, truth.max() + 1)]
    shares = [np.mean(found[truth == number] == owner) for number, owner in enumerate(owners, start=1)]
    return len(set(owners)) == truth.max() == found.max() and 0 not in owners and min(shares) >= least


def test_bodies_apart_are_their_components(truth):
    found = separate_bodies(truth > 0, GRID_SPACING_MM)

    assert same_partition(found, truth, least=0.999)


def test_neighbours_joined_by_a_bridge_are_separated(bridged, truth):
    assert ndimage.label(bridged)[1] == 1

    assert same_partition(separate_bodies(bridged, GRID_SPACING_MM), truth)


@pytest.mark.parametrize("grown_mm", [2, 3, 4])
def test_neighbours_grown_together_over_the_disc_are_separated(truth, grown_mm):
    grown = ndimage.binary_dilation(truth > 0, np.ones((1, 3, 3)), iterations=round(grown_mm / GRID_SPACING_MM[1]))
    grown |= bridge_over(truth, thick_mm=8.0)
    assert ndimage.label(grown)[1] == 1

    assert same_partition(separate_bodies(grown, GRID_SPACING_MM), truth)


def test_the_cut_runs_between_the_bodies(bridged, truth):
    found = separate_bodies(bridged, GRID_SPACING_MM)

    sizes = np.bincount(found.ravel())[1:]
    true_sizes = np.bincount(truth.ravel())[1:]
    np.testing.assert_allclose(np.sort(sizes), np.sort(true_sizes), rtol=0.06)


@pytest.mark.parametrize(("order", "signs"), TURNS[::5])
def test_turning_the_array_does_not_change_the_objects(order, signs):
    spacing_mm = (4.4, 1.6, 1.6)
    truth = solid(ROW, spacing_mm=spacing_mm)
    grown = ndimage.binary_dilation(truth > 0, np.ones((1, 3, 3)), iterations=2) | bridge_over(truth, thick_mm=8.0)
    mask, _ = turned(grown, np.eye(4), order, signs)

    found = separate_bodies(mask, tuple(spacing_mm[axis] for axis in order))

    expected, _ = turned(separate_bodies(grown, spacing_mm), np.eye(4), order, signs)
    owners = np.array([np.bincount(expected[found == number]).argmax() for number in range(1, len(ROW) + 1)])
    assert sorted(owners) == [1, 2, 3, 4, 5]
    assert (
        np.mean(np.append(0, owners)[found][mask] == expected[mask]) > 0.995
    )  # but for voxels halfway between two cores


def test_cores_of_a_network_separate_what_depth_cannot():
    mask = np.zeros((5, 80, 40), bool)
    mask[:, 5:75, 5:35] = True  # a column without any waist
    cores = np.zeros_like(mask)
    cores[1:4, 12:32, 12:28] = cores[1:4, 48:68, 12:28] = True

    assert separate_bodies(mask, (4.4, 1.0, 1.0)).max() == 1
    assert separate_bodies(mask, (4.4, 1.0, 1.0), cores).max() == 2


def test_a_speck_in_the_cores_is_no_body(truth):
    cores = np.zeros(truth.shape, bool)
    cores[ndimage.binary_erosion(truth > 0, np.ones((1, 3, 3)), iterations=6)] = True
    middle = np.argwhere(truth == 3)[0]
    cores[tuple(middle)] = True

    assert same_partition(separate_bodies(truth > 0, GRID_SPACING_MM, cores), truth, least=0.999)


def test_a_biconcave_body_is_not_torn_apart():
    row = [*arc(4, step_deg=5)]
    row[2] = type(row[2])(row[2].centre_mm, row[2].tilt_deg, 26.0, 23.0, 16.0, 0.0, 8.5)  # 9 mm left in its middle
    truth = solid(row)

    assert separate_bodies(truth > 0, GRID_SPACING_MM).max() == 4


def test_small_objects_are_removed(truth):
    mask = truth > 0
    mask[:3, :8, :8] = True
    mask[-1, -40:-20, :30] = True

    assert same_partition(separate_bodies(mask, GRID_SPACING_MM), truth, least=0.999)


def test_an_object_of_more_than_a_fifth_of_the_mean_body_stays(truth):
    mask = truth > 0
    body = np.argwhere(truth == 1)
    part = body[: len(body) // 3]
    mask[tuple(body.T)] = False
    mask[tuple(part.T)] = True

    assert separate_bodies(mask, GRID_SPACING_MM).max() == len(ROW)


def test_specks_do_not_lower_the_mean(truth):
    mask = truth > 0
    mask[0, ::4, ::4] = True  # hundreds of voxels apart

    assert separate_bodies(mask, GRID_SPACING_MM).max() == len(ROW)


def test_an_empty_mask_has_no_objects():
    assert not separate_bodies(np.zeros((4, 5, 6), bool), GRID_SPACING_MM).any()


def test_a_slice_is_refused_and_its_shape_is_named():
    with pytest.raises(ValueError, match=r"got shape \(4, 4\)"):
        separate_bodies(np.zeros((4, 4), bool), GRID_SPACING_MM)


def test_real_shapes_grown_together_by_6_mm_are_separated():
    truth = solid(LUMBAR)
    grown = ndimage.binary_dilation(truth > 0, np.ones((1, 3, 3)), iterations=4)

    assert same_partition(separate_bodies(grown, GRID_SPACING_MM), truth)
