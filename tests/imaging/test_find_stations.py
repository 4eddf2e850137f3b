import itertools

import numpy as np
import pytest

from imaging.find_stations import other_stations
from imaging.image_kind import Plane
from imaging.outcome import NothingEligibleError
from imaging.select_series import SeriesRule, head_foot_mm, select_series
from imaging.study import Study
from tests.lumbar_bodies import SAGITTAL
from tests.phantoms import MPRAGE, series_of, slice_headers, stack_of

RULE = SeriesRule(
    title="sagittal MR", modality="MR", plane=Plane.SAGITTAL, body_parts=("LSPINE",), other_body_parts=("CSPINE",),
    lowest_first=True,
)  # fmt: skip
NO_PHYSICS = dict.fromkeys(MPRAGE)


def station(name, top_mm, number, rows=150, row_mm=2.0, **attributes):
    """A sagittal series whose uppermost row of pixels lies at a height, a little oblique."""
    affine = np.eye(4)
    affine[:3, :3] = SAGITTAL * (4.4, row_mm, 1.0)
    affine[:3, 3] = (20, -90, top_mm)
    facts = {"SeriesNumber": number, "BodyPartExamined": "LSPINE", **NO_PHYSICS, **attributes}
    return series_of(slice_headers((7, rows, 180), affine, name=name, **facts))


def select(*series):
    return select_series(Study(series, not_dicom=0, not_image=0, unreadable=0), RULE)


@pytest.mark.parametrize("turn_deg", [0.0, 12.0])
def test_head_and_foot_are_those_of_the_corners_of_the_images(turn_deg):
    sine, cosine = np.sin(np.radians(turn_deg)), np.cos(np.radians(turn_deg))
    affine = np.eye(4)
    affine[:3, :3] = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]]) @ SAGITTAL * (4.0, 2.0, 1.5)
    affine[:3, 3] = (5, -60, 80)

    found = head_foot_mm(stack_of(slice_headers((3, 50, 40), affine)))

    corners = np.array([affine @ (k, j, i, 1) for k in (0, 2) for j in (0, 49) for i in (0, 39)])
    np.testing.assert_allclose(found, (corners[:, 2].min(), corners[:, 2].max()), atol=1e-3)


@pytest.mark.parametrize("numbers", [(2, 5), (5, 2)])
def test_of_equally_good_stations_the_lower_one_is_taken_and_the_other_is_named(numbers):
    upper, lower = station("upper", 300, numbers[0]), station("lower", 20, numbers[1])

    for order in itertools.permutations((upper, lower)):
        selection = select(*order)

        assert selection.stack.series is lower
        (said,) = other_stations(selection)
        assert said.startswith(f"Another station, series {numbers[0]} (MR, 7 slices), goes on 280 mm higher; ")
        assert "not joined" in said


def test_the_body_part_goes_before_the_height():
    lumbar = station("lumbar", 300, 2)
    lower = station("lower", 20, 1, BodyPartExamined="")

    selection = select(lumbar, lower)

    assert selection.stack.series is lumbar
    assert "goes on 280 mm lower" in other_stations(selection)[0]


def test_a_second_acquisition_of_the_same_place_is_no_station():
    selection = select(station("first", 20, 3), station("again", 31, 4))

    assert selection.stack.series.number == 3
    assert selection.tie
    assert other_stations(selection) == ()


def test_a_larger_field_of_view_shows_more_at_both_ends():
    small, large = station("small", 20, 3), station("large", 90, 4, rows=250, BodyPartExamined="")

    (said,) = other_stations(select(small, large))

    assert "goes on 70 mm higher and 130 mm lower" in said


def test_of_a_stack_in_another_frame_of_reference_it_is_said_that_its_place_is_not_known():
    selection = select(station("one", 20, 3), station("other", 20, 4, FrameOfReferenceUID="1.2.3.4"))

    (said,) = other_stations(selection)
    assert "series 4 (MR, 7 slices), lies in another frame of reference" in said


def test_what_cannot_be_taken_is_no_station():
    selection = select(station("lumbar", 20, 3), station("neck", 400, 4, BodyPartExamined="CSPINE"))

    assert other_stations(selection) == ()


def test_a_stack_without_a_place_does_not_break_the_order():
    broken = station("broken", 20, 1, ImagePositionPatient=None)

    with pytest.raises(NothingEligibleError, match="Image Position"):
        select(broken)
    assert select(broken, station("whole", 20, 4)).stack.series.number == 4
