import highdicom as hd
import numpy as np
import pytest
from highdicom import sr
from pydicom import dcmread
from pydicom.sr.codedict import codes

from imaging.encode_seg import encode_seg
from imaging.encode_sr import encode_sr
from imaging.mark import Origin
from imaging.outcome import Reason
from imaging.read_sr_marks import sr_marks
from imaging.report_nodules import report_nodules
from imaging.uids import derived_uid
from imaging.write_common import save_dicom
from tests.mark_samples import SPACE, dice, outlines
from tests.nodule_samples import BALLS_MM, CT_SHAPE, CT_SPACING_MM, ball, centre_mm, nodule, write_ct
from tests.series_samples import PROVENANCE, affine_of, source_of

pytestmark = pytest.mark.system  # slow: many voxels

PLANE = "oblique"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct"), plane=PLANE, backwards=True))


def tracked(number):
    return sr.TrackingIdentifier(uid=derived_uid("finding", str(number)), identifier=f"finding {number}")


def written(source, groups, folder):
    """A TID 1500 report of another writer, read again."""
    images = [dcmread(frame.instance.path) for frame in source.frames]
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Person,
        observer_identifying_attributes=sr.PersonObserverIdentifyingAttributes(name="Reader^A"),
    )
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_person_context=observer),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
        title=codes.DCM.ImagingMeasurementReport,
        referenced_images=images[:1],
    )
    report = sr.Comprehensive3DSR(
        evidence=images, content=content[0], series_instance_uid=derived_uid("sr series"), series_number=8,
        sop_instance_uid=derived_uid("sr"), instance_number=1, manufacturer="Another", is_complete=True,
    )  # fmt: skip
    save_dicom(report, folder / "sr.dcm")
    return dcmread(folder / "sr.dcm")


def in_space(kind, points_mm, number=1, finding=codes.SCT.Nodule, space=SPACE, measurements=None):
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracked(number),
        referenced_region=sr.ImageRegion3D(kind, np.atleast_2d(points_mm), space),
        finding_type=finding,
        measurements=measurements,
    )


def enclosed(source, kind, shapes):
    """A group on a volume that closed shapes in space enclose."""
    surface = sr.VolumeSurface(
        graphic_type=kind,
        graphic_data=shapes,
        frame_of_reference_uid=SPACE,
        source_series=sr.SourceSeriesForSegmentation(source.series.uid),
    )
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracked(1), referenced_volume_surface=surface, finding_type=codes.SCT.Nodule
    )


def on_image(source, kind, pixels, slice_, finding=codes.SCT.Nodule):
    """A region in (column, row) of an image, the corner of whose first pixel is 0, 0."""
    header = dcmread(source.planes[slice_].frame.instance.path)
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracked(1),
        referenced_region=sr.ImageRegion(
            kind, np.asarray(pixels, float), sr.SourceImageForRegion.from_source_image(header)
        ),
        finding_type=finding,
    )


def axes_mm(number):
    """Centre and half axes of a ball along rows, columns and slices of the volume, in mm."""
    _, radius_mm = BALLS_MM[number]
    affine = affine_of(PLANE, CT_SPACING_MM)
    return centre_mm(number, PLANE), (affine[:3, :3] / CT_SPACING_MM * radius_mm).T


def test_a_point_is_the_centre(source, tmp_path):
    found = sr_marks(written(source, [in_space("POINT", centre_mm(2, PLANE))], tmp_path), source)

    (mark,) = found.marks
    np.testing.assert_allclose(mark.centre_mm, centre_mm(2, PLANE), atol=1e-3)
    assert (mark.origin, mark.region, mark.diameter_mm) == (Origin.SR, None, None)
    assert mark.tracking_uid == derived_uid("finding", "1")
    assert (found.flags, found.unusable) == ((), ())


@pytest.mark.parametrize(("unit", "expected"), [(codes.UCUM.Millimeter, 13.0), (codes.UCUM.NoUnits, None)])
def test_a_point_with_a_measured_diameter_has_that(source, tmp_path, unit, expected):
    length = sr.Measurement(name=codes.SCT.LongAxis, value=13.0, unit=unit)

    group = in_space("POINT", centre_mm(2, PLANE), measurements=[length])

    (mark,) = sr_marks(written(source, [group], tmp_path), source).marks
    assert mark.diameter_mm == expected


@pytest.mark.parametrize("number", BALLS_MM)
def test_an_ellipsoid_gives_centre_and_diameter(source, tmp_path, number):
    centre, axes = axes_mm(number)
    ends = [centre + sign * scale * axis for axis, scale in zip(axes, (1, 0.8, 0.6), strict=True) for sign in (-1, 1)]
    group = enclosed(source, "ELLIPSOID", [np.array(ends)])

    (mark,) = sr_marks(written(source, [group], tmp_path), source).marks

    np.testing.assert_allclose(mark.centre_mm, centre, atol=1e-3)
    assert mark.diameter_mm == pytest.approx(2 * BALLS_MM[number][1], abs=1e-3)


def test_outlines_on_slices_give_the_region(source, tmp_path):
    polygons = [np.concatenate([points, points[:1]]) for points in outlines(2, PLANE)]
    group = enclosed(source, "POLYGON", polygons)

    (mark,) = sr_marks(written(source, [group], tmp_path), source).marks

    assert dice(mark.region.within(CT_SHAPE), ball(2)) > 0.99


def circle(number, points=100):
    """The equator of a ball as (column, row) of its slice."""
    (slice_, row, column), radius_mm = BALLS_MM[number]
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    rows = row + radius_mm * np.sin(angle) / CT_SPACING_MM[1]
    columns = column + radius_mm * np.cos(angle) / CT_SPACING_MM[2]
    outline = np.column_stack([columns, rows]) + 0.5
    return np.concatenate([outline, outline[:1]]), int(slice_)


def test_an_outline_on_an_image_gives_the_region_of_that_slice(source, tmp_path):
    outline, slice_ = circle(1)

    (mark,) = sr_marks(written(source, [on_image(source, "POLYLINE", outline, slice_)], tmp_path), source).marks

    mask = np.zeros(CT_SHAPE, bool)
    mask[slice_] = ball(1)[slice_]
    assert dice(mark.region.within(CT_SHAPE), mask) > 0.98


def test_a_line_on_an_image_is_a_diameter(source, tmp_path):
    (slice_, row, column), radius_mm = BALLS_MM[1]
    ends = np.array([(column - radius_mm / 0.9, row), (column + radius_mm / 0.9, row)]) + 0.5

    (mark,) = sr_marks(written(source, [on_image(source, "POLYLINE", ends, int(slice_))], tmp_path), source).marks

    np.testing.assert_allclose(mark.centre_mm, centre_mm(1, PLANE), atol=1e-3)
    assert mark.diameter_mm == pytest.approx(2 * radius_mm, abs=1e-3)


def test_a_circle_on_an_image_has_its_centre_and_twice_its_radius(source, tmp_path):
    (slice_, row, column), radius_mm = BALLS_MM[1]
    points = np.array([(column, row), (column, row + radius_mm / 0.7)]) + 0.5

    (mark,) = sr_marks(written(source, [on_image(source, "CIRCLE", points, int(slice_))], tmp_path), source).marks

    np.testing.assert_allclose(mark.centre_mm, centre_mm(1, PLANE), atol=1e-3)
    assert mark.diameter_mm == pytest.approx(2 * radius_mm, abs=1e-3)


def test_an_aorta_beside_the_nodule_is_no_nodule(source, tmp_path):
    groups = [
        in_space("POINT", centre_mm(1, PLANE), 1, codes.SCT.Aorta),
        in_space("POINT", centre_mm(2, PLANE), 2, codes.SCT.Nodule),
        in_space("POINT", centre_mm(3, PLANE), 3, None),
    ]

    (mark,) = sr_marks(written(source, groups, tmp_path), source).marks

    assert mark.tracking_uid == derived_uid("finding", "2")


def test_an_aorta_alone_is_said_not_to_be_used(source, tmp_path):
    report = written(source, [in_space("POINT", centre_mm(1, PLANE), 1, codes.SCT.Aorta)], tmp_path)

    found = sr_marks(report, source)

    assert (found.marks, found.unusable) == ((), ())
    assert "no nodules" in found.flags[0]


def test_places_of_which_nothing_is_said_count_and_it_is_said(source, tmp_path):
    groups = [in_space("POINT", centre_mm(number, PLANE), number, None) for number in BALLS_MM]

    found = sr_marks(written(source, groups, tmp_path), source)

    assert len(found.marks) == len(BALLS_MM)
    assert "does not say what it marks" in found.flags[0]


def test_another_frame_of_reference_is_not_used(source, tmp_path):
    group = in_space("POINT", centre_mm(1, PLANE), space=derived_uid("elsewhere"))

    found = sr_marks(written(source, [group], tmp_path), source)

    assert (found.marks, found.unusable) == ((), (Reason.OTHER_FRAME,))


def test_a_place_outside_is_not_used(source, tmp_path):
    report = written(source, [in_space("POINT", centre_mm(1, PLANE) + 500)], tmp_path)

    assert sr_marks(report, source).unusable == (Reason.OUTSIDE,)


def test_coordinates_on_another_image_are_not_used(source, tmp_path):
    outline, slice_ = circle(1)
    report = written(source, [on_image(source, "POLYLINE", outline, slice_)], tmp_path)
    here = str(source.planes[slice_].frame.instance.uid)

    elsewhere = derived_uid("another image")
    for reference in references(report):
        if reference.ReferencedSOPInstanceUID == here:
            reference.ReferencedSOPInstanceUID = elsewhere

    assert sr_marks(report, source).unusable == (Reason.OTHER_FRAME,)


def references(node):
    """Every reference below a content item."""
    yield from node.get("ReferencedSOPSequence", ())
    for child in node.get("ContentSequence", ()):
        yield from references(child)


@pytest.fixture(scope="module")
def own(source):
    """Segmentation and report of this suite."""
    report = report_nodules([nodule(source, number) for number in BALLS_MM], [Origin.COMPUTER])
    seg = encode_seg(report.segments, source, PROVENANCE, "Nodules")
    return seg, encode_sr(report.findings, seg, source, PROVENANCE, title="Nodules"), report


def test_a_group_on_a_segment_that_is_there_is_no_second_mark(source, own):
    seg, document, _ = own

    assert sr_marks(document, source, frozenset({str(seg.SOPInstanceUID)})).marks == ()


def test_a_group_on_a_segment_that_is_not_there_has_its_lines(source, own):
    _, document, report = own

    marks = sr_marks(document, source).marks

    assert [mark.diameter_mm for mark in marks] == pytest.approx(
        [one.measured.longest_mm for one in report.nodules], abs=1e-2
    )
    for mark, one in zip(marks, report.nodules, strict=True):
        assert np.linalg.norm(np.subtract(mark.centre_mm, one.measured.centre_mm)) < 2


def test_a_report_without_measurement_groups_marks_nothing(source):
    assert sr_marks(hd.sr.CodedConcept("1", "99X", "y"), source).marks == ()
