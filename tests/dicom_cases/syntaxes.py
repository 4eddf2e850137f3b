"""One volume in every transfer syntax, every pixel type and every way to cut compressed frames into fragments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread, uid
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels import get_encoder

from imaging.outcome import Reason
from imaging.uids import derived_uid
from tests.dicom_cases.case import Case, Expected, Refused
from tests.dicom_cases.encode_jpeg import encode_dct, encode_lossless
from tests.dicom_cases.encode_streams import LOSSY_ERROR, kept_streams
from tests.dicom_cases.enhanced import pictures, write_enhanced
from tests.dicom_cases.phantom import PHANTOM, write_volume
from tests.dicom_cases.stored_values import KINDS, SIGNED_16, UNSIGNED_16, Numbers
from tests.phantoms import restate_syntax, set_attributes

JPEG_XL = "1.2.840.10008.1.2.4.110"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
ENCAPSULATED_NATIVE = "1.2.840.10008.1.2.1.98"
JPIP = "1.2.840.10008.1.2.4.94"
GE_PRIVATE = "1.2.840.113619.5.2"  # implicit little endian with big endian pixels
PRIVATE = derived_uid("a private transfer syntax")
ENHANCED_MR_CLASS = "1.2.840.10008.5.1.4.1.1.4.1"
VIDEO_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.1.1"
VIDEOS = {
    "mpeg2": uid.MPEG2MPML,
    "mpeg4": uid.MPEG4HP41,
    "hevc": uid.HEVCMP51,
    "uncompressed": uid.SMPTEST211020UncompressedProgressiveActiveVideo,
}
NOT_GDCM = "GDCM, its reader, has no decoder for it."


Encode = Callable[[Numbers], list[bytes]]
Encapsulate = Callable[[Dataset, Sequence[bytes]], None]


# -- frames to streams -----------------------------------------------------------------------------------------------


def by_pydicom(syntax: uid.UID, **options: object) -> Encode:
    """Return an encoder of pydicom's plug-ins."""

    def encode(numbers: Numbers) -> list[bytes]:
        shown = {key: value for key, value in numbers.attributes().items() if not key.startswith("Rescale")}
        told = {"".join(f"_{c.lower()}" if c.isupper() else c for c in key)[1:]: value for key, value in shown.items()}
        del told["high_bit"]
        shape = {"rows": PHANTOM.shape[1], "columns": PHANTOM.shape[2], "number_of_frames": 1, "samples_per_pixel": 1}
        grey = {"photometric_interpretation": "MONOCHROME2"}
        return [get_encoder(syntax).encode(pixels, **shape, **told, **grey, **options) for pixels in numbers.slices()]

    return encode


def by_jpeg(encode: Callable[..., bytes], **options: int) -> Encode:
    """Return an encoder of the values as if they had no sign, as JPEG stores them (PS3.5 8.2.1)."""
    return lambda numbers: [
        encode(pixels.astype(np.int64) % (1 << numbers.bits), numbers.bits, **options) for pixels in numbers.slices()
    ]


def kept(codec: str) -> Encode:
    """Return the streams that another encoder has made of these values."""
    return lambda numbers: kept_streams(codec, numbers)


def words_of(numbers: Numbers) -> list[bytes]:
    """Return the values of each slice, uncompressed."""
    return [pixels.tobytes() + b"\0" * (pixels.nbytes % 2) for pixels in numbers.slices()]


# -- streams to elements ---------------------------------------------------------------------------------------------


def with_offsets(header: Dataset, streams: Sequence[bytes]) -> None:
    """Put each stream into one fragment, with a Basic Offset Table."""
    header.PixelData = encapsulate(list(streams), has_bot=True)


def without_offsets(header: Dataset, streams: Sequence[bytes]) -> None:
    """Put each stream into one fragment, the offset table empty."""
    header.PixelData = encapsulate(list(streams), has_bot=False)


def in_fragments(header: Dataset, streams: Sequence[bytes]) -> None:
    """Cut each stream into three fragments, with a Basic Offset Table."""
    header.PixelData = encapsulate(list(streams), fragments_per_frame=3, has_bot=True)


def in_fragments_without_offsets(header: Dataset, streams: Sequence[bytes]) -> None:
    """Cut each stream into three fragments: only the markers within tell where a frame begins."""
    header.PixelData = encapsulate(list(streams), fragments_per_frame=3, has_bot=False)


def with_long_offsets(header: Dataset, streams: Sequence[bytes]) -> None:
    """Put each stream into one fragment, with an Extended Offset Table."""
    header.PixelData, header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths = encapsulate_extended(
        list(streams)
    )


def without_end(header: Dataset, streams: Sequence[bytes]) -> None:
    """Leave out the delimiter after the last fragment."""
    header.PixelData = encapsulate(list(streams), has_bot=False).removesuffix(b"\xfe\xff\xdd\xe0\0\0\0\0")


# -- folders ---------------------------------------------------------------------------------------------------------


def write_slices_in(
    folder: Path,
    syntax: str,
    encode: Encode,
    numbers: Numbers = SIGNED_16,
    put: Encapsulate = with_offsets,
    claimed: str | None = None,
    **attributes: object,
) -> None:
    """Write one compressed file for each slice; ``claimed`` is the syntax it says instead of its own."""
    streams = encode(numbers)

    def compress(header: Dataset, number: int) -> None:
        put(header, [streams[number]])
        _said(header, syntax)
        set_attributes(header, attributes)

    for path in write_volume(folder, pixels=numbers.slices(), change=compress, **numbers.attributes()):
        if claimed:
            restate_syntax(path, uid.UID(claimed))


def write_frames_in(
    folder: Path, syntax: str, encode: Encode, numbers: Numbers = SIGNED_16, put: Encapsulate = with_offsets
) -> None:
    """Write one compressed Enhanced MR object."""
    rescale = (numbers.slope, numbers.intercept)
    shown = {key: value for key, value in numbers.attributes().items() if not key.startswith("Rescale")}
    path = write_enhanced(folder, pictures(rescale=rescale), **shown)
    header = dcmread(path)
    put(header, encode(numbers))
    _said(header, syntax)
    header.save_as(path, enforce_file_format=True)


def _said(header: Dataset, syntax: str) -> None:
    header.file_meta.TransferSyntaxUID = uid.UID(syntax)
    header["PixelData"].VR, header["PixelData"].is_undefined_length = "OB", True


def write_native(folder: Path, numbers: Numbers, syntax: uid.UID = uid.ExplicitVRLittleEndian) -> None:
    """Write one uncompressed file for each slice."""
    write_volume(folder, pixels=numbers.slices(), syntax=syntax, **numbers.attributes())


def write_native_that_claims(folder: Path, syntax: uid.UID) -> None:
    """Write uncompressed files that say another transfer syntax."""
    for path in write_volume(folder, pixels=SIGNED_16.slices(), **SIGNED_16.attributes()):
        restate_syntax(path, syntax)


def write_ge_private(folder: Path) -> None:
    """Write files as old GE scanners did: implicit little endian, the pixels big endian."""
    swapped = SIGNED_16.slices().byteswap()
    for path in write_volume(folder, pixels=swapped, syntax=uid.ImplicitVRLittleEndian, **SIGNED_16.attributes()):
        restate_syntax(path, uid.UID(GE_PRIVATE))


def write_video(folder: Path, syntax: str, sop_class: str = VIDEO_CLASS, **attributes: object) -> None:
    """Write an object of six frames in one made-up stream; of the other class it has geometry for each frame."""
    path = write_enhanced(folder, SOPClassUID=sop_class, **attributes)
    header = dcmread(path)
    with_offsets(header, [b"\0\0\1\xb3" + bytes(60)])
    _said(header, syntax)
    header.save_as(path, enforce_file_format=True)


# -- cases -----------------------------------------------------------------------------------------------------------

CODECS: tuple[tuple[str, str, Encode, tuple[str, ...], int], ...] = (
    ("rle", uid.RLELossless, by_pydicom(uid.RLELossless, encoding_plugin="pydicom"), ("s16", "u16", "s12", "u8"), 0),
    ("jpeg-lossless", uid.JPEGLossless, by_jpeg(encode_lossless, predictor=6), ("s16", "u16", "s12", "u12", "u8"), 0),
    ("jpeg-lossless-sv1", uid.JPEGLosslessSV1, by_jpeg(encode_lossless), ("s16", "u16", "s12", "u12", "u8"), 0),
    ("jpeg-baseline", uid.JPEGBaseline8Bit, by_jpeg(encode_dct), ("u8",), 2),
    ("jpeg-extended", uid.JPEGExtended12Bit, by_jpeg(encode_dct), ("u12", "u8"), 2),
    ("jpeg-ls", uid.JPEGLSLossless, by_pydicom(uid.JPEGLSLossless), ("s16", "u16", "s12", "u12", "u8"), 0),
    ("jpeg-ls-near", uid.JPEGLSNearLossless, by_pydicom(uid.JPEGLSNearLossless, jls_error=3), ("u16", "u12", "u8"), 3),
    ("jpeg-2000", uid.JPEG2000Lossless, kept("jpeg-2000"), ("s16", "u16", "s12", "u12", "u8"), 0),
    ("jpeg-2000-lossy", uid.JPEG2000, kept("jpeg-2000-lossy"), ("s16", "u16", "u8"), LOSSY_ERROR),
    ("htj2k", uid.HTJ2KLossless, kept("htj2k"), ("s16", "u16", "u8"), 0),
    ("htj2k-rpcl", uid.HTJ2KLosslessRPCL, kept("htj2k-rpcl"), ("s16", "u16"), 0),
    ("htj2k-lossy", uid.HTJ2K, kept("htj2k-lossy"), ("s16", "u16"), LOSSY_ERROR),
)
PUT = {
    "offsets": with_offsets,
    "no-offsets": without_offsets,
    "long-offsets": with_long_offsets,
    "fragments": in_fragments,
    "fragments-no-offsets": in_fragments_without_offsets,
    "no-end": without_end,
}
CUT = {"jpeg-lossless-sv1", "jpeg-ls", "jpeg-2000", "htj2k"}
"""Codecs that may be cut into fragments; RLE may not (PS3.5 G.2)."""
LATE_CODECS = {"htj2k", "htj2k-rpcl", "htj2k-lossy"}


def coded(name: str, about: str, expected: Expected, write: Callable[..., object], *values: object, **options) -> Case:
    """Return the case of a writer with its options."""
    others = {"SimpleITK": NOT_GDCM} if name.startswith(tuple(LATE_CODECS)) else {}
    return Case(f"syntax-{name}", about, partial(_called, write=write, values=values, options=options), expected,
                others=others)  # fmt: skip


def _called(folder: Path, write: Callable[..., object], values: Sequence[object], options: dict[str, object]) -> None:
    write(folder, *values, **options)


COMPRESSED = tuple(
    coded(f"{name}-{kind}", f"{name}, {kind} values, single frames.", KINDS[kind].exact(lossy),
          write_slices_in, syntax, encode, KINDS[kind])
    for name, syntax, encode, kinds, lossy in CODECS for kind in kinds
)  # fmt: skip
FRAMES = tuple(
    coded(f"{name}-multiframe-{how}", f"{name} in one Enhanced object, {how}.", KINDS[kinds[0]].exact(lossy),
          write_frames_in, syntax, encode, KINDS[kinds[0]], put)
    for name, syntax, encode, kinds, lossy in CODECS
    for how, put in PUT.items() if name in CUT or not how.startswith("fragments")
)  # fmt: skip
SINGLE = tuple(
    coded(f"{name}-{how}", f"{name} in single frames, {how}.", KINDS[kinds[0]].exact(lossy),
          write_slices_in, syntax, encode, KINDS[kinds[0]], put)
    for name, syntax, encode, kinds, lossy in CODECS if name in CUT for how, put in PUT.items() if how != "offsets"
)  # fmt: skip
NATIVE = tuple(
    coded(f"{name}-{kind}", f"{name}, {kind} values.", KINDS[kind].exact(), write_native, KINDS[kind], syntax)
    for name, syntax in (
        ("implicit", uid.ImplicitVRLittleEndian),
        ("explicit", uid.ExplicitVRLittleEndian),
        ("big-endian", uid.ExplicitVRBigEndian),
        ("deflated", uid.DeflatedExplicitVRLittleEndian),
    )
    for kind in KINDS
)
UNREADABLE = tuple(
    coded(
        name, about, Refused(Reason.UNDECODABLE), write_slices_in, uid.JPEG2000Lossless, encode, numbers, claimed=syntax
    )
    for name, about, syntax, encode, numbers in (
        ("jpeg-xl", "JPEG XL, for which there is no decoder.", JPEG_XL, kept("jpeg-xl"), UNSIGNED_16),
        ("private", "A private transfer syntax.", PRIVATE, words_of, SIGNED_16),
        ("deflated-frames", "Deflated image frames.", DEFLATED_FRAMES, words_of, SIGNED_16),
        ("encapsulated-native", "Encapsulated uncompressed frames.", ENCAPSULATED_NATIVE, words_of, SIGNED_16),
        ("wrong-stream", "JPEG 2000 that is none.", uid.JPEG2000Lossless, words_of, SIGNED_16),
        ("empty-stream", "JPEG-LS of two zero bytes.", uid.JPEGLSLossless, lambda numbers: [b"\0\0"] * 6, SIGNED_16),
    )
)
LIES = (
    coded("native-claims-jpeg-ls", "Uncompressed pixels that are said to be JPEG-LS.",
          Refused(Reason.UNDECODABLE), write_native_that_claims, uid.JPEGLSLossless),
    coded("compressed-claims-native", "JPEG 2000 that is said to be uncompressed.",
          Refused(Reason.UNDECODABLE, (Reason.PIXELS_CUT_SHORT,)), write_slices_in, uid.JPEG2000Lossless,
          kept("jpeg-2000"), claimed=uid.ExplicitVRLittleEndian),
    coded("ge-private", "The private syntax of old GE scanners: little endian with big-endian pixels.",
          Refused(Reason.UNDECODABLE), write_ge_private),
    coded("jpip", "The pixels are on a server.", Refused(Reason.NO_PIXELS, (Reason.UNDECODABLE,)), write_slices_in,
          uid.JPEG2000Lossless, words_of, claimed=JPIP, PixelData=None, PixelDataProviderURL="https://pixels.invalid/1"),
)  # fmt: skip
FILMS = tuple(
    coded(f"video-{name}", f"A film ({name}).", Refused(Reason.VIDEO), write_video, syntax,
          SharedFunctionalGroupsSequence=None, PerFrameFunctionalGroupsSequence=None)
    for name, syntax in VIDEOS.items()
)  # fmt: skip
ENHANCED_FILM = coded(
    "video-with-geometry", "An Enhanced MR that is a film.", Refused(Reason.VIDEO), write_video,
    uid.HEVCMP51, ENHANCED_MR_CLASS,
)  # fmt: skip

CASES = (*NATIVE, *COMPRESSED, *SINGLE, *FRAMES, *UNREADABLE, *LIES, *FILMS, ENHANCED_FILM)
