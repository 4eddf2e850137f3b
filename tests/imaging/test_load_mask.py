import highdicom
import nibabel
import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, FileMetaDataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.spatial.transform import Rotation

from imaging.load_mask import covering, load_mask, on_grid_of

SHAPE = (6, 9, 13)
SPACING_MM = (4.0, 0.7, 1.5)  # slice, row, column
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def oblique_affine(degrees=(20, -15, 10), spacing_mm=SPACING_MM, origin_mm=(-30.0, 12.0, 55.0)):
    """Affine of (slice, row, column) to LPS: slices rise to the head, rows back, columns left."""
    affine = np.eye(4)
    axes = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()[:, ::-1]
    affine[:3, :3] = axes * spacing_mm
    affine[:3, 3] = origin_mm
    return affine


def asymmetric_mask(shape=SHAPE):
    mask = np.zeros(shape, np.uint8)
    mask[1:4, 2:7, 3:11] = 1
    mask[4, 2, 3] = 1
    return mask


def as_volume(array, affine, frame=None):
    return highdicom.Volume(array, affine, coordinate_system="PATIENT", frame_of_reference_uid=frame)


def write_nifti(path, array, affine):
    """Write an array by its LPS affine; nibabel's own affine is RAS."""
    nibabel.save(nibabel.Nifti1Image(array, LPS_TO_RAS @ affine), path)
    return path


def ct_slices(shape, affine, frame):
    study, series = generate_uid(), generate_uid()
    for index in range(shape[0]):
        yield ct_slice(index, shape, affine, (frame, study, series))


def ct_slice(index, shape, affine, uids):
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, generate_uid()
    image.FrameOfReferenceUID, image.StudyInstanceUID, image.SeriesInstanceUID = uids
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber"):
        setattr(image, keyword, "")
    for keyword in ("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"):
        setattr(image, keyword, "")
    image.Modality, image.InstanceNumber = "CT", index + 1
    image.Rows, image.Columns = shape[1:]
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :3] / spacing_mm
    image.ImageOrientationPatient = [round(float(x), 9) for x in (*cosines[:, 2], *cosines[:, 1])]
    image.PixelSpacing = [float(spacing_mm[1]), float(spacing_mm[2])]
    image.SliceThickness = float(spacing_mm[0])
    image.ImagePositionPatient = [round(float(x), 6) for x in affine[:3, 3] + index * affine[:3, 0]]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
    image.SamplesPerPixel, image.PixelRepresentation = 1, 0
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = bytes(2 * shape[1] * shape[2])
    return image


def segment(number):
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"segment {number}",
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Brain,
        algorithm_type="MANUAL",
    )


def write_seg(path, array, affine, *, frame="1.2.3", kind="BINARY", segments=(1,)):
    """Write a DICOM Segmentation of a synthetic CT series; empty slices are left out, as highdicom does."""
    highdicom.seg.Segmentation(
        source_images=list(ct_slices(array.shape[:3], affine, frame)),
        pixel_array=array,
        segmentation_type=kind,
        segment_descriptions=[segment(number) for number in segments],
        series_instance_uid=generate_uid(),
        series_number=2,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="none",
        manufacturer_model_name="none",
        software_versions="0",
        device_serial_number="0",
    ).save_as(path)
    return path


def positions_mm(volume):
    """Patient positions of the mask voxels, as a set of points rounded to 0.01 mm."""
    positions = volume.map_indices_to_reference(np.argwhere(volume.array))
    return {tuple(point) for point in np.round(positions, 2).tolist()}


def expected_positions_mm(array, affine):
    indices = np.argwhere(array)
    points = np.round(indices @ affine[:3, :3].T + affine[:3, 3], 2)
    return {tuple(point) for point in points.tolist()}


def near(one, other, tolerance_mm=0.02):
    """Whether two sets of points are the same up to rounding."""
    first, second = np.array(sorted(one)), np.array(sorted(other))
    apart = np.linalg.norm(first[:, None] - second[None], axis=2)
    return len(first) == len(second) and max(apart.min(0).max(), apart.min(1).max()) < tolerance_mm


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_voxels_of_a_nifti_mask_lie_where_nibabel_wrote_them(tmp_path, ending):
    array, affine = asymmetric_mask(), oblique_affine()

    mask = load_mask(write_nifti(tmp_path / f"mask{ending}", array, affine))

    assert near(positions_mm(mask), expected_positions_mm(array, affine))
    assert mask.dtype == np.uint8


def test_voxels_of_a_nifti_mask_lie_where_simpleitk_puts_them(tmp_path):
    path = write_nifti(tmp_path / "mask.nii", asymmetric_mask(), oblique_affine())
    image = SimpleITK.ReadImage(str(path))

    mask = load_mask(path)

    slice_row_column = (2, 5, 1)
    assert mask.map_indices_to_reference(np.array([slice_row_column]))[0] == pytest.approx(
        image.TransformIndexToPhysicalPoint(slice_row_column[::-1]), abs=1e-4
    )


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_voxels_of_a_seg_lie_where_they_were_written(tmp_path, kind):
    array, affine = asymmetric_mask(), oblique_affine()

    mask = load_mask(write_seg(tmp_path / "mask.dcm", array, affine, kind=kind))

    assert near(positions_mm(mask), expected_positions_mm(array, affine))
    assert mask.dtype == np.uint8
    assert mask.spatial_shape[1:] == SHAPE[1:]


def test_a_seg_of_one_slice_keeps_its_place(tmp_path):
    affine = oblique_affine()
    array = np.zeros(SHAPE, np.uint8)
    array[3, 2:5, 4:9] = 1

    mask = load_mask(write_seg(tmp_path / "mask.dcm", array, affine))

    assert near(positions_mm(mask), expected_positions_mm(array, affine))
    assert mask.spacing == pytest.approx(SPACING_MM)


def test_a_seg_on_the_grid_of_a_nifti_mask_is_the_same_mask(tmp_path):
    array, affine = asymmetric_mask(), oblique_affine()
    reference = load_mask(write_nifti(tmp_path / "mask.nii.gz", array, affine))
    mask = load_mask(write_seg(tmp_path / "mask.dcm", array, affine))

    placed = on_grid_of(mask, reference)

    assert np.array_equal(placed.array, reference.array)
    assert placed.array.sum() == array.sum()


def test_segment_one_is_read_unless_another_is_asked_for(tmp_path):
    affine = oblique_affine()
    first, second = asymmetric_mask(), np.zeros(SHAPE, np.uint8)
    second[0:2, 1:3, 1:4] = 1
    path = write_seg(tmp_path / "two.dcm", np.stack([first, second], -1), affine, segments=(1, 2))

    assert near(positions_mm(load_mask(path)), expected_positions_mm(first, affine))
    assert near(positions_mm(load_mask(path, segment_number=2)), expected_positions_mm(second, affine))


def test_the_value_of_the_only_label_of_a_nifti_mask_does_not_matter(tmp_path):
    array = asymmetric_mask() * np.uint8(255)

    mask = load_mask(write_nifti(tmp_path / "mask.nii", array, oblique_affine()))

    assert np.unique(mask.array).tolist() == [0, 1]


@pytest.mark.parametrize(("label", "voxels"), [(1, 6), (2, 4), (3, 0)])
def test_a_label_of_several_is_chosen_by_its_number(tmp_path, label, voxels):
    array = np.zeros(SHAPE, np.int16)
    array[1, 2, :6], array[3, 4, :4] = 1, 2
    path = write_nifti(tmp_path / "labels.nii", array, oblique_affine())

    assert load_mask(path, segment_number=label).array.sum() == voxels


def test_several_labels_without_a_number_are_refused(tmp_path):
    array = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5) % 3
    path = write_nifti(tmp_path / "labels.nii", array, oblique_affine())

    with pytest.raises(ValueError, match=r"labels\.nii has \[1, 2\]: give the number"):
        load_mask(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_without_a_value_are_background(tmp_path, value):
    array = asymmetric_mask().astype(np.float32)
    array[0, 0, 0] = value

    mask = load_mask(write_nifti(tmp_path / "gaps.nii", array, oblique_affine()))

    assert mask.array.sum() == asymmetric_mask().sum()


@pytest.mark.parametrize("value", [0.4, -1.0])
def test_probabilities_and_other_values_are_refused(tmp_path, value):
    array = asymmetric_mask().astype(np.float32)
    array[0, 0, 0] = value
    path = write_nifti(tmp_path / "soft.nii", array, oblique_affine())

    with pytest.raises(ValueError, match="A mask holds whole numbers from 0"):
        load_mask(path)


def test_a_series_of_masks_is_refused(tmp_path):
    path = write_nifti(tmp_path / "series.nii", np.ones((3, 4, 5, 2), np.uint8), oblique_affine())

    with pytest.raises(ValueError, match=r"has size \(3, 4, 5, 2\)"):
        load_mask(path)


def test_a_damaged_nifti_file_is_refused(tmp_path, capfd):
    path = tmp_path / "damaged.nii"
    path.write_bytes(b"no header")

    with pytest.raises(ValueError, match=r"readable NIfTI file, .*damaged\.nii is not"):
        load_mask(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"found no file .*absent\.nii"):
        load_mask(tmp_path / "absent.nii")


def test_a_text_file_is_refused(tmp_path):
    path = tmp_path / "mask.txt"
    path.write_text("mask")

    with pytest.raises(ValueError, match=r"mask\.txt is neither"):
        load_mask(path)


def test_a_dicom_image_is_refused(tmp_path):
    path = tmp_path / "image.dcm"
    next(ct_slices(SHAPE, oblique_affine(), "1.2.3")).save_as(path, enforce_file_format=True)

    with pytest.raises(ValueError, match=r"image\.dcm is neither"):
        load_mask(path)


def test_a_segment_that_is_not_described_is_refused(tmp_path):
    path = write_seg(tmp_path / "mask.dcm", asymmetric_mask(), oblique_affine())

    with pytest.raises(ValueError, match=r"Segment 4 is needed, .* has \[1\]"):
        load_mask(path, segment_number=4)


def test_a_fractional_segmentation_is_refused(tmp_path):
    path = write_seg(tmp_path / "soft.dcm", asymmetric_mask() * 0.6, oblique_affine(), kind="FRACTIONAL")

    with pytest.raises(ValueError, match=r"soft\.dcm is FRACTIONAL"):
        load_mask(path)


def test_a_segmentation_with_uneven_slices_is_refused(tmp_path):
    path = write_seg(tmp_path / "mask.dcm", asymmetric_mask(), oblique_affine())
    seg = dcmread(path)
    position = seg.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0]
    position.ImagePositionPatient = [x + 1.3 for x in position.ImagePositionPatient]
    seg.save_as(path)

    with pytest.raises(ValueError, match="parallel, evenly spaced slices"):
        load_mask(path)


def test_a_segmentation_of_a_slide_is_refused(tmp_path):
    path = write_seg(tmp_path / "slide.dcm", asymmetric_mask(), oblique_affine())
    seg = dcmread(path)
    seg.TotalPixelMatrixRows, seg.TotalPixelMatrixColumns = seg.Rows, seg.Columns
    seg.save_as(path)

    with pytest.raises(ValueError, match=r"slide\.dcm is of a slide"):
        load_mask(path)


def test_a_mask_on_the_same_grid_is_returned_as_it_is():
    reference = as_volume(asymmetric_mask(), oblique_affine())
    mask = as_volume(asymmetric_mask(), oblique_affine(origin_mm=(-30.0005, 12.0, 55.0)))

    assert on_grid_of(mask, reference) is mask


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2)])
def test_turned_and_mirrored_storage_of_one_mask_is_undone(axes, flips):
    reference = as_volume(asymmetric_mask(), oblique_affine())
    stored = reference.permute_spatial_axes(axes)
    stored = stored.flip_spatial(list(flips)) if flips else stored

    placed = on_grid_of(stored, reference)

    assert np.array_equal(placed.array, reference.array)
    assert placed.affine == pytest.approx(reference.affine)


def test_resampling_is_that_of_simpleitk():
    mask = as_volume(asymmetric_mask(), oblique_affine())
    reference = as_volume(
        np.zeros((21, 14, 27), np.uint8),
        oblique_affine((-8, 5, 31), (1.3, 0.9, 1.1), (-33.0, 3.0, 48.0)),
    )
    oracle = SimpleITK.Resample(
        mask.to_simpleitk(), reference.to_simpleitk(), SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor
    )

    placed = on_grid_of(mask, reference)

    assert placed.array.sum() > 100
    assert np.array_equal(placed.array, SimpleITK.GetArrayFromImage(oracle).transpose(2, 1, 0))


def test_border_voxels_keep_their_outer_half():
    mask = as_volume(np.ones((2, 3, 4), np.uint8), np.diag([6.0, 3.0, 3.0, 1.0]))
    fine = np.diag([2.0, 1.0, 1.0, 1.0])
    fine[:3, 3] = (-4.0, -2.0, -2.0)  # one fine voxel of margin around the edges of the mask
    reference = as_volume(np.zeros((8, 11, 14), np.uint8), fine)

    placed = on_grid_of(mask, reference)

    assert np.array_equal(placed.array, np.pad(np.ones((6, 9, 12), np.uint8), 1))


def test_a_reference_is_widened_until_it_holds_the_mask():
    whole = as_volume(asymmetric_mask(), oblique_affine())
    cropped = whole[2:3, 3:6, 4:8]

    widened = covering(cropped, whole)
    placed = on_grid_of(whole, widened)

    assert placed.array.sum() == whole.array.sum()
    assert widened.array.sum() == cropped.array.sum()
    assert near(positions_mm(widened), positions_mm(cropped))


def test_a_reference_that_holds_the_mask_is_returned_as_it_is():
    whole = as_volume(asymmetric_mask(), oblique_affine())

    assert covering(whole, whole[1:5]) is whole


def test_an_empty_mask_widens_nothing():
    reference = as_volume(asymmetric_mask(), oblique_affine())
    empty = as_volume(np.zeros((40, 40, 40), np.uint8), oblique_affine())

    assert covering(reference, empty) is reference


def test_masks_in_different_rooms_are_refused():
    reference = as_volume(asymmetric_mask(), oblique_affine())
    far = as_volume(asymmetric_mask(), oblique_affine(origin_mm=(9000.0, 9000.0, 9000.0)))

    with pytest.raises(ValueError, match="Both masks must lie in one place"):
        covering(reference, far)


@pytest.mark.parametrize("placement", [on_grid_of, covering])
def test_two_frames_of_reference_are_refused(placement):
    mask = as_volume(asymmetric_mask(), oblique_affine(), frame="1.2.3")
    reference = as_volume(asymmetric_mask(), oblique_affine(), frame="1.2.4")

    with pytest.raises(ValueError, match="one FrameOfReferenceUID, found two"):
        placement(mask, reference)
