import numpy as np
import pytest

from imaging.mark import Origin
from imaging.outcome import Reason
from imaging.read_rtstruct_marks import rtstruct_marks
from imaging.uids import derived_uid
from tests.mark_samples import contour, dice, outlines, structures
from tests.nodule_samples import BALLS_MM, CT_SHAPE, CT_SPACING_MM, ball, centre_mm, write_ct
from tests.series_samples import PLANES, source_of

pytestmark = pytest.mark.system  # slow: many voxels


def nodule(number, plane="axial", name="Nodule", kind="", **options):
    return name, kind, [contour(points) for points in outlines(number, plane, **options)]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_contours_become_regions_where_they_are(tmp_path, plane, backwards):
    source = source_of(write_ct(tmp_path / "ct", plane=plane, backwards=backwards))

    found = rtstruct_marks(structures(*(nodule(number, plane) for number in BALLS_MM)), source)

    assert (found.flags, found.unusable) == ((), ())
    for mark, number in zip(found.marks, BALLS_MM, strict=True):
        assert dice(mark.region.within(CT_SHAPE), ball(number)) > 0.99
        np.testing.assert_allclose(mark.centre_mm, centre_mm(number, plane), atol=0.4)
        assert mark.origin is Origin.RTSTRUCT


@pytest.mark.parametrize("points", [8, 16])
def test_decimated_contours_keep_the_area_of_their_polygon(source, points):
    (mark,) = rtstruct_marks(structures(nodule(2, points=points)), source).marks

    radii = [
        np.sqrt(BALLS_MM[2][1] ** 2 - height**2)
        for height in (np.arange(CT_SHAPE[0]) - BALLS_MM[2][0][0]) * CT_SPACING_MM[0]
        if abs(height) < BALLS_MM[2][1]
    ]
    polygon_mm2 = sum(points / 2 * np.sin(2 * np.pi / points) * radius**2 for radius in radii)
    assert mark.region.voxels * CT_SPACING_MM[1] * CT_SPACING_MM[2] == pytest.approx(polygon_mm2, rel=0.03)


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_an_inner_contour_is_a_hole(source, kind):
    name, roi_type, outer = nodule(2)
    inner = [contour((points - centre_mm(2)) * [0.4, 0.4, 1] + centre_mm(2), kind) for points in outlines(2)]

    (mark,) = rtstruct_marks(structures((name, roi_type, outer + inner)), source).marks

    share = mark.region.voxels / ball(2).sum()
    assert share == pytest.approx(1 - 0.4**2, abs=0.03)


def test_only_tumours_and_nodules_count_among_other_structures(source):
    made = structures(
        nodule(1, name="Lung_L", kind="ORGAN"),
        nodule(2, name="A", kind="GTV"),
        nodule(3, name="PTV tumour", kind="PTV"),
        nodule(1, name="CTV lesion"),
    )

    (mark,) = rtstruct_marks(made, source).marks

    assert dice(mark.region.within(CT_SHAPE), ball(2)) > 0.99


def test_organs_alone_are_said_not_to_be_used(source):
    found = rtstruct_marks(structures(nodule(1, name="Heart"), nodule(2, name="ROI 2")), source)

    assert (found.marks, found.unusable) == ((), ())
    assert "no nodules" in found.flags[0]


def test_structures_without_a_telling_name_count_and_it_is_said(source):
    found = rtstruct_marks(structures(nodule(1, name="ROI-1"), nodule(2, name="ROI-2")), source)

    assert len(found.marks) == 2
    assert "does not say what it marks" in found.flags[0]


def test_another_frame_of_reference_is_not_used(source):
    found = rtstruct_marks(structures(nodule(1), space=derived_uid("elsewhere")), source)

    assert (found.marks, found.unusable) == ((), (Reason.OTHER_FRAME,))


@pytest.mark.parametrize("shift_mm", [1.25, 0.8])
def test_contours_between_slices_are_not_used(source, shift_mm):
    made = structures(("Nodule", "", [contour(np.add(points, (0, 0, shift_mm))) for points in outlines(1)]))

    assert rtstruct_marks(made, source).unusable == (Reason.OTHER_FRAME,)


def test_contours_drawn_across_the_slices_are_not_used(source):
    made = structures(("Nodule", "", [contour(points[:, [0, 2, 1]]) for points in outlines(1)]))

    assert rtstruct_marks(made, source).unusable == (Reason.OTHER_FRAME,)


def test_contours_outside_are_not_used(source):
    made = structures(("Nodule", "", [contour(np.add(points, (500, 0, 0))) for points in outlines(1)]))

    assert rtstruct_marks(made, source).unusable == (Reason.OUTSIDE,)


def test_contours_partly_outside_are_cut_off_and_flagged(source):
    made = structures(
        ("Nodule", "", [contour(np.subtract(points, (9, 0, 0))) for points in outlines(1)])
    )  # ten columns

    found = rtstruct_marks(made, source)

    assert dice(found.marks[0].region.within(CT_SHAPE)[:, :, :20], ball(1)[:, :, 10:30]) > 0.99
    assert "cut off" in found.flags[0]


def test_slices_without_a_contour_in_between_are_flagged(source):
    found = rtstruct_marks(structures(nodule(2, every=2)), source)

    assert any("in between" in flag for flag in found.flags)


def test_a_point_is_a_mark_without_an_outline(source):
    found = rtstruct_marks(structures(("Nodule", "", [contour([centre_mm(3)], "POINT")])), source)

    (mark,) = found.marks
    assert mark.region is None
    np.testing.assert_allclose(mark.centre_mm, centre_mm(3), atol=1e-3)


def test_a_point_outside_is_not_used(source):
    found = rtstruct_marks(structures(("Nodule", "", [contour([centre_mm(3) + 400], "POINT")])), source)

    assert found.unusable == (Reason.OUTSIDE,)


def test_a_structure_without_contours_is_flagged(source):
    found = rtstruct_marks(structures(("Nodule", "", []), nodule(2)), source)

    assert len(found.marks) == 1
    assert "no closed contour" in found.flags[0]


def test_a_contour_between_two_voxels_is_a_mark_without_an_outline(source):
    tiny = [
        (points - points.mean(axis=0)) / 1000 + np.add(points.mean(axis=0), (0.3, 0.3, 0)) for points in outlines(3)
    ]

    found = rtstruct_marks(structures(("Nodule", "", [contour(points) for points in tiny])), source)

    (mark,) = found.marks
    assert mark.region is None
    np.testing.assert_allclose(mark.centre_mm, np.add(centre_mm(3), (0.3, 0.3, 0)), atol=1e-3)
