"""What programs of other makers read in the objects on synthetic nodules."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK

from imaging.encode_heat_map import write_heat_map
from imaging.encode_parametric_map import encode_parametric_map
from imaging.encode_seg import encode_seg
from imaging.encode_sr import encode_sr
from imaging.heat_box import HeatBox
from imaging.mark import Origin
from imaging.read_marks import marks_in
from imaging.report_nodules import report_nodules
from imaging.write_common import save_dicom
from tests.nodule_samples import BALLS_MM, ball, nodule, write_ct
from tests.series_samples import PLANES, PROVENANCE, affine_of, source_of
from tests.system.test_readers import output_of, read_image, tool

pytestmark = pytest.mark.system


def errors(path):
    return [line for line in output_of(tool("dciodvfy"), path).splitlines() if "Error" in line]


def written(folder, plane="oblique"):
    """Segmentation and report on three nodules."""
    source = source_of(write_ct(folder / "ct", plane=plane, backwards=True))
    found = [nodule(source, number, malignancy=0.2 * number) for number in BALLS_MM]
    report = report_nodules(found, [Origin.COMPUTER])
    seg = encode_seg(report.segments, source, PROVENANCE, "Lung nodules")
    save_dicom(seg, folder / "seg.dcm")
    document = encode_sr(report.findings, seg, source, PROVENANCE, title="Lung nodules", notes=report.flags)
    save_dicom(document, folder / "sr.dcm")
    return report


@pytest.fixture(scope="module", params=PLANES)
def folder(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodules")
    written(folder, request.param)
    return folder, request.param


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nodules")
    return folder, written(folder)


@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm"])
def test_dciodvfy_finds_no_error(objects, name):
    assert errors(objects[0] / name) == []


def test_dciodvfy_finds_no_error_in_a_report_without_a_segmentation(tmp_path):
    source = source_of(write_ct(tmp_path / "ct"))
    report = report_nodules([], [Origin.COMPUTER])

    document = encode_sr(report.findings, None, source, PROVENANCE, title="Lung nodules", notes=report.flags)

    save_dicom(document, tmp_path / "sr.dcm")
    assert errors(tmp_path / "sr.dcm") == []
    said = output_of(tool("dsrdump"), "+Pl", tmp_path / "sr.dcm")
    assert '"0.0" (1,UCUM,"no units")' in said
    assert "no nodule was found" in said


def test_dcmqi_finds_each_nodule_at_the_same_mm(folder, tmp_path):
    path, plane = folder

    said = output_of(
        tool("segimage2itkimage"), "--inputDICOM", path / "seg.dcm", "--outputDirectory", tmp_path, "-t", "nii"
    )

    affine = affine_of(plane, (2.5, 0.7, 0.9))
    for segment, number in enumerate(sorted(BALLS_MM, reverse=True), start=1):  # the most suspicious first
        found, found_affine = read_image(tmp_path / f"{segment}.nii.gz")
        to_own = np.linalg.inv(affine) @ found_affine
        index = np.argwhere(found > 0) @ to_own[:3, :3].T + to_own[:3, 3]
        np.testing.assert_allclose(index, np.rint(index), atol=0.02)
        own = np.argwhere(ball(number))
        assert sorted(map(tuple, np.rint(index).astype(int))) == sorted(map(tuple, own)), said


def test_dsrdump_reads_the_probability_with_its_meaning(objects):
    said = output_of(tool("dsrdump"), "+Pl", objects[0] / "sr.dcm")

    assert '"60.0" (%,UCUM,"Percent")' in said
    assert "agreement with radiologists' votes, not histology" in said


def test_dsrdump_reads_the_diameters_of_each_nodule(objects):
    folder, report = objects

    said = output_of(tool("dsrdump"), "+Pl", folder / "sr.dcm")

    for one in report.nodules:
        assert f'"{round(one.measured.longest_mm, 2):g}" (mm,UCUM,"mm")' in said


def warmed(one):
    """A nodule with heat on its own box."""
    values = np.linspace(0, 1, one.region.mask.size, dtype=np.float32).reshape(one.region.mask.shape)
    return replace(one, heat=HeatBox(values, one.region.start))


def test_dciodvfy_finds_no_error_in_a_heat_map(objects, tmp_path):
    source = source_of(objects[0] / "ct")

    paths = write_heat_map(tmp_path, [warmed(one) for one in objects[1].nodules], source, PROVENANCE)

    assert len(paths) == 9
    assert [line for path in paths for line in errors(path)] == []


@pytest.fixture(scope="module")
def heat_path(objects, tmp_path_factory):
    """A Parametric Map of warmed nodules."""
    path = tmp_path_factory.mktemp("map") / "heat.dcm"
    source = source_of(objects[0] / "ct")
    save_dicom(encode_parametric_map([warmed(one) for one in objects[1].nodules], source, PROVENANCE), path)
    return path


def test_dciodvfy_finds_no_error_in_a_parametric_map(heat_path):
    assert errors(heat_path) == []


def test_dcmqi_finds_the_heat_of_a_parametric_map_at_the_same_mm(objects, heat_path, tmp_path):
    said = output_of(tool("paramap2itkimage"), "--inputDICOM", heat_path, "--outputDirectory", tmp_path, "-t", "nii")

    assert (tmp_path / "pmap.nii.gz").exists(), said
    read, read_affine = read_image(tmp_path / "pmap.nii.gz")
    affine = affine_of("oblique", (2.5, 0.7, 0.9))
    for number in BALLS_MM:
        (one,) = [one for one in objects[1].nodules if one.malignancy == pytest.approx(0.2 * number)]
        hottest = np.array(one.region.mask.shape) - 1 + one.region.start  # the last voxel of its box
        at = np.linalg.inv(read_affine) @ affine @ [*hottest, 1]
        np.testing.assert_allclose(at[:3], np.rint(at[:3]), atol=0.02)
        assert read[tuple(np.rint(at[:3]).astype(int))] == pytest.approx(1.0)


def test_simpleitk_sees_the_heat_map_in_colour_where_the_ct_is(objects, tmp_path):
    source = source_of(objects[0] / "ct")
    paths = write_heat_map(tmp_path, [warmed(one) for one in objects[1].nodules], source, PROVENANCE)

    image = SimpleITK.ReadImage(str(paths[0]), imageIO="GDCMImageIO")

    assert image.GetNumberOfComponentsPerPixel() == 3
    first = min(plane.slice for plane in source.planes if any(
        plane.slice == one.region.start[0] for one in objects[1].nodules
    ))  # fmt: skip
    np.testing.assert_allclose(image.GetOrigin(), source.planes[first].position_mm, atol=1e-3)


META = {
    "ContentCreatorName": "Reader", "ClinicalTrialSeriesID": "1", "ClinicalTrialTimePointID": "1",
    "SeriesDescription": "Nodules", "SeriesNumber": "300", "InstanceNumber": "1", "BodyPartExamined": "CHEST",
    "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/schemas/seg-schema.json#",
}  # fmt: skip


def meta(count):
    """What dcmqi is to say of its segments."""
    segments = [
        {
            "labelID": number,
            "SegmentDescription": "Nodule",
            "SegmentAlgorithmType": "MANUAL",
            "SegmentedPropertyCategoryCodeSequence": {
                "CodeValue": "49755003", "CodingSchemeDesignator": "SCT",
                "CodeMeaning": "Morphologically Altered Structure",
            },
            "SegmentedPropertyTypeCodeSequence": {
                "CodeValue": "27925004", "CodingSchemeDesignator": "SCT", "CodeMeaning": "Nodule",
            },
            "recommendedDisplayRGBValue": [200, 100, 50],
        }
        for number in range(1, count + 1)
    ]  # fmt: skip
    return META | {"segmentAttributes": [segments]}


def test_segments_that_dcmqi_wrote_are_read_as_marks(tmp_path):
    ct = write_ct(tmp_path / "ct", plane="oblique", backwards=True)
    source = source_of(ct)
    labels = sum(number * ball(number).astype(np.uint8) for number in BALLS_MM)
    image = SimpleITK.GetImageFromArray(labels)
    affine = affine_of("oblique", (2.5, 0.7, 0.9))
    image.SetSpacing((0.9, 0.7, 2.5))
    image.SetOrigin(affine[:3, 3])
    image.SetDirection((affine[:3, :3] / (2.5, 0.7, 0.9))[:, ::-1].ravel())
    SimpleITK.WriteImage(image, str(tmp_path / "labels.nrrd"))
    (tmp_path / "meta.json").write_text(json.dumps(meta(len(BALLS_MM))))

    said = output_of(
        tool("itkimage2segimage"), "--inputImageList", tmp_path / "labels.nrrd", "--inputDICOMDirectory", ct,
        "--outputDICOM", tmp_path / "seg.dcm", "--inputMetadata", tmp_path / "meta.json",
    )  # fmt: skip

    assert (tmp_path / "seg.dcm").exists(), said
    marks = marks_in([tmp_path / "seg.dcm"], source).marks
    assert len(marks) == len(BALLS_MM)
    for mark, number in zip(marks, BALLS_MM, strict=True):
        np.testing.assert_array_equal(mark.region.within(source.volume.shape), ball(number))
