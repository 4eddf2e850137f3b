"""The real pelvic study, where the folder of development data is there: it is no part of the repository."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from highdicom import Volume
from scipy.spatial.transform import Rotation

from imaging.align_sequences import align_sequences
from imaging.geometry import STRICT
from imaging.load_study import load_study
from imaging.outcome import NothingEligibleError, Reason, RefusedError
from imaging.pelvic_sequences import resolve_pelvis
from imaging.register_rigid import register_rigid
from imaging.study import Study
from imaging.to_volume import to_volume
from tests.system.command import ROOT

pytestmark = pytest.mark.system
DATA = Path(os.environ.get("MAP_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return load_study(unpacked("cervical_tumor", "ProstateX-0000", tmp_path_factory))


def unpacked(app, name, tmp_path_factory):
    archive = DATA / app / "dicom" / f"{name}.tar.xz"
    if not archive.exists():
        pytest.skip(f"needs {archive.name} of the development data (MAP_SHARED_DATA)")
    folder = tmp_path_factory.mktemp(name)
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder


def image_of(volume):
    image = sitk.GetImageFromArray(volume.array)
    image.SetDirection(volume.direction[:, ::-1].flatten().tolist())
    image.SetSpacing([float(size) for size in volume.spacing[::-1]])
    image.SetOrigin([float(value) for value in volume.position])
    return image


def test_the_transverse_t2w_the_highest_measured_b_value_and_the_map_are_taken(study):
    found = resolve_pelvis(study)

    taken = [found.t2w.stack, found.dwi.selection.stack, found.adc.selection.stack]
    assert [stack.series.number for stack in taken] == [4, 6, 7]
    assert (found.b_value, found.calculated, found.flags) == (800, False, ())
    assert found.dwi.selection.verdicts[1].stack.series.number == 8  # the calculated b = 1000 comes second


def test_both_lie_on_the_t2w_grid_where_simple_itk_puts_them(study):
    sequences = resolve_pelvis(study)
    found = align_sequences(sequences, register=False, policy=STRICT)

    grid = image_of(found.source.volume)
    for companion, aligned in ((sequences.dwi, found.dwi), (sequences.adc, found.adc)):
        moving = image_of(to_volume(companion.selection.stack).volume)
        theirs = sitk.GetArrayFromImage(sitk.Resample(moving, grid, sitk.Transform(), sitk.sitkLinear, 0.0))
        np.testing.assert_allclose(aligned.array, theirs, atol=1e-3)


def test_without_its_map_the_adc_is_fitted_and_agrees_with_that_of_the_scanner(study):
    with_map = align_sequences(resolve_pelvis(study), register=False, policy=STRICT)
    rest = Study(tuple(series for series in study.series if series.number != 7), 0, 0, 0)

    fitted = align_sequences(resolve_pelvis(rest), register=False, policy=STRICT)

    bright = with_map.dwi.array > np.percentile(with_map.dwi.array, 80)
    theirs, ours = (found.adc.array[bright & (with_map.adc.array > 300)] for found in (with_map, fitted))
    assert fitted.fitted
    assert np.median(ours / theirs) == pytest.approx(1, abs=0.06)  # this scanner's maps are 4 % lower throughout
    assert np.corrcoef(ours, theirs)[0, 1] > 0.98


def displaced(volume, matrix):
    return Volume(volume.array, matrix @ volume.affine, "PATIENT")


def test_a_displaced_adc_map_is_brought_back_and_diffusion_alone_is_refused(study):
    """At b = 800 little is left of this pelvis: the best fit is 15 mm off. Both share one frame."""
    sequences = resolve_pelvis(study)
    t2w, dwi, adc = (
        to_volume(one.stack).volume for one in (sequences.t2w, sequences.dwi.selection, sequences.adc.selection)
    )
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (2, -3, 4), degrees=True).as_matrix()
    matrix[:3, 3] = (6, -8, 5)

    found = register_rigid(displaced(adc, matrix), t2w)
    with pytest.raises(RefusedError, match="mutual information") as refused:
        register_rigid(displaced(dwi, matrix), t2w)

    middle = [*t2w.map_indices_to_reference((np.array([t2w.spatial_shape]) - 1) / 2)[0], 1]
    assert np.linalg.norm((found.matrix @ matrix @ middle - middle)[:3]) < 3
    assert refused.value.reason is Reason.OTHER_FRAME


def test_a_head_study_is_refused(tmp_path_factory):
    with pytest.raises(NothingEligibleError, match="needed as well"):
        resolve_pelvis(load_study(unpacked("skull_strip", "adi_brain", tmp_path_factory)))
