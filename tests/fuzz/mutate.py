"""Ways to damage a DICOM file at random; the same random numbers do the same damage."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from pydicom import dcmread

PREAMBLE = 132
LONG_VRS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
SHORT_VRS = (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL")
VRS = (*LONG_VRS, *SHORT_VRS, b"SS", b"ST", b"TM", b"UI", b"UL", b"US", b"XX", b"\0\0")
LENGTHS = (0, 1, 2, 3, 7, 255, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
TEXTS = (
    b"nan", b"inf", b"-inf", b"1e308", b"1e999", b"-1", b"0", b"", b"\\", b"\\\\\\\\\\\\", b"1\\2", b"1,5", b"0x10",
    b"9" * 40, b"../../x", b"%s%n", b"\xff\xfe", b"\x1b$B", b"\0", b" ", b"2147483648", b"1_0", b"\xd9\xa1", b"1e-320",
)  # fmt: skip
NUMBERS = (0, 1, 2, 0x7FFF, 0x8000, 0xFFFF)


@dataclass(frozen=True)
class Place:
    """Where an element of the top level lies in a file."""

    start: int
    value: int
    end: int
    explicit: bool


def places_of(content: bytes) -> tuple[Place, ...]:
    """Return where the elements of a good file lie; none where the whole of it is compressed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = dcmread(io.BytesIO(content), defer_size=None)
    found = []
    for element in (*header.file_meta._dict.values(), *header._dict.values()):
        value, length = getattr(element, "value_tell", None), getattr(element, "length", None)
        if value is None or value > len(content):
            continue
        tag = struct.pack("<HH", element.tag.group, element.tag.element)
        start = next((value - size for size in (12, 8) if content[value - size : value - size + 4] == tag), None)
        if start is not None:
            end = min(value + (0 if length == 0xFFFFFFFF else length), len(content))
            found.append(Place(start, value, end, explicit=content[start + 4 : start + 6].isalpha()))
    return tuple(found)


Mutation = Callable[[bytearray, tuple[Place, ...], Generator], bytearray]


def flip_bits(content: bytearray, _places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Flip some bits anywhere."""
    for at in rng.integers(0, len(content), rng.integers(1, 20)):
        content[at] ^= 1 << int(rng.integers(8))
    return content


def flip_header_bits(content: bytearray, _places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Flip some bits soon after the preamble."""
    for at in rng.integers(min(PREAMBLE, len(content) - 1), min(len(content), 1600), rng.integers(1, 6)):
        content[at] ^= 1 << int(rng.integers(8))
    return content


def overwrite_block(content: bytearray, _places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Put zeros, ones or random bytes over a block."""
    start, length = int(rng.integers(len(content))), int(rng.integers(1, 300))
    block = (bytes(length), b"\xff" * length, rng.bytes(length))[int(rng.integers(3))]
    content[start : start + length] = block[: max(0, len(content) - start)]
    return content


def cut_off(content: bytearray, _places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Cut the end off."""
    return content[: int(rng.integers(len(content)))]


def cut_out(content: bytearray, _places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Take a block out of the middle, so that all behind it moves."""
    start = int(rng.integers(len(content)))
    del content[start : start + int(rng.integers(1, 64))]
    return content


def remove_element(content: bytearray, places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Take an element out."""
    place = _any_of(places, rng)
    del content[place.start : place.end]
    return content


def repeat_element(content: bytearray, places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Put an element in a second time, at the place of another."""
    one, other = _any_of(places, rng), _any_of(places, rng)
    content[other.start : other.start] = content[one.start : one.end]
    return content


def change_vr(content: bytearray, places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Let an element claim another VR."""
    place = _any_of(places, rng)
    content[place.start + 4 : place.start + 6] = VRS[int(rng.integers(len(VRS)))]
    return content


def change_length(content: bytearray, places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Let an element claim another length."""
    place = _any_of(places, rng)
    size = 2 if place.explicit and place.value - place.start == 8 else 4
    length = LENGTHS[int(rng.integers(len(LENGTHS)))] if rng.random() < 0.7 else int(rng.integers(0, 4096))
    content[place.value - size : place.value] = (length % (1 << 8 * size)).to_bytes(size, "little")
    return content


def change_value(content: bytearray, places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Give an element another value of the same length."""
    place = _any_of(places, rng)
    length = place.end - place.value
    if length in (2, 4):
        value = NUMBERS[int(rng.integers(len(NUMBERS)))].to_bytes(2, "little") * (length // 2)
    else:
        value = TEXTS[int(rng.integers(len(TEXTS)))]
    content[place.value : place.end] = value.ljust(length, b" \0"[int(rng.integers(2)) :][:1])[:length]
    return content


def nest(content: bytearray, places: tuple[Place, ...], rng: Generator) -> bytearray:
    """Put nested sequences in front of an element, closed or not."""
    place, depth = _any_of(places, rng), int(rng.choice([1, 3, 30, 200, 3000]))
    head = bytes(content[place.start : place.start + 4]) + (b"SQ\0\0" if place.explicit else b"")
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
    closed = int(rng.choice([0, depth, depth // 2]))
    content[place.start : place.start] = (head + b"\xff\xff\xff\xff" + item) * depth + end * closed
    return content


def _any_of(places: tuple[Place, ...], rng: Generator) -> Place:
    return places[int(rng.integers(len(places)))]


ANYWHERE: tuple[Mutation, ...] = (flip_bits, flip_header_bits, overwrite_block, cut_off, cut_out)
BY_ELEMENT: tuple[Mutation, ...] = (
    remove_element, repeat_element, change_vr, change_length, change_value, change_value, nest,
)  # fmt: skip


def mutated(content: bytes, places: tuple[Place, ...], rng: Generator) -> bytes:
    """Return a file with one to three damages; only the first knows where elements lie."""
    kinds = (*ANYWHERE, *BY_ELEMENT) if places else ANYWHERE
    damaged = kinds[int(rng.integers(len(kinds)))](bytearray(content), places, rng)
    for _ in range(int(rng.choice([0, 0, 1, 2]))):
        if len(damaged) > PREAMBLE:
            damaged = ANYWHERE[int(rng.integers(len(ANYWHERE)))](damaged, (), rng)
    return bytes(damaged)


def random_numbers(seed: int, number: int) -> Generator:
    """Return the random numbers of one case."""
    return np.random.default_rng((seed, number))
