import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from imaging.geometry import GeometryPolicy, stack_geometry
from imaging.outcome import RefusedError
from imaging.slice_plane import slice_plane
from tests.phantoms import ORIGIN_MM, PATIENT, SHAPE, SPACING_MM, decimal, oblique_affine, slice_headers, stack_of

TURN = Rotation.from_euler("xyz", (20, -15, 10), degrees=True).as_matrix()
NORMAL = TURN[:, 2]  # of the slices of oblique_affine()


def moved(offsets_mm, direction=NORMAL):
    """Headers of slices at chosen distances along the normal, or shifted along another direction."""
    headers = slice_headers((len(offsets_mm), *SHAPE[1:]))
    for header, offset_mm in zip(headers, offsets_mm, strict=True):
        header.ImagePositionPatient = [decimal(mm) for mm in ORIGIN_MM + offset_mm * direction]
    return headers


def at(heights_mm):
    return stack_of(moved(heights_mm))


unit = st.floats(-1, 1)
spacings = st.floats(0.2, 8)


@given(
    turn=st.tuples(unit, unit, unit, unit).filter(lambda q: np.linalg.norm(q) > 0.1),
    spacing_mm=st.tuples(spacings, spacings, spacings),
    origin_mm=st.tuples(*[st.floats(-300, 300)] * 3),
    order=st.permutations(range(7)),
)
def test_every_slice_lies_at_its_own_position(turn, spacing_mm, origin_mm, order):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_quat(turn).as_matrix() * spacing_mm
    affine[:3, 3] = origin_mm
    headers = slice_headers((7, 4, 5), affine)
    series = stack_of([headers[number] for number in order])

    geometry = stack_geometry(series)

    for number, index in zip(geometry.slices, geometry.order, strict=True):
        place = geometry.affine @ [number, 0, 0, 1]
        assert np.abs(place[:3] - np.array(series.headers[index].ImagePositionPatient, float)).max() < 1e-6
    assert sorted(geometry.order) == list(range(7))


@given(
    turn=st.tuples(unit, unit, unit, unit).filter(lambda q: np.linalg.norm(q) > 0.1),
    spacing_mm=st.tuples(spacings, spacings, spacings),
)
def test_rows_and_columns_follow_the_equation_of_the_standard(turn, spacing_mm):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_quat(turn).as_matrix() * spacing_mm
    headers = slice_headers((3, 40, 50), affine)

    geometry = stack_geometry(stack_of(headers))

    first = headers[geometry.order[0]]
    cosines, (between_rows, between_columns) = np.array(first.ImageOrientationPatient, float), first.PixelSpacing
    expected = (  # PS3.3 equation C.7.6.2.1-1: the row direction is that in which columns rise
        np.array(first.ImagePositionPatient, float)
        + 39 * between_rows * cosines[3:]
        + 49 * between_columns * cosines[:3]
    )
    assert np.abs((geometry.affine @ [0, 39, 49, 1])[:3] - expected).max() < 1e-6


def test_the_affine_of_a_known_stack_is_found():
    geometry = stack_geometry(stack_of(slice_headers()))

    assert geometry.shape == SHAPE
    assert geometry.missing == ()
    assert geometry.affine == pytest.approx(oblique_affine(), abs=1e-6)


def test_slices_are_ordered_by_position_not_by_number():
    headers = slice_headers()
    shuffled = [headers[number] for number in (3, 0, 5, 1, 4, 2)]
    for number, header in enumerate(shuffled):
        header.InstanceNumber = number + 1

    assert stack_geometry(stack_of(shuffled)).order == (1, 3, 5, 0, 4, 2)


def test_two_slices_make_a_stack():
    geometry = stack_geometry(stack_of(slice_headers((2, 9, 13))))

    assert geometry.shape == (2, 9, 13)
    assert np.linalg.norm(geometry.affine[:3, 0]) == pytest.approx(SPACING_MM[0])


def test_one_slice_is_refused():
    with pytest.raises(RefusedError, match=r"At least 2 slices make a volume; series 3 \(MR, 1 slice\) has 1\."):
        stack_geometry(stack_of(slice_headers((1, 9, 13))))


@pytest.mark.parametrize("digits", [2, 3, 4, 6])
def test_cosines_stored_with_few_digits_still_give_right_angles(digits):
    headers = moved(np.arange(6) * 4.0)
    for header in headers:
        header.ImageOrientationPatient = [f"{value:.{digits}f}" for value in (*TURN[:, 0], *TURN[:, 1])]
    try:
        affine = stack_geometry(stack_of(headers)).affine
    except RefusedError:
        assert digits == 2  # too few: the stack seems to lean
        return

    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-12)
    assert affine == pytest.approx(oblique_affine(), abs=10.0**-digits * 4)


def test_a_missing_slice_is_refused_with_its_gap():
    with pytest.raises(
        RefusedError, match=r"evenly spaced \(4\.00 mm in series 3.*found 8\.00 mm between slices 3 and 4"
    ):
        stack_geometry(at([0, 4, 8, 16, 20]))


def test_a_missing_slice_within_the_policy_leaves_its_place_empty():
    geometry = stack_geometry(at([0, 4, 8, 16, 20]), GeometryPolicy(max_gap_mm=8.0))

    assert geometry.slices == (0, 1, 2, 4, 5)
    assert geometry.missing == (3,)
    assert geometry.shape == (6, 9, 13)
    assert np.linalg.norm(geometry.affine[:3, 0]) == pytest.approx(4.0)


def test_a_gap_wider_than_the_policy_is_refused():
    with pytest.raises(RefusedError, match=r"12\.00 mm between slices 2 and 3"):
        stack_geometry(at([0, 4, 16, 20, 24]), GeometryPolicy(max_gap_mm=8.0))


def test_uneven_spacing_is_refused_whatever_the_policy():
    with pytest.raises(RefusedError, match=r"5\.90 mm between slices 2 and 3"):
        stack_geometry(at([0, 4, 9.9, 13.9, 17.9]), GeometryPolicy(max_gap_mm=20.0))


def test_only_the_first_four_gaps_are_listed():
    heights_mm = np.cumsum([0, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5])

    with pytest.raises(RefusedError, match=r"slices 11 and 12 and more\. A slice is missing") as refused:
        stack_geometry(at(heights_mm))

    assert str(refused.value).count(" mm between") == 4


def test_positions_rounded_to_a_hundredth_are_even_enough():
    heights_mm = np.round(np.arange(6) * 1.0049, 2)

    assert stack_geometry(at(heights_mm)).shape[0] == 6


def test_two_slices_at_one_position_are_refused():
    with pytest.raises(RefusedError, match=r"has 2 more than that \(first at slice 2\), and no attribute"):
        stack_geometry(at([0, 4, 4, 8, 12, 12]))


def test_small_steps_that_add_up_are_refused():
    heights_mm = np.cumsum([0] + [1.0] * 100 + [1.019] * 100)

    with pytest.raises(RefusedError, match=r"one is 0\.95 mm off, 0\.35 mm allowed"):
        stack_geometry(at(heights_mm))


def test_a_slight_lean_that_adds_up_is_refused():
    headers = moved(np.arange(200.0))
    for number, header in enumerate(headers):
        lean_mm = 0.015 * number * TURN[:, 1]
        header.ImagePositionPatient = [decimal(mm) for mm in ORIGIN_MM + number * NORMAL + lean_mm]

    with pytest.raises(RefusedError, match=r"one is 2\.9[89] mm off, 0\.35 mm allowed"):
        stack_geometry(stack_of(headers))


@pytest.mark.parametrize("tilt_deg", [-18.5, 2, 18.5])
def test_a_tilted_gantry_is_refused_with_its_shift(tilt_deg):
    step_mm = 4.0 * (np.cos(np.deg2rad(tilt_deg)) * NORMAL + np.sin(np.deg2rad(tilt_deg)) * TURN[:, 1])
    headers = slice_headers()
    for number, header in enumerate(headers):
        header.ImagePositionPatient = [decimal(mm) for mm in ORIGIN_MM + number * step_mm]
    shift, along = abs(4 * np.sin(np.deg2rad(tilt_deg))), 4 * np.cos(np.deg2rad(tilt_deg))

    with pytest.raises(RefusedError, match=rf"sideways by up to {shift:.2f} mm per {along:.2f} mm \(a tilted gantry\)"):
        stack_geometry(stack_of(headers))


def last_slice(**attributes):
    def change(header, number):
        if number == SHAPE[0] - 1:
            for keyword, value in attributes.items():
                setattr(header, keyword, value)

    return change


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"Rows": 10}, r"one matrix size; .* mixes \[\(9, 13\), \(10, 13\)\]"),
        ({"PixelSpacing": ["0.7", "1.6"]}, r"one Pixel Spacing; .* mixes \[0\.7 1\.5\] to \[0\.7 1\.6\] mm"),
        (
            {"ImageOrientationPatient": ["1", "0", "0", "0", "0", "-1"]},
            r"must be parallel; .* differ by up to \d\.\d{4}",
        ),
        ({"FrameOfReferenceUID": "1.2.3"}, r"one Frame of Reference; .* has 2"),
    ],
)
def test_a_mixture_is_refused_with_what_is_mixed(attributes, said):
    with pytest.raises(RefusedError, match=said):
        stack_geometry(stack_of(slice_headers(change=last_slice(**attributes))))


UNUSABLE = [
    ("ImageOrientationPatient", None, r"Image Orientation \(Patient\); found None"),
    ("ImageOrientationPatient", ["1", "0", "0"], r"Image Orientation \(Patient\); found \(1\.0, 0\.0, 0\.0\)"),
    ("ImageOrientationPatient", ["1", "0", "0", "1", "0", "0"], r"found \(1\.0, 0\.0, 0\.0, 1\.0, 0\.0, 0\.0\)"),
    ("ImageOrientationPatient", ["2", "0", "0", "0", "1", "0"], r"found \(2\.0, "),
    ("ImageOrientationPatient", ["1", "0", "0", "0", "2", "0"], r"0\.0, 2\.0, 0\.0\)"),
    ("ImageOrientationPatient", ["0", "0", "0", "0", "0", "0"], r"found \(0\.0, 0\.0"),
    ("ImagePositionPatient", None, r"Image Position \(Patient\); found None"),
    ("ImagePositionPatient", ["1", "2"], r"Image Position \(Patient\); found \(1\.0, 2\.0\)"),
    ("ImagePositionPatient", [0.0, float("nan"), 0.0], r"Image Position \(Patient\); found \(0\.0, nan, 0\.0\)"),
    ("ImagePositionPatient", [0.0, float("inf"), 0.0], r"found \(0\.0, inf, 0\.0\)"),
    ("PixelSpacing", None, r"Pixel Spacing; found None"),
    ("PixelSpacing", "1", r"Pixel Spacing; found \(1\.0,\)"),
    ("PixelSpacing", ["0", "1"], r"Pixel Spacing; found \(0\.0, 1\.0\)"),
    ("PixelSpacing", ["1", "-1"], r"Pixel Spacing; found \(1\.0, -1\.0\)"),
    ("Rows", None, "valid number of Rows and Columns; found None"),
    ("Columns", [3, 4], "valid number of Rows and Columns; found None"),
]


@pytest.mark.parametrize(("keyword", "value", "said"), UNUSABLE)
def test_an_unusable_attribute_is_refused_with_what_was_found(keyword, value, said):
    header = slice_headers(**{keyword: value})[0]

    with pytest.raises(RefusedError, match=said) as refused:
        slice_plane(header)

    assert "Export the series again" in str(refused.value)
    assert not [secret for secret in PATIENT.values() if secret in str(refused.value)]


def test_one_slice_without_geometry_refuses_its_series():
    headers = slice_headers()
    del headers[4].ImagePositionPatient

    with pytest.raises(RefusedError, match="Image Position"):
        stack_geometry(stack_of(headers))
