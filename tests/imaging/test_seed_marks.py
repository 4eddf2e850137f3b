import numpy as np
import pytest
from highdicom import Volume

from imaging.mark import Origin
from imaging.outcome import Reason, RefusedError, UsageError
from imaging.seed_marks import parse_points, seed_marks
from tests.phantoms import oblique_affine


def volume():
    affine = oblique_affine(spacing_mm=(2.5, 0.7, 0.9))
    return Volume(np.zeros((9, 40, 30), np.float32), affine, "PATIENT")


def test_each_point_becomes_a_mark_of_the_user_at_its_millimetres():
    image = volume()
    inside = image.map_indices_to_reference(np.array([[4, 20, 10], [0, 0, 0]]))
    text = "; ".join(",".join(f"{value:.6f}" for value in point) for point in inside)

    marks = seed_marks(parse_points(text), image)

    assert [mark.origin for mark in marks] == [Origin.USER, Origin.USER]
    np.testing.assert_allclose([mark.centre_mm for mark in marks], inside, atol=1e-5)


def test_no_text_gives_no_marks():
    assert parse_points("") == parse_points(" ; ") == ()


@pytest.mark.parametrize("beyond", [(-0.6, 20, 10), (4, 39.6, 10), (4, 20, -0.51)])
def test_a_point_beyond_the_outermost_voxel_edge_is_refused_with_its_number(beyond):
    image = volume()
    points = image.map_indices_to_reference(np.array([[4, 20, 10], beyond]))

    with pytest.raises(RefusedError, match="point 2 of 2 lies outside") as refused:
        seed_marks(tuple(map(tuple, points)), image)

    assert refused.value.reason is Reason.OUTSIDE


def test_the_outermost_voxel_is_inside_to_its_edge():
    image = volume()
    edge = image.map_indices_to_reference(np.array([[8.49, 39.49, 29.49]]))[0]

    assert len(seed_marks((tuple(edge),), image)) == 1


@pytest.mark.parametrize("text", ["1,2", "1,2,3,4", "a,b,c", "1,2,nan", "1 2 3", "1,2,inf"])
def test_anything_else_is_an_error_of_usage_that_says_the_form(text):
    with pytest.raises(UsageError, match="x,y,z in LPS mm"):
        parse_points(text)
