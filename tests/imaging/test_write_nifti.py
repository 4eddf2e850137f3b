import nibabel
import numpy as np
import pytest
import SimpleITK

from imaging.outcome import OutputError
from imaging.write_nifti import write_nifti
from tests.series_samples import PLANES, affine_of, assert_same_at_the_same_mm, asymmetric_mask, source_of, write_series

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def mask_of(folder, plane, spacing_mm=(4.0, 0.7, 1.5)):
    """The mask on the grid that the applications make of a series."""
    source = source_of(write_series(folder / "series", plane=plane, spacing_mm=spacing_mm, backwards=True))
    return source.volume.with_array(asymmetric_mask())


@pytest.mark.parametrize("plane", PLANES)
def test_nibabel_finds_the_mask_at_the_mm_of_the_dicom_series(tmp_path, plane):
    write_nifti(mask_of(tmp_path, plane), tmp_path / "mask.nii.gz")

    image = nibabel.load(tmp_path / "mask.nii.gz")
    found = np.asarray(image.dataobj).astype(bool)
    assert_same_at_the_same_mm(asymmetric_mask(), affine_of(plane), found, RAS_TO_LPS @ image.affine)


@pytest.mark.parametrize("plane", PLANES)
def test_simpleitk_finds_the_mask_at_the_mm_of_the_dicom_series(tmp_path, plane):
    write_nifti(mask_of(tmp_path, plane), tmp_path / "mask.nii.gz")

    image = SimpleITK.ReadImage(str(tmp_path / "mask.nii.gz"))
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing())[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    found = SimpleITK.GetArrayFromImage(image).astype(bool)
    assert_same_at_the_same_mm(asymmetric_mask(), affine_of(plane), found, affine)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (6.0, 0.4, 0.9), (0.5, 2.5, 1.25)])
def test_voxels_of_any_shape_keep_their_mm(tmp_path, spacing_mm):
    write_nifti(mask_of(tmp_path, "oblique", spacing_mm), tmp_path / "mask.nii.gz")

    image = nibabel.load(tmp_path / "mask.nii.gz")
    found = np.asarray(image.dataobj).astype(bool)
    assert_same_at_the_same_mm(asymmetric_mask(), affine_of("oblique", spacing_mm), found, RAS_TO_LPS @ image.affine)


def test_a_mask_is_written_as_zeros_and_ones_of_a_byte(tmp_path):
    write_nifti(mask_of(tmp_path, "axial"), tmp_path / "mask.nii.gz")

    array = np.asarray(nibabel.load(tmp_path / "mask.nii.gz").dataobj)
    assert (array.dtype, sorted(np.unique(array))) == (np.uint8, [0, 1])


def test_an_image_keeps_its_values(tmp_path):
    volume = source_of(write_series(tmp_path / "series")).volume

    write_nifti(volume, tmp_path / "image.nii.gz")

    array = np.asarray(nibabel.load(tmp_path / "image.nii.gz").dataobj)
    np.testing.assert_array_equal(np.sort(array, axis=None), np.sort(volume.array, axis=None))


def test_a_file_that_cannot_be_written_is_an_error_of_the_output(tmp_path):
    mask = mask_of(tmp_path, "axial")

    with pytest.raises(OutputError):
        write_nifti(mask, tmp_path / "no such folder" / "mask.nii.gz")
