import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from imaging.outcome import OutputError
from imaging.picture_series import PictureSeries, check_picture, write_pictures
from tests.series_samples import OTHER_WEIGHTS, PLANES, PROVENANCE, source_of, write_series

SERIES = PictureSeries(kind="test", title="Picture", number=8, derivation="Drawn")
ZOOMED = PictureSeries(kind="test", title="Picture", number=8, derivation="Drawn", zoom=(3, 2))
SHAPE = (6, 9, 13)


def drawn(plane, zoom=(1, 1), strip=5):
    """Coordinates as colours, one block for each pixel of the source, and a strip below."""
    rows, columns = np.indices(SHAPE[1:])
    image = np.stack([10 * rows, 10 * columns, np.full(SHAPE[1:], plane.slice)], axis=-1).astype(np.uint8)
    return np.concatenate(
        [image.repeat(zoom[0], 0).repeat(zoom[1], 1), np.full((strip, 13 * zoom[1], 3), 255, np.uint8)]
    )


def write(folder, source, series=SERIES, provenance=PROVENANCE, **options):
    folder.mkdir(exist_ok=True)
    return write_pictures(
        folder, "p", series, source.planes, lambda plane: drawn(plane, series.zoom), source, provenance, **options
    )


def colours_by_itk(path):
    """Colour of each pixel and LPS position of it, as another reader has them."""
    image = SimpleITK.ReadImage(str(path), imageIO="GDCMImageIO")
    pixels = SimpleITK.GetArrayFromImage(image)[0]
    rows, columns = np.indices(pixels.shape[:2])
    places = np.array(
        [image.TransformIndexToPhysicalPoint((int(c), int(r), 0)) for r, c in zip(rows.flat, columns.flat, strict=True)]
    )
    return pixels.reshape(-1, 3), places


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("series", [SERIES, ZOOMED], ids=["as acquired", "finer"])
@pytest.mark.parametrize("plane", PLANES)
def test_another_reader_finds_each_pixel_at_the_millimetres_of_the_source(tmp_path, plane, series, backwards):
    source = source_of(write_series(tmp_path / "mr", plane=plane, backwards=backwards))

    for path in write(tmp_path / "out", source, series):
        colours, places = colours_by_itk(path)
        voxels = source.volume.map_reference_to_indices(places)
        inside = np.rint(voxels[:, 1]) < SHAPE[1]
        found = np.stack([voxels[:, 1], voxels[:, 2], voxels[:, 0]], axis=-1)[inside]
        expected = colours[inside] / (10, 10, 1)
        assert inside.sum() == SHAPE[1] * SHAPE[2] * np.prod(series.zoom)
        np.testing.assert_array_equal(np.rint(found), expected)
        assert np.abs(found - expected).max(axis=0)[:2] == pytest.approx(
            [(times - 1) / 2 / times for times in series.zoom], abs=1e-3
        )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_series(tmp_path_factory.mktemp("mr"), plane="oblique"))


@pytest.fixture(scope="module")
def images(source, tmp_path_factory):
    return [dcmread(path) for path in write(tmp_path_factory.mktemp("out"), source)]


def test_every_image_says_that_it_is_for_research(images):
    for image in images:
        assert image.BurnedInAnnotation == "YES"
        assert "Research use only" in image.ImageComments
        assert "research use only" in image.SeriesDescription


def test_every_image_refers_to_its_source(source, images):
    for image, plane in zip(images, source.planes, strict=True):
        uid = plane.frame.instance.uid
        assert image.SourceImageSequence[0].ReferencedSOPInstanceUID == uid
        assert image.ReferencedSeriesSequence[0].SeriesInstanceUID == source.series.uid
        assert image.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == uid


def test_space_study_and_patient_are_those_of_the_source(source, images):
    for keyword in ("FrameOfReferenceUID", "StudyInstanceUID", "PatientID", "PatientName", "PixelSpacing"):
        assert {str(image[keyword].value) for image in images} == {str(source.stack.header[keyword].value)}


def test_pictures_are_numbered_in_the_order_of_the_slices(images):
    assert [image.InstanceNumber for image in images] == list(range(1, 7))
    assert {image.SeriesNumber for image in images} == {409}


def test_a_second_run_has_the_same_uids_and_other_weights_have_others(source, tmp_path, images):
    again, other = (
        [dcmread(path) for path in write(tmp_path / name, source, provenance=provenance)]
        for name, provenance in (("again", PROVENANCE), ("other", OTHER_WEIGHTS))
    )

    assert [image.SOPInstanceUID for image in again] == [image.SOPInstanceUID for image in images]
    assert not {image.SOPInstanceUID for image in other} & {image.SOPInstanceUID for image in images}
    assert len({image.SOPInstanceUID for image in images}) == len(images)


def test_file_names_tell_nothing_of_the_patient(source, tmp_path):
    assert [path.name for path in write(tmp_path / "out", source)] == [f"p_{n:04d}.dcm.part" for n in range(1, 7)]


def changed(source, tmp_path, change, zoom=(1, 1)):
    series = SERIES if zoom == (1, 1) else ZOOMED
    path = write(tmp_path / "out", source, series)[2]
    image = dcmread(path)
    pixels = image.PixelData
    change(image)
    image.save_as(path)
    return path, pixels, source.planes[2], source, zoom


def move(image):
    image.ImagePositionPatient = [float(image.ImagePositionPatient[0]) + 0.01, *image.ImagePositionPatient[1:]]


def stretch(image):
    image.PixelSpacing = [float(image.PixelSpacing[0]) * 1.02, image.PixelSpacing[1]]


def turn(image):
    values = list(image.ImageOrientationPatient)
    image.ImageOrientationPatient = [*values[3:], *values[:3]]


def spoil(image):
    image.PixelData = b"\1" + image.PixelData[1:]


@pytest.mark.parametrize("zoom", [(1, 1), (3, 2)])
@pytest.mark.parametrize("change", [move, stretch, turn, spoil])
def test_a_picture_that_is_not_where_it_should_be_is_refused(source, tmp_path, change, zoom):
    with pytest.raises(OutputError, match="written picture"):
        check_picture(*changed(source, tmp_path, change, zoom))


def test_a_picture_that_is_where_it_should_be_passes(source, tmp_path):
    read = check_picture(*changed(source, tmp_path, lambda image: None))

    assert (read.Rows, read.Columns) == (14, 13)


def test_each_picture_is_proved_on_its_plane(source, tmp_path):
    seen = []

    write(tmp_path / "out", source, prove=lambda read, plane: seen.append((read.Columns, plane.slice)))

    assert seen == [(13, plane.slice) for plane in source.planes]
