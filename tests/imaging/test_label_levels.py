import csv
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from highdicom import Volume
from pydicom.sr.codedict import codes

from imaging.label_levels import ASSUMPTION, LEVELS, label_levels, view_below_mm
from imaging.measure_bodies import measure_bodies
from imaging.order_bodies import order_bodies
from tests.lumbar_bodies import LUMBAR, arc, grid_around, labels_of

pytestmark = pytest.mark.system  # slow: many voxels

UP = ("L5", "L4", "L3", "L2", "L1", "T12")


def levels_of(labels, lowest="auto", change=lambda measured: measured):
    bodies = order_bodies(labels)
    return label_levels(change(measure_bodies(bodies)), bodies, labels.get_geometry(), lowest)


@pytest.fixture(scope="module")
def lumbar():
    return labels_of(LUMBAR, *grid_around(LUMBAR))


def without(labels, *numbers):
    return labels.with_array(np.where(np.isin(labels.array, numbers), 0, labels.array))


def test_levels_are_counted_from_l5_where_the_junction_is_seen(lumbar):
    levels = levels_of(lumbar)

    assert levels.names == UP
    assert levels.basis == "evidence"
    assert ASSUMPTION in levels.reason


def test_a_row_without_its_l5_is_not_called_l5(lumbar):
    levels = levels_of(without(lumbar, 1))

    assert levels.names == (None,) * 5
    assert levels.basis == "none"
    assert "do not bend as the lumbosacral junction" in levels.reason


def test_a_straight_row_has_no_level():
    row = arc(6, step_deg=2, first_deg=8)

    assert set(levels_of(labels_of(row, *grid_around(row))).names) == {None}


def test_a_row_at_the_lower_border_of_the_image_has_no_level(lumbar):
    rows = np.flatnonzero((lumbar.array == 1).any(axis=(0, 2)))

    levels = levels_of(lumbar[:, : rows[-1] + 20])

    assert set(levels.names) == {None}
    assert "the sacrum is not in view" in levels.reason


def test_two_bodies_have_no_level(lumbar):
    levels = levels_of(without(lumbar, 3, 4, 5, 6))

    assert levels.names == (None, None)
    assert "three bodies" in levels.reason


def test_a_cut_lowest_body_has_no_level(lumbar):
    rows = np.flatnonzero((lumbar.array == 1).any(axis=(0, 2)))

    assert "cut by the border" in levels_of(lumbar[:, : rows[len(rows) // 2]]).reason


def test_above_a_gap_nothing_is_named(lumbar):
    levels = levels_of(without(lumbar, 5))

    assert levels.names == ("L5", "L4", "L3", "L2", None)


def test_a_body_that_may_be_two_and_what_lies_above_is_not_named(lumbar):
    def swell(measured):
        tall = replace(measured[4].heights, anterior_mm=60, middle_mm=60, posterior_mm=60)
        return (*measured[:4], replace(measured[4], volume_ml=70.0, heights=tall), measured[5])

    assert levels_of(lumbar, change=swell).names == ("L5", "L4", "L3", "L2", None, None)


def test_what_a_reader_states_is_taken_and_said(lumbar):
    levels = levels_of(without(lumbar, 1), lowest="L4")

    assert levels.names == UP[1:]
    assert levels.basis == "user"
    assert "as stated by the user" in levels.reason


def test_a_stated_level_does_not_jump_a_gap(lumbar):
    assert levels_of(without(lumbar, 1, 3), lowest="L4").names == ("L4", None, None, None)


def test_nothing_above_t1_is_named():
    row = arc(7, step_deg=0, first_deg=0, distance_mm=24, height_mm=16, half_width_mm=14, half_depth_mm=12)

    levels = levels_of(labels_of(row, *grid_around(row)), lowest="T3" if "T3" in LEVELS else "T7")

    assert levels.names == ("T3", "T2", "T1", None, None, None, None)


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_has_a_code(level):
    assert level in getattr(codes.SCT, f"{level}Vertebra").meaning


def test_the_view_below_is_measured_along_the_axis_of_the_body(lumbar):
    bodies = order_bodies(lumbar)
    lowest = measure_bodies(bodies)[0]
    shorter = lumbar[:, :-10]

    more = view_below_mm(bodies, lowest, lumbar.get_geometry()) - view_below_mm(bodies, lowest, shorter.get_geometry())

    assert more == pytest.approx(10 * 0.78 / bodies.tangents[0][2], rel=1e-3)


@pytest.fixture(scope="module")
def rows(shared_data):
    """The bodies of each real label map of the shared spine set from each of the lowest levels on."""
    with (shared_data / "spine" / "cases.csv").open(newline="") as file:
        cases = [(row["case_id"], row["most_caudal"]) for row in csv.DictReader(file)]
    return [
        (case, UP[at] if at >= 0 else "S1", levels_of(row))
        for case, lowest in cases
        for at, row in _from_each_level(shared_data / "spine", case, lowest)
    ]


def _from_each_level(folder, case, lowest):
    image = nib.load(folder / case.split("_")[0].lower() / f"{case}_label.nii.gz")
    affine = (np.diag([-1, -1, 1, 1]) @ image.affine)[:, [2, 1, 0, 3]]
    array = np.asarray(image.dataobj).transpose(2, 1, 0).astype(np.int16)
    first = -1 if lowest == "S1" else 0
    for at in range(first, 3):
        yield at, Volume(np.where(array > at - first, array, 0), affine, "PATIENT")


@pytest.mark.system
def test_on_real_labels_what_is_asserted_is_right(rows):
    asserted = [(case, lowest) for case, lowest, levels in rows if levels.basis == "evidence"]

    assert {lowest for _, lowest in asserted} == {"L5"}


@pytest.mark.system
def test_on_real_labels_with_the_sacrum_in_view_most_levels_are_asserted(rows):
    seen = [levels for _, lowest, levels in rows if lowest == "L5" and "not in view" not in levels.reason]

    assert len(seen) == 18
    assert sum(levels.basis == "evidence" for levels in seen) >= 14
