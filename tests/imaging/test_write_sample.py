import numpy as np
import pytest
from pydicom import dcmread

from imaging.head_phantom import Tissue
from imaging.image_kind import Weighting
from imaging.load_study import load_study
from imaging.select_series import SeriesRule, select_series
from imaging.write_sample import sample_affine, sample_labels, write_head_study
from tests.series_samples import source_of

T1W_HEAD = SeriesRule(title="T1w head MR", modality="MR", weighting=Weighting.T1W, min_slices=20, body_parts=("HEAD",))
SHAPE = (24, 30, 26)
SPACING_MM = (8.4, 7.6, 7.2)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_head_study(tmp_path_factory.mktemp("sample") / "study", shape=SHAPE, spacing_mm=SPACING_MM)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_equal_arguments_give_equal_files(study, tmp_path):
    again = write_head_study(tmp_path / "again", shape=SHAPE, spacing_mm=SPACING_MM)

    assert bytes_of(again) == bytes_of(study)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID"])
def test_another_seed_gives_other_uids(study, tmp_path, keyword):
    other = write_head_study(tmp_path / "other", shape=SHAPE, spacing_mm=SPACING_MM, seed=1)

    assert dcmread(other / "0001.dcm")[keyword].value != dcmread(study / "0001.dcm")[keyword].value


def test_another_seed_gives_other_noise(study, tmp_path):
    other = write_head_study(tmp_path / "other", shape=SHAPE, spacing_mm=SPACING_MM, seed=1)

    assert dcmread(other / "0001.dcm").PixelData != dcmread(study / "0001.dcm").PixelData


def test_the_study_is_one_volume_on_the_grid_that_was_asked_for(study):
    volume = source_of(study).volume

    assert volume.shape == SHAPE
    np.testing.assert_allclose(volume.affine, sample_affine(SHAPE, SPACING_MM), atol=1e-4)


def test_the_series_is_taken_as_a_t1w_head(study):
    selection = select_series(load_study(study), T1W_HEAD)

    assert selection.stack.series.number == 2


def test_the_whole_brain_lies_inside_the_default_image():
    labels = sample_labels(SHAPE, sample_affine(SHAPE, SPACING_MM))

    brain = np.isin(labels, [Tissue.CORTEX, Tissue.WHITE_MATTER, Tissue.DEEP_GREY])
    faces = [brain.take(index, axis) for axis in range(3) for index in (0, -1)]
    assert brain.any()
    assert not any(face.any() for face in faces)


def test_the_patient_is_said_to_be_synthetic(study):
    assert "Synthetic" in str(dcmread(study / "0001.dcm").PatientName)


def test_no_stored_value_exceeds_the_stored_bits(study):
    headers = [dcmread(path) for path in sorted(study.iterdir())]

    assert max(header.pixel_array.max() for header in headers) < 2 ** headers[0].BitsStored
