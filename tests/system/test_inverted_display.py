"""A head stored for inverted display (MONOCHROME1) through the whole application, judged by another viewer."""

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.series_samples import edit_study
from tests.system.command import copy_of, execute
from tests.system.test_readers import output_of, tool

pytestmark = pytest.mark.system


def invert(header, _number):
    header.PhotometricInterpretation = "MONOCHROME1"


@pytest.fixture(scope="module")
def study(small, tmp_path_factory):
    return edit_study(copy_of(small, tmp_path_factory.mktemp("inverted") / "study"), invert)


@pytest.fixture(scope="module")
def ended(study, models, tmp_path_factory):
    found = execute(study, tmp_path_factory.mktemp("run") / "out", models, "--nifti")
    assert found.code == 0, found.stderr
    return found


def seen(path, folder):
    """An image as DCMTK shows it, in its first window; (row, column) from 0, black, to 255."""
    output_of(tool("dcm2pnm"), "--write-raw-pnm", "--use-window", "1", path, folder / "seen.pgm")
    return np.asarray(Image.open(folder / "seen.pgm").convert("L"), int)


def slices_of(folder):
    """Files of a series by the place of their slices."""
    headers = {path: dcmread(path, stop_before_pixels=True) for path in folder.rglob("*.dcm")}
    return {tuple(np.round(header.ImagePositionPatient, 2)): path for path, header in headers.items()}


def test_values_and_results_are_those_of_the_head_as_it_is(ended, small_run):
    assert ended.record["measurements"] == small_run.record["measurements"]
    assert any("MONOCHROME1" in flag for flag in ended.record["flags"])
    assert dcmread(ended.output / "seg.dcm").PixelData == dcmread(small_run.output / "seg.dcm").PixelData


def test_the_stripped_series_is_shown_as_its_source(study, ended, tmp_path):
    sources, compared = slices_of(study), 0

    for place, path in slices_of(ended.output / "stripped").items():
        inside = dcmread(path).pixel_array > 0
        own, source = seen(path, tmp_path), seen(sources[place], tmp_path)
        np.testing.assert_array_equal(own[inside], source[inside])
        compared += np.count_nonzero(inside)
        if (~inside).any():
            assert (own[~inside] == 255).all()  # 0, the lowest value
    assert compared > 1000


def test_the_pictures_are_as_another_viewer_shows_the_source(study, ended, tmp_path):
    sources, looked = [dcmread(path, stop_before_pixels=True) for path in slices_of(study).values()], 0
    files = {header.SOPInstanceUID: path for header, path in zip(sources, slices_of(study).values(), strict=True)}

    for path in sorted((ended.output / "overlays").iterdir()):
        picture = dcmread(path)
        source = seen(files[picture.SourceImageSequence[0].ReferencedSOPInstanceUID], tmp_path)
        times = picture.Columns // source.shape[1]
        part = picture.pixel_array[: source.shape[0] * times].reshape(*(source.shape[0], times), -1, times, 3)
        grey = np.ptp(part, axis=-1).max(axis=(1, 3)) == 0  # neither outline nor words in colour
        middle = (slice(8, -8), slice(8, -8))
        found, expected = part.mean(axis=(1, 3, 4))[middle], source[middle]
        if np.ptp(expected[grey[middle]]) > 100:
            assert np.corrcoef(found[grey[middle]], expected[grey[middle]])[0, 1] > 0.9
            looked += 1
    assert looked > 5


@pytest.mark.parametrize("name", ["stripped/brain_0020.dcm", "overlays/overlay_0010.dcm"])
def test_dciodvfy_finds_no_error(ended, name):
    said = output_of(tool("dciodvfy"), ended.output / name)

    assert [line for line in said.splitlines() if "Error" in line] == []
