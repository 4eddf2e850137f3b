"""What programs of other makers read in the results on the sample."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image
from pydicom import dcmread
from scipy import ndimage

from imaging.encode_seg import BRAIN_LABEL
from imaging.load_study import load_study
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from tests.series_samples import assert_same_at_the_same_mm

pytestmark = pytest.mark.system

OBJECTS = [
    "seg.dcm", "sr.dcm", "stripped/brain_0001.dcm", "stripped/brain_0046.dcm", "stripped/brain_0092.dcm",
    "overlays/overlay_0001.dcm", "overlays/overlay_0040.dcm",
]  # fmt: skip


def tool(name):
    """Path of an external program, from this Python's folder or the PATH."""
    beside = Path(sys.executable).parent / name
    path = str(beside) if beside.exists() else shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def output_of(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def image_affine(image):
    """Affine of (slice, row, column) to LPS mm of an ITK image."""
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def read_image(path):
    image = SimpleITK.ReadImage(str(path))
    return SimpleITK.GetArrayFromImage(image), image_affine(image)


@pytest.fixture(scope="module")
def source(sample):
    return to_volume(split_series(load_study(sample).series[0])[0]).volume


@pytest.fixture(scope="module")
def derived(sample_run):
    """The stripped series as SimpleITK reads it."""
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(sample_run.output / "stripped")))
    image = reader.Execute()
    return SimpleITK.GetArrayFromImage(image), image_affine(image)


@pytest.mark.parametrize("name", OBJECTS)
def test_dciodvfy_finds_no_error(sample_run, name):
    said = output_of(tool("dciodvfy"), sample_run.output / name)

    assert [line for line in said.splitlines() if "Error" in line] == []


@pytest.mark.parametrize("name", OBJECTS)
def test_dciodvfy_has_nothing_to_warn_of(sample_run, name):
    said = output_of(tool("dciodvfy"), sample_run.output / name)

    for line in said.splitlines():
        if "Warning" in line:
            sys.stdout.write(f"{name}: {line}\n")  # shown by pytest -rP: a warning is no failure


def test_dciodvfy_finds_no_error_in_the_sample_itself(sample):
    said = output_of(tool("dciodvfy"), sample / "0046.dcm")

    assert [line for line in said.splitlines() if "Error" in line] == []


@pytest.mark.parametrize("name", OBJECTS)
def test_dcmftest_takes_it_for_dicom(sample_run, name):
    said = output_of(tool("dcmftest"), sample_run.output / name)

    assert said.startswith("yes:")


def test_dsrdump_reads_the_measurement(sample_run):
    volume_ml = sample_run.record["measurements"]["brain_volume_ml"]

    said = output_of(tool("dsrdump"), "+Pl", sample_run.output / "sr.dcm")

    assert f'"{volume_ml:g}" (mL,UCUM,"mL")' in said


def test_dsrdump_reads_that_it_is_for_research(sample_run):
    said = output_of(tool("dsrdump"), "+Pl", sample_run.output / "sr.dcm")

    assert "Research use only" in said


def test_dcmqi_finds_the_mask_of_the_nifti_file_at_the_same_mm(sample_run, tmp_path):
    mask, affine = read_image(sample_run.output / "mask.nii.gz")

    output_of(
        tool("segimage2itkimage"), "--inputDICOM", sample_run.output / "seg.dcm", "--outputDirectory", tmp_path,
        "-t", "nii",
    )  # fmt: skip

    found, found_affine = read_image(tmp_path / "1.nii.gz")
    assert_same_at_the_same_mm(mask > 0, affine, found > 0, found_affine)


def test_the_nifti_mask_has_the_volume_that_is_reported(sample_run):
    mask, affine = read_image(sample_run.output / "mask.nii.gz")

    volume_ml = np.count_nonzero(mask) * abs(np.linalg.det(affine[:3, :3])) / 1000
    assert volume_ml == pytest.approx(sample_run.record["measurements"]["brain_volume_ml"], rel=1e-4)


def test_simpleitk_reads_the_derived_series_on_the_grid_of_the_source(source, derived):
    array, affine = derived

    np.testing.assert_allclose(affine, source.affine, atol=2e-3)
    assert array.shape == source.shape


def test_the_derived_series_is_the_source_inside_the_mask(sample_run, source, derived):
    mask, _ = read_image(sample_run.output / "mask.nii.gz")

    array, _ = derived

    np.testing.assert_array_equal(array, np.where(mask > 0, source.array, 0))


def test_the_nifti_image_is_the_derived_series(sample_run, derived):
    image, affine = read_image(sample_run.output / "brain.nii.gz")

    array, derived_affine = derived

    np.testing.assert_allclose(affine, derived_affine, atol=2e-3)
    np.testing.assert_array_equal(image, array)


def test_the_brain_of_the_phantom_is_of_plausible_size(sample_run):
    assert 700 < sample_run.record["measurements"]["brain_volume_ml"] < 2200


def test_every_object_belongs_to_the_study_of_the_source(sample, sample_run):
    studies = {dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in sample_run.output.rglob("*.dcm")}

    assert studies == {dcmread(sample / "0001.dcm").StudyInstanceUID}


def test_nothing_that_was_written_warns_when_it_is_read(sample_run):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in OBJECTS:
            str(dcmread(sample_run.output / name))


def test_dcmtk_shows_a_picture_as_it_was_drawn(sample_run, tmp_path):
    path = sample_run.output / "overlays" / "overlay_0040.dcm"

    output_of(tool("dcmj2pnm"), "--write-png", path, tmp_path / "shown.png")

    shown = np.asarray(Image.open(tmp_path / "shown.png").convert("RGB"))
    np.testing.assert_array_equal(shown, dcmread(path).pixel_array)


def test_an_outline_runs_around_the_mask_that_another_reader_finds(sample_run):
    """The mask from the NIfTI file, the picture as SimpleITK reads it: each coloured pixel is next to the mask."""
    image = SimpleITK.ReadImage(str(sample_run.output / "overlays" / "overlay_0040.dcm"), imageIO="GDCMImageIO")
    mask = SimpleITK.ReadImage(str(sample_run.output / "mask.nii.gz"))
    pixels = SimpleITK.GetArrayFromImage(image)[0]
    coloured = np.argwhere((pixels == BRAIN_LABEL.display_rgb).all(axis=-1))
    to_mm, to_voxel = image.TransformIndexToPhysicalPoint, mask.TransformPhysicalPointToContinuousIndex
    places = [to_voxel(to_mm((column, row, 0))) for row, column in coloured.tolist()]
    inside = SimpleITK.GetArrayFromImage(mask).transpose() > 0
    near = ndimage.binary_dilation(inside)

    index = np.rint(
        [place for place in places if all(0 <= at < size - 1 for at, size in zip(place, near.shape, strict=True))]
    )
    index = index.astype(int)
    assert len(index) > 100
    assert near[tuple(index.T)].mean() == 1
    assert inside[tuple(index.T)].mean() < 0.01
