import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid

from imaging.outcome import SuiteError
from imaging.publish import PART
from imaging.write_stripped_series import write_stripped_series
from tests.series_samples import (
    NAMES,
    OTHER_WEIGHTS,
    PLANES,
    PROVENANCE,
    SHAPE,
    affine_of,
    asymmetric_mask,
    ramp,
    raw_bytes,
    source_of,
    write_series,
)

GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "FrameOfReferenceUID")


def strip(source, folder, mask=None, provenance=PROVENANCE):
    """Write the stripped series of a source and read it again, in slice order."""
    folder.mkdir(exist_ok=True)
    mask = asymmetric_mask(source.volume.shape) if mask is None else mask
    return [dcmread(path) for path in write_stripped_series(folder, mask, source, provenance)]


def stored(images):
    return np.stack([image.pixel_array for image in images])


def real(image, pixels):
    return pixels * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))


@pytest.fixture
def source(tmp_path):
    return source_of(write_series(tmp_path / "series"))


@pytest.fixture
def images(source, tmp_path):
    return strip(source, tmp_path / "stripped")


def test_inside_the_mask_the_stored_values_are_those_of_the_source(images):
    inside = asymmetric_mask()

    np.testing.assert_array_equal(stored(images)[inside], ramp()[inside])


def test_outside_the_mask_the_stored_values_are_0(images):
    assert not stored(images)[~asymmetric_mask()].any()


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_each_slice_holds_its_own_part_of_the_mask(tmp_path, plane, backwards):
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=backwards))

    images = strip(source, tmp_path / "stripped")

    affine = affine_of(plane)
    for image in images:
        index = np.linalg.inv(affine) @ [*image.ImagePositionPatient, 1]
        number = round(index[0])
        np.testing.assert_array_equal(image.pixel_array, np.where(asymmetric_mask(), ramp(), 0)[number])


@pytest.mark.parametrize("keyword", GEOMETRY)
def test_geometry_is_that_of_the_source(source, images, keyword):
    assert [image[keyword].value for image in images] == [header[keyword].value for header in source.series.headers]


def test_each_image_references_its_source(source, images):
    references = [image.SourceImageSequence[0].ReferencedSOPInstanceUID for image in images]

    assert references == [header.SOPInstanceUID for header in source.series.headers]


def test_a_reference_names_the_class_of_the_source(source, images):
    classes = {image.SourceImageSequence[0].ReferencedSOPClassUID for image in images}

    assert classes == {source.series.header.SOPClassUID}


def test_images_are_derived(images):
    assert {image.ImageType[0] for image in images} == {"DERIVED"}


def test_images_are_one_series_of_their_own(source, images):
    (series,) = {image.SeriesInstanceUID for image in images}

    assert series != source.series.uid


def test_each_image_has_an_instance_uid_of_its_own(source, images):
    found = {image.SOPInstanceUID for image in images} | {header.SOPInstanceUID for header in source.series.headers}

    assert len(found) == 2 * SHAPE[0]


def test_a_second_run_has_the_same_uids(source, images, tmp_path):
    again = strip(source, tmp_path / "again")

    assert [(i.SeriesInstanceUID, i.SOPInstanceUID) for i in again] == [
        (i.SeriesInstanceUID, i.SOPInstanceUID) for i in images
    ]


def test_other_weights_make_other_uids(source, images, tmp_path):
    other = strip(source, tmp_path / "other", provenance=OTHER_WEIGHTS)

    ours = {uid for image in images for uid in (image.SeriesInstanceUID, image.SOPInstanceUID)}
    assert not ours & {uid for image in other for uid in (image.SeriesInstanceUID, image.SOPInstanceUID)}


def test_written_names_do_not_end_as_names_that_hosts_export(source, tmp_path):
    paths = write_stripped_series(tmp_path, asymmetric_mask(), source, PROVENANCE)

    assert {path.suffix for path in paths} == {PART}


@pytest.mark.parametrize(
    ("slope", "intercept"), [("1", "0"), ("2.5", "-100"), ("0.00390625", "0"), ("0.0107", "-7.5"), ("-2", "1000")]
)
def test_rescaled_sources_keep_their_stored_values(tmp_path, slope, intercept):
    def rescale(header, _number):
        header.RescaleSlope, header.RescaleIntercept = slope, intercept

    source = source_of(write_series(tmp_path / "series", edit=rescale))

    images = strip(source, tmp_path / "stripped")

    np.testing.assert_array_equal(stored(images), np.where(asymmetric_mask(), ramp(), 0))


@pytest.mark.parametrize(("slope", "intercept"), [("2.5", "-100"), ("0.0107", "-7.5")])
def test_rescaled_sources_keep_their_real_values_inside(tmp_path, slope, intercept):
    def rescale(header, _number):
        header.RescaleSlope, header.RescaleIntercept = slope, intercept

    inside = asymmetric_mask()
    source = source_of(write_series(tmp_path / "series", edit=rescale))

    images = strip(source, tmp_path / "stripped")

    found = np.stack([real(image, image.pixel_array) for image in images])
    np.testing.assert_allclose(found[inside], source.volume.array[inside], rtol=1e-6, atol=1e-5)


def test_slices_with_different_slopes_keep_their_own(tmp_path):
    def rescale(header, number):
        header.RescaleSlope, header.RescaleIntercept = f"{1 + number / 8}", "0"

    source = source_of(write_series(tmp_path / "series", edit=rescale))

    images = strip(source, tmp_path / "stripped")

    np.testing.assert_array_equal(stored(images), np.where(asymmetric_mask(), ramp(), 0))


def test_negative_stored_values_survive(tmp_path):
    pixels = (ramp().astype(np.int32) - 2000).astype(np.int16)
    source = source_of(write_series(tmp_path / "series", pixels=pixels))

    images = strip(source, tmp_path / "stripped")

    np.testing.assert_array_equal(stored(images), np.where(asymmetric_mask(), pixels, 0))


def test_the_largest_stored_values_survive(tmp_path):
    pixels = np.full(SHAPE, 65535, np.uint16)
    source = source_of(write_series(tmp_path / "series", pixels=pixels))

    images = strip(source, tmp_path / "stripped")

    np.testing.assert_array_equal(stored(images), np.where(asymmetric_mask(), pixels, 0))


def of_depth(header, pixels):
    header.BitsAllocated = header.BitsStored = 8 * pixels.itemsize
    header.HighBit = header.BitsStored - 1


def test_sources_of_eight_bits_keep_their_values(tmp_path):
    pixels = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.uint8)
    folder = write_series(tmp_path / "series", pixels=pixels, edit=lambda header, _number: of_depth(header, pixels))

    images = strip(source_of(folder), tmp_path / "stripped")

    np.testing.assert_array_equal(stored(images), np.where(asymmetric_mask(), pixels, 0))


def test_values_that_do_not_fit_into_an_mr_image_are_refused_and_not_clipped(tmp_path):
    pixels = ramp().astype(np.uint32) * 100
    folder = write_series(tmp_path / "series", pixels=pixels, edit=lambda header, _number: of_depth(header, pixels))

    with pytest.raises(SuiteError, match="16 bits"):
        strip(source_of(folder), tmp_path / "stripped")


def test_a_missing_slice_gets_no_image(tmp_path):
    folder = write_series(tmp_path / "series")
    (folder / "0004.dcm").unlink()
    source = source_of(folder, max_gap_mm=100)

    images = strip(source, tmp_path / "stripped")

    np.testing.assert_array_equal(stored(images), np.delete(np.where(asymmetric_mask(), ramp(), 0), 3, axis=0))


def test_private_and_identifying_attributes_of_the_device_are_left_behind(tmp_path):
    def add(header, _number):
        header.private_block(0x0011, "VENDOR", create=True).add_new(0x01, "LO", "secret")
        header.OperatorsName, header.StationName = "Operator^Secret", "SECRET"
        header.RequestAttributesSequence = []

    images = strip(source_of(write_series(tmp_path / "series", edit=add)), tmp_path / "stripped")

    assert not any("secret" in str(image).lower() for image in images)


@pytest.mark.parametrize("script", NAMES)
def test_a_patient_name_keeps_its_bytes(tmp_path, script):
    def rename(header, _number):
        header.SpecificCharacterSet, header.PatientName = NAMES[script]

    folder = write_series(tmp_path / "series", edit=rename)

    images = strip(source_of(folder), tmp_path / "stripped")

    expected = raw_bytes(dcmread(folder / "0001.dcm"), "PatientName")
    assert {raw_bytes(image, "PatientName") for image in images} == {expected}


@pytest.mark.parametrize("script", NAMES)
def test_a_study_description_reads_as_in_the_source(tmp_path, script):
    text = NAMES[script][1].replace("=", " ").replace("^", " ")

    def describe(header, _number):
        header.SpecificCharacterSet, header.StudyDescription = NAMES[script][0], text

    images = strip(source_of(write_series(tmp_path / "series", edit=describe)), tmp_path / "stripped")

    assert {image.StudyDescription for image in images} == {text}


@pytest.mark.parametrize(
    "keyword",
    ["FrameOfReferenceUID", "PatientName", "StudyID", "SeriesNumber", "InstanceNumber", "SliceThickness", "EchoTime",
     "ScanningSequence", "PatientPosition", "SpecificCharacterSet", "BitsStored", "PixelRepresentation"],
)  # fmt: skip
def test_a_source_from_which_an_attribute_was_removed_is_still_stripped(tmp_path, keyword):
    source = source_of(write_series(tmp_path / "series", edit=lambda header, _number: header.pop(keyword, None)))

    images = strip(source, tmp_path / "stripped")

    np.testing.assert_array_equal(stored(images), np.where(asymmetric_mask(), ramp(), 0))


def test_two_series_of_one_study_make_two_stripped_series(tmp_path):
    def other(header, _number):
        header.SOPInstanceUID, header.SeriesInstanceUID = generate_uid(), "1.2.3"

    first = strip(source_of(write_series(tmp_path / "a")), tmp_path / "stripped a")
    second = strip(source_of(write_series(tmp_path / "b", edit=other)), tmp_path / "stripped b")

    assert first[0].SeriesInstanceUID != second[0].SeriesInstanceUID


@pytest.mark.parametrize("asked", [["MONOCHROME1"], ["MONOCHROME2", "MONOCHROME1"]], ids=["all", "in turns"])
def test_what_is_shown_inverted_stays_so(tmp_path, asked):
    """The pixels are those of the source: so must be the way they are shown."""

    def edit(header, number):
        header.PhotometricInterpretation = asked[number % len(asked)]

    source = source_of(write_series(tmp_path / "series", edit=edit))

    images = strip(source, tmp_path / "stripped")

    expected = [header.PhotometricInterpretation for header in source.stack.headers]
    assert [image.PhotometricInterpretation for image in images] == expected
    np.testing.assert_array_equal(stored(images), np.where(asymmetric_mask(), ramp(), 0))
