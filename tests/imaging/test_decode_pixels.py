import re

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from imaging.decode_pixels import decode_frame
from imaging.load_study import load_study, read_header
from imaging.outcome import RefusedError
from tests.phantoms import PATIENT, frame_of, restate_syntax, rewrite, write_series

SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
]
SHAPE = (1, 36, 50)  # encoders of JPEG 2000 want some size


def stored_values(dtype, bits=None):
    """Values over the whole range of a type, or of so many of its bits; an odd number of them in a row."""
    dtype = np.dtype(dtype)
    bits = bits or dtype.itemsize * 8
    low = -(2 ** (bits - 1)) if dtype.kind == "i" else 0
    return (low + np.linspace(0, 2**bits - 1, np.prod(SHAPE))).astype(dtype).reshape(SHAPE)


def instance_with(folder, pixels=None, **options):
    path = write_series(folder, stored_values("u2", 12) if pixels is None else pixels, **options)[0]
    return frame_of(read_header(path))


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_each_transfer_syntax_gives_the_stored_values(syntax, dtype, tmp_path):
    pixels = stored_values(dtype)

    assert (decode_frame(instance_with(tmp_path, pixels, syntax=syntax)) == pixels[0]).all()


@pytest.mark.parametrize("syntax", SYNTAXES[:4], ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("dtype", ["u4", "i4"])
def test_32_bits_are_rounded_to_float32(syntax, dtype, tmp_path):
    pixels = stored_values(dtype)

    assert (decode_frame(instance_with(tmp_path, pixels, syntax=syntax)) == pixels[0].astype(np.float32)).all()


@pytest.mark.parametrize("dtype", ["u2", "i2"])
@pytest.mark.parametrize("syntax", SYNTAXES[:4], ids=lambda syntax: syntax.name)
def test_bits_above_the_stored_ones_are_cleared_and_the_sign_is_kept(syntax, dtype, tmp_path):
    pixels = stored_values(dtype, 12)
    soiled = pixels & 0x0FFF | np.dtype(dtype).type(0x5000)

    found = decode_frame(instance_with(tmp_path, soiled, syntax=syntax, BitsStored=12, HighBit=11, BitsAllocated=16))

    assert (found == pixels[0]).all()


@pytest.mark.parametrize("size", [(7, 9), (1, 1), (1, 50), (50, 1)])
def test_odd_sizes_are_read_whole(size, tmp_path):
    pixels = np.arange(np.prod(size), dtype=np.uint8).reshape(1, *size)

    assert (decode_frame(instance_with(tmp_path, pixels)) == pixels[0]).all()


@pytest.mark.parametrize(("slope", "intercept"), [("2", "-1024"), ("0.5", "0"), ("1", "3"), ("-1", "0")])
def test_values_are_rescaled(slope, intercept, tmp_path):
    pixels = stored_values("u2", 12)

    found = decode_frame(instance_with(tmp_path, pixels, RescaleSlope=slope, RescaleIntercept=intercept))

    assert (found == pixels[0] * float(slope) + float(intercept)).all()
    assert found.dtype == np.float32


def test_the_result_may_be_written_to(tmp_path):
    found = decode_frame(instance_with(tmp_path))

    found += 1


@pytest.mark.parametrize(
    ("written", "stated"),
    [(ExplicitVRLittleEndian, ImplicitVRLittleEndian), (ImplicitVRLittleEndian, ExplicitVRLittleEndian)],
)
def test_a_wrongly_stated_value_representation_does_not_shift_the_pixels(written, stated, tmp_path):
    path = write_series(tmp_path, stored_values("u2"), syntax=written)[0]
    restate_syntax(path, stated)

    assert read_header(path).header.file_meta.TransferSyntaxUID == stated
    assert (decode_frame(frame_of(read_header(path))) == stored_values("u2")[0]).all()


def test_a_real_file_is_read_as_by_pydicom():
    path = pydicom.examples.get_path("mr")

    assert (decode_frame(frame_of(read_header(path))) == pydicom.dcmread(path).pixel_array).all()


def test_nine_transfer_syntaxes_of_one_image_decode_alike(shared_data):
    paths = sorted((shared_data / "dicom_edge_cases" / "transfer_syntaxes").glob("*.dcm"))
    if len(paths) != 9:
        pytest.skip("the shared data has no dicom_edge_cases/transfer_syntaxes")

    images = [decode_frame(frame_of(load_study(path).series[0].instances[0])) for path in paths]

    assert len({read_header(path).header.file_meta.TransferSyntaxUID for path in paths}) > 6
    assert np.ptp(images[0]) > 0
    assert all((image == images[0]).all() for image in images)


def no_pixels(header, _):
    del header.PixelData


def too_few_pixels(header, _):
    header.PixelData = header.PixelData[:40]


def too_few_pixels_and_padding(header, number):
    too_few_pixels(header, number)
    header.add_new(0xFFFCFFFC, "OB", bytes(5000))


def float_pixels(header, _):
    del header.PixelData
    header.FloatPixelData = np.full(SHAPE, np.nan, np.float32).tobytes()
    header.BitsAllocated = 32


def without(keyword):
    def change(header, _):
        delattr(header, keyword)

    return change


def having(**attributes):
    def change(header, _):
        for keyword, value in attributes.items():
            setattr(header, keyword, value)

    return change


REFUSED = [
    (no_pixels, "it has no Pixel Data"),
    (too_few_pixels, "its pixels are cut short: 40 of 3600 bytes"),
    (too_few_pixels_and_padding, "its pixels are cut short: 40 of 3600 bytes"),
    (float_pixels, r"its pixels cannot be decoded|not finite"),
    (having(Rows=65535, Columns=65535), "it claims 65535 x 65535 pixels"),
    (having(Rows=0), "it claims 0 x 50 pixels"),
    (having(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "its pixels are RGB, not MONOCHROME2"),
    (having(PhotometricInterpretation="PALETTE COLOR"), "its pixels are PALETTE COLOR, not MONOCHROME2"),
    (without("PhotometricInterpretation"), "its pixels are None, not MONOCHROME2"),
    (without("Rows"), "its Rows is missing or no number"),
    (without("BitsAllocated"), "its BitsAllocated is missing or no number"),
    (having(RescaleSlope="0"), "its Rescale Slope and Intercept are 0 and 0"),
    (having(RescaleSlope=["1", "2"]), "its RescaleSlope is missing or no number"),
    (having(BitsAllocated=12), r"its pixels cannot be decoded \(Explicit VR Little Endian\)"),
    (having(RescaleSlope=float("nan")), "its Rescale Slope and Intercept are nan and 0"),
    (having(RescaleIntercept=float("inf")), "its Rescale Slope and Intercept are 1 and inf"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_unusable_pixels_are_refused_with_the_reason(change, said, tmp_path):
    instance = instance_with(tmp_path, change=change)

    with pytest.raises(RefusedError, match=rf"instance 1 of series 3 is not: {said}\. Send") as refused:
        decode_frame(instance)

    assert not [value for value in PATIENT.values() if value in str(refused.value)]


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda syntax: syntax.name)
def test_compressed_pixels_that_are_cut_short_are_refused(syntax, tmp_path):
    path = write_series(tmp_path, stored_values("u2"), syntax=syntax)[0]
    path.write_bytes(path.read_bytes()[:-400])

    with pytest.raises(RefusedError, match=re.escape(f"its pixels cannot be decoded ({syntax.name})")):
        decode_frame(frame_of(read_header(path)))


def test_a_syntax_that_is_unknown_is_refused_by_its_identifier(tmp_path):
    path = write_series(tmp_path, stored_values("u2"))[0]
    rewrite(path, b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0")

    with pytest.raises(RefusedError, match=r"its pixels cannot be decoded \(1\.2\.840\.113619\.5\.2\)"):
        decode_frame(frame_of(read_header(path)))


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # those of pydicom, on the value below
def test_a_header_without_numbers_is_refused_without_numbers(tmp_path):
    def change(header, number):
        no_pixels(header, number)
        del header.InstanceNumber, header.SeriesNumber

    with pytest.raises(RefusedError, match=r"instance \(no number\) of series \(no number\) is not: it has no Pixel"):
        decode_frame(instance_with(tmp_path, change=change))


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # that of pydicom, on the slope below
def test_a_slope_that_is_no_number_is_refused(tmp_path):
    path = write_series(tmp_path, stored_values("u2"), RescaleSlope="1.2345")[0]
    rewrite(path, b"1.2345", b"x.2345")

    with pytest.raises(RefusedError, match="its RescaleSlope is missing or no number"):
        decode_frame(frame_of(read_header(path)))


def test_a_damaged_number_of_the_series_does_not_hide_the_reason(tmp_path):
    path = write_series(tmp_path, SeriesNumber=4321, change=no_pixels)[0]
    rewrite(path, b"4321", b"A1B2")

    with pytest.raises(RefusedError, match=r"series \(no number\) is not: it has no Pixel Data"):
        decode_frame(frame_of(read_header(path)))
