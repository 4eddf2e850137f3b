import numpy as np
import pytest
from highdicom import Volume
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from imaging.lumbar_phantom import Body
from imaging.order_bodies import order_along_curve, order_bodies, tangents_of
from tests.lumbar_bodies import LUMBAR, arc, grid_around, labels_of
from tests.phantoms import TURNS, turned

pytestmark = pytest.mark.system  # slow: many voxels

LORDOTIC = np.array([body.centre_mm for body in LUMBAR])
angles = st.floats(-30, 30)


def scoliotic(count=12):
    """An S in the frontal plane with 55 degrees between its limbs, and a kyphosis."""
    z = np.arange(count) * 32.0
    x = 45 * np.sin(z / 75)
    return np.stack([x, 0.0006 * (z - 150) ** 2, z], axis=1)


@pytest.mark.parametrize("row", [LORDOTIC, scoliotic()], ids=["lordosis", "scoliosis"])
@given(degrees=st.tuples(angles, angles, angles), data=st.data())
def test_the_order_is_that_along_the_curve_however_the_patient_lies(row, degrees, data):
    shuffled = data.draw(st.permutations(range(len(row))))
    turn = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()

    order = order_along_curve((row @ turn.T)[shuffled])

    assert [shuffled[at] for at in order] == list(range(len(row)))


def test_a_row_bent_back_on_itself_is_followed_and_not_sorted_by_height():
    angle = np.linspace(-0.9, 1.9, 9)
    row = np.stack([np.zeros(9), -100 * np.cos(angle), 100 * np.sin(angle)], axis=1)  # its end falls again

    assert order_along_curve(row[::-1]) == tuple(range(8, -1, -1))


def test_a_gap_does_not_break_the_order():
    row = np.delete(LORDOTIC, 2, axis=0)

    assert order_along_curve(row) == (0, 1, 2, 3, 4)


@pytest.mark.parametrize(
    "aside",
    [(0, -70, 20), (60, 0, -40), (0, -60, -75), (0, -75, 110), (0, 80, 105)],
    ids=["in front", "at the side", "in front of the lowest", "in front of the highest", "behind the highest"],
)
def test_an_object_beside_the_row_is_left_out(aside):
    order = order_along_curve(np.vstack([LORDOTIC, aside]))

    assert order == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(("count", "expected"), [(0, ()), (1, (0,)), (2, (1, 0))])
def test_few_points_have_an_order_too(count, expected):
    assert order_along_curve(LORDOTIC[:2][::-1][:count].reshape(-1, 3)) == expected


def test_tangents_are_those_of_the_arc():
    row = arc(6, step_deg=8, first_deg=30)

    tilts = np.degrees(np.arctan2(*(tangents_of(np.array([body.centre_mm for body in row])) * [1, -1, 1]).T[1:]))

    np.testing.assert_allclose(tilts, [body.tilt_deg for body in row], atol=0.4)


def test_tangents_of_one_or_two_points_are_defined():
    np.testing.assert_allclose(tangents_of(LORDOTIC[:1]), [[0, 0, 1]])
    np.testing.assert_allclose(tangents_of(np.array([[0, 0, 0], [0, 3.0, 4.0]])), [[0, 0.6, 0.8]] * 2)
    assert tangents_of(LORDOTIC[:0]).shape == (0, 3)


@pytest.mark.parametrize(("order", "signs"), TURNS)
def test_all_48_ways_to_number_the_voxels_give_the_same_bodies(order, signs):
    shape, affine = grid_around(LUMBAR, degrees=(4, -3, 5), spacing_mm=(4.4, 2.0, 2.5))
    mixed = labels_of(LUMBAR, shape, affine, numbers=(4, 1, 6, 3, 5, 2))
    expected = labels_of(LUMBAR, shape, affine)
    array, other = turned(mixed.array, affine, order, signs)

    bodies = order_bodies(Volume(array, other, "PATIENT"))

    np.testing.assert_array_equal(bodies.labels.array, turned(expected.array, affine, order, signs)[0])
    np.testing.assert_allclose(bodies.centres_mm, order_bodies(mixed).centres_mm, atol=1e-6)


@pytest.mark.parametrize(("size_mm", "bodies"), [(12.0, 6), (30.0, 7)], ids=["small", "of the size of a body"])
def test_a_small_object_far_below_the_row_is_left_out_and_a_body_is_not(size_mm, bodies):
    x, y, z = LUMBAR[0].centre_mm
    far = Body((x, y + 20, z - 80), 20.0, size_mm, 0.8 * size_mm, 0.5 * size_mm)
    row = [*LUMBAR, far]
    labels = labels_of(row, *grid_around(row, spacing_mm=(4.4, 2.0, 2.0)))

    assert len(order_bodies(labels).centres_mm) == bodies


def test_small_objects_beside_the_row_do_not_lead_it_astray():
    behind = [
        (0, 62, -60),
        (0, 58, -95),
        (0, 45, -125),
    ]  # spinous processes and a bit of the sacrum: a row of their own

    order = order_along_curve(np.vstack([LORDOTIC, behind]), np.array([33, 33, 34, 31, 30, 25, 5, 5, 5]))

    assert order == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize("at", range(6))
def test_a_collapsed_or_cut_body_keeps_its_place(at):
    sizes = np.full(6, 30)
    sizes[at] = 8

    assert order_along_curve(LORDOTIC, sizes) == (0, 1, 2, 3, 4, 5)


def test_what_is_left_out_is_named_with_its_volume():
    shape, affine = grid_around(LUMBAR, margin_mm=(12, 45, 80), spacing_mm=(4.4, 2.0, 2.0))
    labels = labels_of(LUMBAR, shape, affine)
    labels.array[2:5, 20:30, 4:14] = 7

    bodies = order_bodies(labels)

    assert bodies.aside_ml == (pytest.approx(300 * 4.4 * 4 / 1000),)
    assert bodies.labels.array.max() == 6


def test_no_bodies_are_no_row():
    bodies = order_bodies(Volume(np.zeros((3, 4, 5), np.int16), np.eye(4), "PATIENT"))

    assert bodies.centres_mm.shape == (0, 3)
    assert bodies.aside_ml == ()
