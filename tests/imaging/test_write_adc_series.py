import subprocess

import numpy as np
import pytest
from pydicom import dcmread

from imaging.adc_values import adc_values
from imaging.classify_image import classify_image
from imaging.fit_adc import fit_stacks
from imaging.geometry import STRICT
from imaging.image_kind import Weighting
from imaging.load_study import load_study
from imaging.outcome import OutputError
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.write_adc_series import check_adc_series, write_adc_series
from tests.pelvic_series import affine_about, loaded, write_diffusion
from tests.series_samples import PROVENANCE

SHAPE = (4, 20, 16)
AFFINE = affine_about(SHAPE, (4.0, 2.3, 2.1))
B_VALUES = (0, 400, 800)
TRUTH = np.random.default_rng(5).uniform(600, 2400, SHAPE)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    signals = [20000 * np.exp(-b * TRUTH * 1e-6) for b in B_VALUES]
    write_diffusion(folder, 4, B_VALUES, signals, AFFINE, SequenceName="*ep_b0_800", PatientBirthDate="19010203")
    (series,) = loaded(folder).series
    return fit_stacks(sorted(split_series(series), key=lambda stack: stack.header.DiffusionBValue), STRICT)


@pytest.fixture(scope="module")
def paths(fitted, tmp_path_factory):
    return write_adc_series(tmp_path_factory.mktemp("adc"), fitted, PROVENANCE)


def test_it_is_read_again_as_an_adc_map_of_the_same_values_at_the_same_place(fitted, paths):
    (series,) = load_study(paths[0].parent).series
    (stack,) = split_series(series)

    source = to_volume(stack)
    found = adc_values(source)

    assert classify_image(stack.header).weighting is Weighting.ADC
    np.testing.assert_allclose(found.volume.array, TRUTH, rtol=0.005, atol=1)
    np.testing.assert_allclose(found.volume.affine, AFFINE, atol=1e-5)
    assert found.facts["stated"]
    assert not found.flags


def test_each_image_names_one_source_of_each_b_value_at_its_place(fitted, paths):
    headers = {frame.instance.uid: frame.header for source in fitted.sources for frame in source.frames}
    for path in paths:
        image = dcmread(path)
        sources = [headers[one.ReferencedSOPInstanceUID] for one in image.SourceImageSequence]
        assert [source.DiffusionBValue for source in sources] == list(B_VALUES)
        for source in sources:
            np.testing.assert_allclose(source.ImagePositionPatient, image.ImagePositionPatient, atol=1e-6)


def test_patient_study_and_frame_of_reference_are_those_of_the_source_and_the_series_is_its_own(fitted, paths):
    source, images = fitted.sources[0].stack.header, [dcmread(path) for path in paths]
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert {image[keyword].value for image in images} == {source[keyword].value}
    assert {image.SeriesInstanceUID for image in images} != {source.SeriesInstanceUID}
    assert len({image.SOPInstanceUID for image in images}) == len(images)
    assert "SequenceName" not in images[0]
    assert "research use only" in images[0].SeriesDescription


def test_dciodvfy_finds_no_error(paths):
    found = subprocess.run(["dciodvfy", paths[1]], capture_output=True, text=True, check=False).stderr

    assert "Error" not in found, found


def test_what_was_written_is_compared_with_what_was_computed(fitted, paths, tmp_path):
    check_adc_series(paths, fitted)
    with pytest.raises(OutputError, match="were to be written"):
        check_adc_series(paths[1:], fitted)
    with pytest.raises(OutputError, match="other values"):
        check_adc_series([paths[1], paths[0], *paths[2:]], fitted)
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(paths[0].read_bytes()[:-100])
    with pytest.raises(OutputError, match="cannot be read again"):
        check_adc_series([broken, *paths[1:]], fitted)
