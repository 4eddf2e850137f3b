"""Compressed frames, decoded by imagecodecs: it raises where GDCM ends the process and pylibjpeg-rle panics.

It also decodes what those do not: JPEG of 12 bits and JPEG XL.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

NAME = "imagecodecs"
JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
JPEG_2000 = (uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)
SYNTAXES = (*JPEG, *JPEG_LS, *JPEG_2000, uid.RLELossless)
DECODER_DEPENDENCIES = dict.fromkeys(SYNTAXES, (NAME,))
DECODERS = {
    **dict.fromkeys(JPEG, "jpeg8_decode"),
    **dict.fromkeys(JPEG_LS, "jpegls_decode"),
    **dict.fromkeys(JPEG_2000, "jpeg2k_decode"),
}
"""Functions of imagecodecs."""


def is_available(syntax: str) -> bool:
    """Return whether this plug-in decodes a transfer syntax."""
    return syntax in SYNTAXES


def decode_frame(stream: bytes, runner: DecodeRunner) -> bytes:
    """Return the stored values of a frame of one component, in the words that the header allocates."""
    if runner.transfer_syntax == uid.RLELossless:
        return _run_lengths(stream, runner)
    decoded: npt.NDArray[Any] = getattr(_codecs(), DECODERS[runner.transfer_syntax])(stream)
    if decoded.shape != (runner.rows, runner.columns) or decoded.dtype.kind not in "iu":
        raise ValueError(f"{decoded.dtype} {decoded.shape} instead of {(runner.rows, runner.columns)}")
    signed = runner.pixel_representation == 1
    words = decoded.astype(f"<{'i' if signed else 'u'}{runner.bits_allocated // 8}")
    if signed and decoded.dtype.kind == "u":  # JPEG knows no sign (PS3.5 8.2.1)
        unused = runner.bits_allocated - runner.bits_stored
        words = np.right_shift(np.left_shift(words, unused), unused)
    return words.tobytes()


def _run_lengths(stream: bytes, runner: DecodeRunner) -> bytes:
    words = _codecs().dicomrle_decode(stream, np.dtype(f"<u{runner.bits_allocated // 8}"))
    needed = runner.rows * runner.columns * runner.bits_allocated // 8
    if not needed <= len(words) <= needed + 1:
        raise ValueError(f"{len(words)} bytes instead of {needed}")
    return bytes(words[:needed])


def _codecs() -> Any:
    """Return the library; it is slow to import, and most images are not compressed."""
    import imagecodecs

    return imagecodecs


def add_decoders() -> None:
    """Make this plug-in known to pydicom."""
    for syntax in SYNTAXES:
        decoder = get_decoder(uid.UID(syntax))
        if NAME not in decoder.available_plugins:
            decoder.add_plugin(NAME, (__name__, decode_frame.__name__))
