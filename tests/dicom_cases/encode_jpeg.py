"""JPEG (ITU-T T.81) written from the standard: baseline, extended 12 bit and lossless with every predictor.

The usual encoders do not write 12 bit lossy or other predictors than the first. One grey component, no subsampling,
Huffman codes of one length: nothing is saved, and every decoder has to read it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

ZIGZAG = np.array(sorted(np.ndindex(8, 8), key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1])))
COSINES = np.array([
    [np.sqrt((1 if row == 0 else 2) / 8) * np.cos((2 * column + 1) * row * np.pi / 16) for column in range(8)]
    for row in range(8)
])  # fmt: skip
LOSSLESS_CODE_BITS, DC_CODE_BITS, AC_CODE_BITS = 5, 5, 8
LOSSLESS_SYMBOLS = tuple(range(17))
END_OF_BLOCK, SIXTEEN_ZEROS = 0x00, 0xF0


def encode_lossless(pixels: np.ndarray, bits: int, predictor: int = 1) -> bytes:
    """Return unsigned (row, column) values as process 14; ``predictor`` is the selection value, 1 to 7."""
    rows, columns = pixels.shape
    values = pixels.astype(np.int64)
    left, above, corner = (np.zeros_like(values) for _ in range(3))
    left[:, 1:], above[1:], corner[1:, 1:] = values[:, :-1], values[:-1], values[:-1, :-1]
    predicted = (
        left, above, corner, left + above - corner, left + ((above - corner) >> 1), above + ((left - corner) >> 1),
        (left + above) >> 1,
    )[predictor - 1]  # fmt: skip
    predicted[0], predicted[:, 0] = left[0], above[:, 0]  # T.81 H.1.2.1: first line and first column
    predicted[0, 0] = 1 << (bits - 1)
    writer = BitWriter()
    for difference in ((values - predicted + 0x8000) % 0x10000 - 0x8000).ravel():
        size = 16 if difference == -0x8000 else int(abs(difference)).bit_length()
        writer.add(size, LOSSLESS_CODE_BITS)
        if size < 16:
            writer.add_signed(int(difference), size)
    tables = huffman_table(0, 0, LOSSLESS_CODE_BITS, LOSSLESS_SYMBOLS)
    return image(0xC3, (rows, columns), bits, tables, (predictor, 0), writer.closed())


def encode_dct(pixels: np.ndarray, bits: int) -> bytes:
    """Return unsigned (row, column) values as baseline (8 bits) or extended (12 bits); all quantisation steps are 1."""
    rows, columns = pixels.shape
    padded = np.pad(pixels.astype(float), ((0, -rows % 8), (0, -columns % 8)), mode="edge") - (1 << (bits - 1))
    largest = bits + 3
    symbols = [END_OF_BLOCK, SIXTEEN_ZEROS] + [run << 4 | size for run in range(16) for size in range(1, largest)]
    writer, before = BitWriter(), 0
    for top in range(0, padded.shape[0], 8):
        for start in range(0, padded.shape[1], 8):
            block = np.rint(COSINES @ padded[top : top + 8, start : start + 8] @ COSINES.T).astype(int)
            coefficients = [int(block[tuple(at)]) for at in ZIGZAG]
            _add_block(writer, coefficients, coefficients[0] - before, symbols)
            before = coefficients[0]
    quantisation = segment(0xDB, b"\0" + b"\1" * 64)
    tables = quantisation + huffman_table(0, 0, DC_CODE_BITS, range(largest + 1))
    tables += huffman_table(1, 0, AC_CODE_BITS, symbols)
    return image(0xC0 if bits == 8 else 0xC1, (rows, columns), bits, tables, (0, 63), writer.closed())


def _add_block(writer: BitWriter, coefficients: Sequence[int], difference: int, symbols: Sequence[int]) -> None:
    size = abs(difference).bit_length()
    writer.add(size, DC_CODE_BITS)
    writer.add_signed(difference, size)
    run = 0
    for value in coefficients[1:]:
        if value == 0:
            run += 1
            continue
        for _ in range(run // 16):
            writer.add(symbols.index(SIXTEEN_ZEROS), AC_CODE_BITS)
        size = abs(value).bit_length()
        writer.add(symbols.index((run % 16) << 4 | size), AC_CODE_BITS)
        writer.add_signed(value, size)
        run = 0
    if run:
        writer.add(symbols.index(END_OF_BLOCK), AC_CODE_BITS)


class BitWriter:
    """Collects bits, most significant first."""

    def __init__(self) -> None:
        self.bits: list[str] = []

    def add(self, value: int, size: int) -> None:
        """Append a number in so many bits."""
        if size:
            self.bits.append(f"{value:0{size}b}")

    def add_signed(self, value: int, size: int) -> None:
        """Append a difference as T.81 F.1.2.1 wants it: negative ones less one."""
        self.add(value if value >= 0 else value + (1 << size) - 1, size)

    def closed(self) -> bytes:
        """Return all bits, filled up with ones, a zero byte after each byte of ones."""
        bits = "".join(self.bits)
        bits += "1" * (-len(bits) % 8)
        return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:].replace(b"\xff", b"\xff\0")


def segment(marker: int, content: bytes) -> bytes:
    """Return a marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def huffman_table(kind: int, number: int, code_bits: int, symbols: Iterable[int]) -> bytes:
    """Return a table in which all symbols have codes of one length, counted up."""
    values = bytes(symbols)
    if len(values) >= 1 << code_bits:
        raise ValueError(f"{len(values)} symbols do not fit into codes of {code_bits} bits")
    counts = bytes(len(values) if length == code_bits else 0 for length in range(1, 17))
    return segment(0xC4, bytes([kind << 4 | number]) + counts + values)


def image(
    frame_marker: int, shape: tuple[int, int], bits: int, tables: bytes, selection: tuple[int, int], scan: bytes
) -> bytes:
    """Return a whole JPEG stream of one component."""
    frame = segment(frame_marker, struct.pack(">BHHB", bits, *shape, 1) + b"\1\x11\0")
    header = segment(0xDA, b"\1\1\0" + bytes(selection) + b"\0")
    stream = b"\xff\xd8" + tables + frame + header + scan + b"\xff\xd9"
    return stream + b"\0" * (len(stream) % 2)
