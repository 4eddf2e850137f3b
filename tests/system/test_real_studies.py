"""Real studies, where the folder of development data is there: they are not part of the repository."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from tests.system.command import ROOT, execute

pytestmark = pytest.mark.system
DATA = Path(os.environ.get("MAP_SHARED_DATA", ROOT.parent / "shared" / "data"))
ADULT_BRAIN_ML = (900, 1900)


@pytest.fixture(scope="module", params=["adi_brain", "studyforrest"])
def real_run(request, models, tmp_path_factory):
    """One run on each study, with NIfTI."""
    archive = DATA / "skull_strip" / "dicom" / f"{request.param}.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive.name} of the development data (MAP_SHARED_DATA)")
    folder = tmp_path_factory.mktemp(request.param)
    with tarfile.open(archive) as packed:
        packed.extractall(folder / "study", filter="data")
    ended = execute(folder / "study", folder / "out", models, "--nifti")
    assert ended.code == 0, ended.stderr
    return request.param, ended


def test_the_t1w_series_is_taken_whatever_its_header_says(real_run):
    study, ended = real_run

    taken = ended.record["series"][0]

    assert (taken["series_number"], taken["instances"]) == {"adi_brain": (5, 175), "studyforrest": (401, 384)}[study]


def test_the_volume_is_that_of_an_adult_brain(real_run):
    _, ended = real_run

    volume_ml = ended.record["measurements"]["brain_volume_ml"]

    assert ADULT_BRAIN_ML[0] < volume_ml < ADULT_BRAIN_ML[1]


def test_a_missing_slice_is_said(real_run):
    study, ended = real_run

    assert any("slice 115" in flag for flag in ended.record["flags"]) == (study == "adi_brain")


def test_dciodvfy_finds_no_error_in_any_kind_of_object(real_run):
    _, ended = real_run

    for name in ("seg.dcm", "sr.dcm", "stripped/brain_0100.dcm", "overlays/overlay_0050.dcm"):
        found = subprocess.run(["dciodvfy", ended.output / name], capture_output=True, text=True, check=False).stderr
        assert "Error" not in found, f"{name}: {found}"


def test_dcmqi_puts_the_mask_where_the_nifti_has_it(real_run, tmp_path):
    """Where a slice is missing dcmqi has an empty one; the NIfTI mask has it interpolated."""
    _, ended = real_run
    arguments = ["--inputDICOM", ended.output / "seg.dcm", "--outputDirectory", tmp_path, "-t", "nii"]
    subprocess.run([Path(sys.executable).with_name("segimage2itkimage"), *arguments], capture_output=True, check=True)

    theirs = sitk.ReadImage(str(tmp_path / "1.nii.gz"))
    ours = sitk.ReadImage(str(ended.output / "mask.nii.gz"))
    ours = sitk.Resample(ours, theirs, sitk.Transform(), sitk.sitkNearestNeighbor)
    difference = (sitk.GetArrayFromImage(theirs) > 0) != (sitk.GetArrayFromImage(ours) > 0)

    missing = sum("slices missing" in flag for flag in ended.record["flags"])
    assert np.count_nonzero(difference.any(axis=(1, 2))) <= missing


@pytest.mark.parametrize("folder", ["philips_enhanced_mr", "jpeg2000_ct", "transfer_syntaxes"])
def test_what_is_no_t1w_head_is_refused(folder, models, tmp_path):
    study = DATA / "dicom_edge_cases" / folder
    if not study.exists():
        pytest.skip(f"needs {folder} of the development data (MAP_SHARED_DATA)")

    ended = execute(study, tmp_path / "out", models)

    assert ended.code == 3
    assert ended.files == {"metadata.json", "result.json"}
    assert (ended.record["outcome"], ended.record["reason"]) == ("nothing_eligible", "no_match")
