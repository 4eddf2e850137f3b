from dataclasses import replace

import numpy as np
import pytest
from highdicom import Volume

from imaging.lumbar_phantom import Body
from imaging.measure_bodies import measure_bodies
from imaging.order_bodies import order_bodies
from tests.lumbar_bodies import LUMBAR, arc, grid_around, labels_of, true_heights, true_space
from tests.phantoms import TURNS, turned

pytestmark = pytest.mark.system  # slow: many voxels

WITHIN_MM = 1.0
ROWS = {
    "lumbar": LUMBAR,
    "lordotic wedges": tuple(arc(6, step_deg=8, wedge_deg=7)),
    "kyphotic": tuple(arc(5, step_deg=-5, first_deg=-10)),
    "deeply concave": tuple(arc(4, step_deg=5, concavity_mm=4.5)),
}
OBLIQUE = [(0, 0, 0), (3, 2, -4), (30, 0, 0), (0, 30, 0), (0, 0, 30), (-20, 15, 20)]


def measured(bodies, **grid):
    return measure_bodies(order_bodies(labels_of(bodies, *grid_around(bodies, **grid))))


def heights(body):
    return np.array([body.heights.anterior_mm, body.heights.middle_mm, body.heights.posterior_mm])


@pytest.fixture(scope="module", params=OBLIQUE, ids=str)
def degrees(request):
    return request.param


@pytest.mark.parametrize("bodies", ROWS.values(), ids=ROWS)
def test_heights_spaces_and_volumes_are_those_of_the_shapes(bodies, degrees):
    found = measured(bodies, degrees=degrees)

    for body, shape in zip(found, bodies, strict=True):
        np.testing.assert_allclose(heights(body), true_heights(shape), atol=WITHIN_MM)
        assert body.volume_ml == pytest.approx(shape.volume_ml, rel=0.03)
    for body, lower, upper in zip(found, bodies, bodies[1:], strict=False):
        assert body.space_above_mm == pytest.approx(true_space(lower, upper), abs=WITHIN_MM)


def test_heights_are_sound_below_the_size_of_a_voxel():
    steps = [heights(measured([replace(body, height_mm=body.height_mm + more) for body in LUMBAR])[2]) for more in
             (0.0, 0.2, 0.4, 0.6)]  # fmt: skip

    np.testing.assert_allclose(np.diff(steps, axis=0), 0.2, atol=0.2)
    np.testing.assert_allclose(steps[-1] - steps[0], 0.6, atol=0.3)


@pytest.mark.parametrize(("order", "signs"), TURNS[::3])
def test_turning_the_array_does_not_change_any_measurement(order, signs):
    shape, affine = grid_around(LUMBAR, degrees=(4, -3, 5))
    labels = labels_of(LUMBAR, shape, affine)
    array, other = turned(labels.array, affine, order, signs)

    found = measure_bodies(order_bodies(Volume(array, other, "PATIENT")))

    for body, same in zip(found, measure_bodies(order_bodies(labels)), strict=True):
        np.testing.assert_allclose(heights(body), heights(same), atol=1e-3)
        assert body.volume_ml == pytest.approx(same.volume_ml)
        assert body.space_above_mm == (
            None if same.space_above_mm is None else pytest.approx(same.space_above_mm, abs=1e-3)
        )
        np.testing.assert_allclose(body.centre_mm, same.centre_mm, atol=1e-6)
        assert body.endplate_tilt_deg == pytest.approx(same.endplate_tilt_deg, abs=0.1)


def test_the_tilt_of_the_lower_end_plate_is_that_of_the_shape():
    found = measured(LUMBAR)

    tilts = [shape.tilt_deg + shape.wedge_deg / 2 for shape in LUMBAR]
    np.testing.assert_allclose([body.endplate_tilt_deg for body in found], tilts, atol=2.0)


def test_bodies_are_numbered_from_below_with_the_distance_to_the_next():
    found = measured(LUMBAR)

    assert [body.number for body in found] == [1, 2, 3, 4, 5, 6]
    assert found[1].distance_above_mm == pytest.approx(40.1, abs=0.6)
    assert found[-1].distance_above_mm is None
    assert found[-1].space_above_mm is None


def test_a_body_cut_above_has_no_heights():
    shape, affine = grid_around(LUMBAR)
    labels = labels_of(LUMBAR, shape, affine)
    rows = np.flatnonzero((labels.array == 6).any(axis=(0, 2)))
    cut = labels[:, rows[len(rows) // 2] :]

    found = measure_bodies(order_bodies(cut))

    assert [body.cut for body in found] == [False] * 5 + [True]
    assert found[-1].heights is None
    assert found[-1].volume_ml < 0.7 * LUMBAR[-1].volume_ml


def test_a_body_that_leaves_the_slab_keeps_its_heights():
    shape, affine = grid_around(LUMBAR)
    labels = labels_of(LUMBAR, shape, affine)
    slices = np.flatnonzero((labels.array == 3).any(axis=(1, 2)))

    found = measure_bodies(order_bodies(labels[slices[2] :]))

    assert found[2].leaves_slab
    assert not found[2].cut
    np.testing.assert_allclose(heights(found[2]), true_heights(LUMBAR[2]), atol=WITHIN_MM)


def test_a_single_body_is_measured_along_the_patient():
    body = Body((0.0, 0.0, 0.0), 0.0, 27.0, 23.0, 16.0)

    (found,) = measured([body])

    np.testing.assert_allclose(heights(found), true_heights(body), atol=WITHIN_MM)


def test_no_bodies_have_no_measurements():
    assert measure_bodies(order_bodies(Volume(np.zeros((3, 4, 5), np.int16), np.eye(4), "PATIENT"))) == ()
