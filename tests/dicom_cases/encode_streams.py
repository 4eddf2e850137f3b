"""Codestreams of encoders that are too large to be a dependency of the tests, made once and kept in streams.json.

To make them again, in an environment with imagecodecs: ``python -m tests.dicom_cases.encode_streams``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from tests.dicom_cases.stored_values import KINDS, Numbers

KEPT = Path(__file__).parent / "streams.json"
LOSSY_ERROR = 4
"""Largest difference that the lossy streams make to a stored value."""
MADE_OF = {
    "jpeg-2000": ("s16", "u16", "s12", "u12", "u8"),
    "jpeg-2000-lossy": ("s16", "u16", "u8"),
    "htj2k": ("s16", "u16", "u8"),
    "htj2k-rpcl": ("s16", "u16"),
    "htj2k-lossy": ("s16", "u16"),
    "jpeg-xl": ("u16",),
}


def kept_streams(codec: str, numbers: Numbers) -> list[bytes]:
    """Return the codestream of each slice of the phantom."""
    kept = _kept()[f"{codec}-{_kind(numbers)}"]
    if kept["pixels_sha256"] != _digest(numbers):
        raise ValueError(f"{KEPT.name} was made of other pixels than the phantom has now: make it again")
    return [base64.b64decode(stream) for stream in kept["streams"]]


@cache
def _kept() -> dict[str, dict[str, list[str]]]:
    return json.loads(KEPT.read_text())


def _kind(numbers: Numbers) -> str:
    return next(kind for kind, known in KINDS.items() if known == numbers)


def _digest(numbers: Numbers) -> str:
    return hashlib.sha256(numbers.slices().tobytes()).hexdigest()


def _coders(bits: int) -> dict[str, tuple[Callable[[np.ndarray], bytes], Callable[[bytes], np.ndarray]]]:
    import imagecodecs

    old = partial(imagecodecs.jpeg2k_encode, codecformat="j2k", resolutions=2, bitspersample=bits)
    new = imagecodecs.htj2k_encode
    return {
        "jpeg-2000": (partial(old, reversible=True), imagecodecs.jpeg2k_decode),
        "jpeg-2000-lossy": (partial(old, level=90, reversible=False), imagecodecs.jpeg2k_decode),
        "htj2k": (partial(new, reversible=True), imagecodecs.htj2k_decode),
        "htj2k-rpcl": (partial(new, reversible=True, tlm=True), imagecodecs.htj2k_decode),
        "htj2k-lossy": (partial(new, reversible=False), imagecodecs.htj2k_decode),
        "jpeg-xl": (partial(imagecodecs.jpegxl_encode, lossless=True), imagecodecs.jpegxl_decode),
    }


def _made(codec: str, numbers: Numbers) -> list[str]:
    encode, decode = _coders(numbers.bits)[codec]
    streams = [bytes(encode(pixels)) for pixels in numbers.slices()]
    for pixels, stream in zip(numbers.slices(), streams, strict=True):
        error = np.abs(np.asarray(decode(stream), int) - pixels).max()
        if error > (LOSSY_ERROR if "lossy" in codec else 0):
            raise ValueError(f"{codec} of {numbers} differs by {error}")
    return [base64.b64encode(stream).decode() for stream in streams]


if __name__ == "__main__":
    made = {
        f"{codec}-{kind}": {"pixels_sha256": _digest(KINDS[kind]), "streams": _made(codec, KINDS[kind])}
        for codec, kinds in MADE_OF.items()
        for kind in kinds
    }
    KEPT.write_text(json.dumps(made, indent=1) + "\n")
