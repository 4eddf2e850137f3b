"""What is written for an image lies where the image lies: judged by highdicom and SimpleITK, for every exact case."""

import warnings

import numpy as np
import pytest
import SimpleITK
from highdicom.seg import segread
from pydicom import dcmread

from imaging.check_seg import check_seg
from imaging.encode_overlays import overlay_of, planes_shown, write_overlays, zoom_of
from imaging.encode_seg import BRAIN_LABEL, Segment, encode_seg
from imaging.encode_sr import encode_sr
from imaging.geometry import STRICT
from imaging.load_study import load_study
from imaging.measure_brain import BrainMeasurement
from imaging.outcome import RefusedError
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.write_common import save_dicom
from imaging.write_stripped_series import write_stripped_series
from tests.dicom_cases import cases
from tests.dicom_cases.case import Exact, Resampled
from tests.dicom_cases.quick import mostly_system
from tests.series_samples import PROVENANCE

WITH_IMAGES = [case for case in cases() if isinstance(case.expected, Exact | Resampled)]
EACH = mostly_system(WITH_IMAGES, 24)
GEOMETRY = ("tilt", "jitter", "tolera", "resampled", "slices", "digits", "enhanced", "turn", "missing")
SOME = [case for case in WITH_IMAGES if any(word in case.name for word in GEOMETRY)]
"""Whatever the values, pictures are drawn alike: these are the ways to say where the slices lie."""


def images_of(case, folder):
    for series in load_study(folder).series:
        try:
            stacks = split_series(series)
        except RefusedError:
            continue
        for stack in stacks:
            try:
                yield to_volume(stack, case.policy or STRICT)
            except RefusedError:
                continue


def some_mask(shape):
    mask = np.random.default_rng(5).random(shape) > 0.7
    mask[0] = False
    return mask


def places_in(affine, other, index):
    """Indices on the grid of one affine of the voxels of another grid."""
    points = index @ other[:3, :3].T + other[:3, 3]
    return (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T


def read_by_itk(paths):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    reader.SetOutputPixelType(SimpleITK.sitkFloat32)  # else the first image decides, and fractions of others are cut
    image = reader.Execute()
    affine = np.eye(4)
    axes = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    affine[:3, :3], affine[:3, 3] = axes[:, ::-1], image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), affine


def without_inversion(paths):
    """Have files read as they are stored: ITK inverts the values of MONOCHROME1, of the source as well."""
    for path in paths:
        image = dcmread(path)
        if image.PhotometricInterpretation == "MONOCHROME1":
            image.PhotometricInterpretation = "MONOCHROME2"
            image.save_as(path)
    return paths


@pytest.mark.parametrize("case", EACH)
def test_the_segmentation_lies_where_the_image_lies(case, written, tmp_path):
    for source in images_of(case, written(case)):
        mask = some_mask(source.volume.shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seg = encode_seg([Segment(BRAIN_LABEL, mask)], source, PROVENANCE, "Brain mask")
            save_dicom(seg, tmp_path / "seg.dcm")
            check_seg(tmp_path / "seg.dcm", [mask], source)
            if len(source.planes) < source.volume.shape[0]:
                continue  # a gap: no reader makes a volume of it
            volume = segread(tmp_path / "seg.dcm").get_volume(combine_segments=True, rtol=0.02)
        index = np.indices(mask.shape).reshape(3, -1).T
        found = places_in(volume.affine, source.volume.affine, index)
        place = np.rint(found).astype(int)
        held = ((place >= 0) & (place < volume.array.shape)).all(axis=1)  # an empty slice at an end may have no frame
        assert np.abs(found - place).max() < 0.3  # the case may drift by less than half a voxel
        assert (volume.array[tuple(place[held].T)] == mask.ravel()[held]).all()
        assert not mask.ravel()[~held].any()


@pytest.mark.parametrize("case", EACH)
def test_the_report_refers_to_the_images_it_was_made_from(case, written):
    for source in images_of(case, written(case)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            seg = encode_seg([Segment(BRAIN_LABEL, some_mask(source.volume.shape))], source, PROVENANCE, "Brain mask")
            report = encode_sr(BrainMeasurement(1200.0, ()).findings, seg, source, PROVENANCE, title="Brain volume")
        referred = {
            item.ReferencedSOPInstanceUID
            for series in report.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        }
        assert referred == {seg.SOPInstanceUID, *(frame.instance.uid for frame in source.frames)}


@pytest.mark.parametrize("case", EACH)
def test_the_derived_series_lies_where_the_image_lies(case, written, tmp_path):
    for number, source in enumerate(images_of(case, written(case))):
        if source.series.modality != "MR":
            continue
        mask = some_mask(source.volume.shape)
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                paths = write_stripped_series(folder, mask, source, PROVENANCE)
        except RefusedError:
            continue  # values that do not fit the 16 bits of an MR image
        if len(paths) < source.volume.shape[0]:
            continue  # a gap: no reader makes a volume of it
        shown = [dcmread(path).PhotometricInterpretation for path in paths]
        assert shown == [plane.frame.header.PhotometricInterpretation for plane in source.planes]
        array, affine = read_by_itk(without_inversion(paths))
        step = max(abs(float(dcmread(path).get("RescaleSlope", 1) or 1)) for path in paths)
        expected = np.where(mask, source.volume.array, np.nan)
        index = np.indices(mask.shape).reshape(3, -1).T
        found = np.rint(places_in(affine, source.volume.affine, index)).astype(int)
        values = array[tuple(found.T)].reshape(mask.shape)
        assert np.nanmax(np.abs(values - expected)) <= 0.51 * step


@pytest.mark.parametrize("case", mostly_system(SOME, 24))
def test_the_pictures_lie_where_the_image_lies(case, written, tmp_path):
    """They are proved as they are written; another reader finds the first pixel of the source at its place."""
    for number, source in enumerate(images_of(case, written(case))):
        mask = np.zeros(source.volume.shape, bool)
        mask[source.planes[len(source.planes) // 2].slice, 2:5, 3:9] = True
        folder = tmp_path / str(number)
        folder.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = BrainMeasurement(1200.0, (), (Segment(BRAIN_LABEL, mask),))
            paths = write_overlays(folder, overlay_of(report, source, "Brain mask", "BRAIN"), source, PROVENANCE)
        zoom = np.array(zoom_of(source))
        shown = planes_shown(report.segments, source)
        assert len(paths) == len(shown) > 1
        for path, plane in zip(paths, shown, strict=True):
            image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
            rows, columns = (zoom - 1) / 2
            first = image.TransformContinuousIndexToPhysicalPoint((float(columns), float(rows), 0.0))
            np.testing.assert_allclose(first, plane.position_mm, atol=2e-3)
