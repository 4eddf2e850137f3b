from dataclasses import replace

import numpy as np
import pytest

from imaging.body_limits import NUMBER
from imaging.check_bodies import check_bodies, has_gap_above, interrupted, number_text, remarks_on, shape_of
from imaging.lumbar_phantom import Body
from imaging.measure_bodies import measure_bodies
from imaging.order_bodies import order_bodies
from tests.lumbar_bodies import LUMBAR, arc, grid_around, labels_of

pytestmark = pytest.mark.system  # slow: many voxels


def checked(row, change=lambda labels: labels, signal=300.0):
    labels = change(labels_of(row, *grid_around(row, spacing_mm=(4.4, 1.2, 1.2))))
    bodies = order_bodies(labels)
    measured = measure_bodies(bodies)
    image = labels.with_array(np.where(labels.array > 0, signal, 200.0).astype(np.float32))
    image.array[0] = 900.0
    general = tuple(flag.text for flag in check_bodies(measured, bodies))
    each = tuple(tuple(flag.text for flag in flags) for flags in remarks_on(measured, bodies, image))
    return measured, general, each


def test_a_healthy_row_is_not_suspicious():
    measured, general, remarks = checked(LUMBAR)

    assert general == ()
    assert remarks == ((),) * 6
    assert not any(interrupted(measured))


def test_a_long_thoracolumbar_row_is_not_suspicious():
    sizes = np.linspace(1, 0.62, 13)
    row, z = [], 0.0
    for size in sizes:
        row.append(Body((0.0, 0.0, z), 0.0, 27 * size, 24 * size, 16.5 * size))
        z += 38 * size

    _, general, remarks = checked(row)

    assert general == ()
    assert remarks == ((),) * 13


def test_a_gap_is_named_at_the_body_below_it():
    measured, _, remarks = checked(
        LUMBAR, lambda labels: labels.with_array(np.where(labels.array == 3, 0, labels.array))
    )

    assert ["one may be missing" in " ".join(each) for each in remarks] == [False, True, False, False, False]
    assert has_gap_above(measured, 1)
    assert interrupted(measured) == [False, False, True, False, False]


def test_a_pair_that_was_not_separated_is_named():
    def merge(labels):
        array = np.where(labels.array == 4, 3, labels.array)
        z_rows = np.flatnonzero((array == 3).any(axis=(0, 2)))
        array[4:8, z_rows[0] + 10 : z_rows[-1] - 10, 30:40] = 3
        return labels.with_array(array)

    measured, _, remarks = checked(LUMBAR, merge)

    assert "may be two bodies" in remarks[2][0]
    assert interrupted(measured)[2]
    assert not any(remarks[at] for at in (0, 1))


def test_a_cut_body_is_named():
    def cut(labels):
        rows = np.flatnonzero((labels.array == 6).any(axis=(0, 2)))
        return labels[:, rows[len(rows) // 2] :]

    assert "cut by the border" in checked(LUMBAR, cut)[2][5][0]


def test_a_body_that_leaves_the_slab_is_named():
    def narrow(labels):
        slices = np.flatnonzero((labels.array > 0).any(axis=(1, 2)))
        return labels[slices[2] :]

    remarks = checked(LUMBAR, narrow)[2]

    assert all("leaves the image at a side" in " ".join(each) for each in remarks[:5])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_fewer_than_five_bodies_are_said(count):
    assert f"Only {count} vertebral bod" in checked(LUMBAR[:count])[1][0]


def test_a_row_that_lies_across_is_no_spine():
    row = [Body((0.0, 30.0 * at, 12.0 * at), 0.0, 20.0, 20.0, 12.0) for at in range(5)]

    assert "may not be a spine" in " ".join(checked(row)[1])


def test_bodies_of_the_size_of_cervical_ones_are_said():
    row = arc(6, step_deg=3, distance_mm=18, height_mm=13, half_width_mm=9, half_depth_mm=8, concavity_mm=0.5)

    general = checked(row)[1]

    assert "as cervical ones are" in " ".join(general)


def test_a_collapsed_body_is_named():
    row = list(LUMBAR)
    row[3] = replace(row[3], height_mm=9.5)

    assert "has collapsed or its mask is wrong" in " ".join(checked(row)[2][3])


def test_a_giant_is_named():
    row = [*arc(4, step_deg=4), Body((0.0, 0.0, 190.0), 0.0, 60.0, 30.0, 25.0)]

    assert "implausible volume" in " ".join(checked(row)[2][4])


def test_bodies_in_the_dark_are_named():
    remarks = checked(LUMBAR, signal=10.0)[2]

    assert all("as dark as air" in each[0] for each in remarks)


def test_what_was_left_out_is_said():
    def add(labels):
        labels.array[2:5, 20:40, 0:8] = 7
        return labels

    assert "Left out because they lie beside the row of bodies" in checked(LUMBAR, add)[1][0]


def test_two_parts_of_one_body_are_named():
    x, y, z = arc(4, step_deg=4)[3].centre_mm
    row = [*arc(4, step_deg=4), Body((x, y - 2, z + 19.0), 8.0, 8.0, 22.0, 15.0)]

    measured, _, remarks = checked(row)

    assert "may be parts of one" in remarks[3][0]
    assert interrupted(measured)[3]


def test_a_wedge_is_named():
    row = list(LUMBAR)
    measured = checked(row)[0]
    heights = measured[3].heights
    for anterior, wedge in ((0.59, True), (0.61, False), (1.66, False), (1.68, True)):
        changed = replace(heights, anterior_mm=anterior * heights.posterior_mm)
        assert bool(shape_of(changed)) is wedge


def test_more_bodies_than_a_spine_has_are_said():
    assert "more than a spine has" in number_text(25)
    assert (NUMBER.broken_by(24), NUMBER.broken_by(25)) == (False, True)
