"""Files that are cut, spoilt or absurd, and folders that hold what is no file: wrong in the middle of a good volume."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.uid import DeflatedExplicitVRLittleEndian

from imaging.outcome import Reason
from imaging.uids import derived_uid
from tests.dicom_cases.case import Case, Counts, Exact, Expected, NothingEligible, Refused
from tests.dicom_cases.enhanced import write_enhanced
from tests.dicom_cases.phantom import PHANTOM, write_volume
from tests.phantoms import bare_file

MIDDLE, LAST = 2, 5
PIXEL_DATA = b"\xe0\x7f\x10\x00OW\0\0"
Spoil = Callable[[bytes], bytes]


# -- bytes -----------------------------------------------------------------------------------------------------------


def cut(keep: float) -> Spoil:
    """Return a cut after this share of a file; after the preamble."""
    return lambda content: content[: 132 + int((len(content) - 132) * keep)]


def element_start(content: bytes, tag: int, vr: bytes) -> int:
    """Return where an element begins, which has to be there once."""
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if content.count(start) != 1:
        raise ValueError(f"{start!r} is there {content.count(start)} times")
    return content.index(start)


def other_vr(tag: int, vr: bytes, other: bytes) -> Spoil:
    """Return a change that makes an element lie about its VR."""

    def change(content: bytes) -> bytes:
        at = element_start(content, tag, vr) + 4
        return content[:at] + other + content[at + 2 :]

    return change


def other_length(tag: int, vr: bytes, length: int) -> Spoil:
    """Return a change that makes an element claim a length; as many bytes as its VR has for it."""

    def change(content: bytes) -> bytes:
        long = vr in (b"OW", b"OB", b"SQ", b"UN", b"UT")
        at = element_start(content, tag, vr) + (8 if long else 6)
        told = struct.pack("<I" if long else "<H", length)
        return content[:at] + told + content[at + len(told) :]

    return change


def other_text(tag: int, text: bytes) -> Spoil:
    """Return a change of a decimal string to any text, padded to the length it had."""

    def change(content: bytes) -> bytes:
        at = element_start(content, tag, b"DS") + 6
        (length,) = struct.unpack("<H", content[at : at + 2])
        return content[: at + 2] + text.ljust(length)[:length] + content[at + 2 + length :]

    return change


def inserted(element: bytes) -> Spoil:
    """Return a change that puts an element in front of the pixels."""
    return lambda content: content.replace(PIXEL_DATA, element + PIXEL_DATA)


def sequence_start(group: int = 0x0029) -> bytes:
    """Return the head of a private sequence of undefined length with an item of undefined length."""
    return struct.pack("<HH2sHIHHI", group, 0x1010, b"SQ", 0, 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)


SEQUENCE_END = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
BLOCK = struct.pack("<HH2sH8s", 0x0029, 0x0010, b"LO", 8, b"SPOILT 1")


def nested(depth: int) -> bytes:
    """Return private sequences within each other."""
    return BLOCK + sequence_start() * depth + SEQUENCE_END * depth


def replaced(old: bytes, new: bytes) -> Spoil:
    """Return a change of every occurrence, padded to the length it had."""
    return lambda content: content.replace(old, new.ljust(len(old), b"\0"))


# -- folders ---------------------------------------------------------------------------------------------------------


def write_spoilt(folder: Path, spoil: Spoil, slices: Sequence[int] = (MIDDLE,), **options: object) -> None:
    """Write the phantom, then change the bytes of some of its files."""
    paths = write_volume(folder, **options)
    for number in slices:
        paths[number].write_bytes(spoil(paths[number].read_bytes()))


def write_beside(folder: Path, add: Callable[[Path], object]) -> None:
    """Write the phantom, and something else beside it."""
    write_volume(folder)
    add(folder)


def write_bare(folder: Path, *, implicit: bool) -> None:
    """Write the phantom without preamble and file meta information."""
    for path in write_volume(folder):
        path.write_bytes(bare_file(dcmread(path), implicit=implicit))


def write_long_uids(folder: Path, length: int) -> None:
    """Write the phantom with UIDs of a length."""
    with disable_value_validation():
        write_volume(folder, SeriesInstanceUID=f"1.{'2' * (length - 2)}", StudyInstanceUID=f"1.{'3' * (length - 2)}")


def write_alone(folder: Path, content: bytes) -> None:
    """Write one file of these bytes."""
    (folder / "alone.dcm").write_bytes(content)


def write_absurd_size(folder: Path) -> None:
    """Write six files of some hundred bytes that claim 8 GB each."""

    def change(header: Dataset, _number: int) -> None:
        header.Rows = header.Columns = 65535

    write_volume(folder, change=change)


def write_bomb(folder: Path, grown_bytes: int = 1 << 30) -> None:
    """Write the phantom deflated; one file of a megabyte grows to a gigabyte."""
    zeros = bytes(1 << 20)
    for path in write_volume(folder, syntax=DeflatedExplicitVRLittleEndian)[:1]:
        content = path.read_bytes()
        start = content.index(b"UL\x04\0") + 4
        start += 4 + int.from_bytes(content[start : start + 4], "little")
        deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data_set = zlib.decompress(content[start:], wbits=-zlib.MAX_WBITS)
        grown = [deflater.compress(data_set), *(deflater.compress(zeros) for _ in range(grown_bytes // len(zeros)))]
        path.write_bytes(content[:start] + b"".join(grown) + deflater.flush())


def links_out(folder: Path) -> None:
    """Link to a file and a folder of another series outside."""
    outside = folder.parent / f"{folder.name}-outside"
    paths = write_volume(outside, volume=1, name="outside")
    (folder / "file.dcm").symlink_to(paths[0])
    (folder / "folder").symlink_to(outside, target_is_directory=True)


def links_within(folder: Path) -> None:
    """Link to every file of the folder, to the folder itself, to its parent, and to nothing."""
    for path in sorted(folder.glob("*.dcm")):
        (folder / f"again-{path.name}").symlink_to(path.name)
    (folder / "loop").symlink_to(".", target_is_directory=True)
    (folder / "self.dcm").symlink_to("self.dcm")
    (folder / "nothing.dcm").symlink_to("there is nothing")


def no_files(folder: Path) -> None:
    """Make a named pipe, a socket and a folder that are named like images."""
    os.mkfifo(folder / "pipe.dcm")
    os.mknod(folder / "socket.dcm", stat.S_IFSOCK | 0o600)
    (folder / "folder.dcm").mkdir()


def odd_names(folder: Path) -> None:
    """Give the files names that are no text, very long, or look like options and lines."""
    names = (b"\xff\xfe.dcm", b"-rf", b"a\nb.dcm", b" ", b"n" * 255, "\N{BRAIN}".encode())
    for path, name in zip(sorted(folder.glob("*.dcm")), names, strict=True):
        path.rename(Path(os.fsdecode(os.fsencode(folder) + b"/" + name)))


def deep_folders(folder: Path) -> None:
    """Put the last file 60 folders deep."""
    deep = folder.joinpath(*["d"] * 60)
    deep.mkdir(parents=True)
    (folder / f"000-{LAST:03d}.dcm").rename(deep / "x.dcm")


def spoilt(name: str, about: str, spoil: Spoil, expected: Expected, slices=(MIDDLE,), **options: object) -> Case:
    """Return the case of a volume some of whose files are spoilt."""
    return Case(f"damaged-{name}", about, partial(write_spoilt, spoil=spoil, slices=slices, **options), expected)


def beside(name: str, about: str, add: Callable[[Path], object], counts: Counts | None = None) -> Case:
    """Return the case of a good volume with something beside it."""
    return Case(f"damaged-{name}", about, partial(write_beside, add=add), Exact(counts=counts or Counts()))


def file(content: bytes) -> Callable[[Path], object]:
    """Return a writer of one more file."""
    return lambda folder: (folder / "more.dcm").write_bytes(content)


ALL = tuple(range(6))
LOST = Refused(Reason.MISSING_SLICE)
NO_NUMBER = Refused(Reason.BAD_GEOMETRY, (Reason.NO_GEOMETRY,))
NO_SIZE = Refused(Reason.MISSING_SLICE, (Reason.BAD_SIZE, Reason.BAD_GEOMETRY, Reason.NO_GEOMETRY))
ROWS, SPACING, POSITION, ORIENTATION, SLOPE = 0x00280010, 0x00280030, 0x00200032, 0x00200037, 0x00281053
PIXELS = 0x7FE00010
HEAD = bytes(128) + b"DICM"
TRICKS = (b"../../x", b"/etc/passwd", b"..\\..\\x", b"%2e%2e%2fx", b"$(touch x)", b"{0.__class__}")

CUT = (
    spoilt("header-cut", "A file ends within its header.", cut(0.3), LOST),
    spoilt("meta-cut", "A file ends within its file meta information.", cut(0.05), LOST),
    spoilt("last-header-cut", "The last file ends within its header: the rest is whole, one damaged file is counted.",
           cut(0.3), Exact(grids=(PHANTOM.slices(0, 5),), counts=Counts(unreadable=1)), slices=(LAST,)),
    spoilt("pixels-cut", "A file ends within its pixels.", lambda content: content[:-50],
           Refused(Reason.PIXELS_CUT_SHORT)),
    spoilt("pixels-cut-by-one-byte", "The last byte of a file is missing.", lambda content: content[:-1],
           Refused(Reason.PIXELS_CUT_SHORT)),
    spoilt("pixels-empty", "Pixel Data has no bytes.",
           lambda content: other_length(PIXELS, b"OW", 0)(content)[: element_start(content, PIXELS, b"OW") + 12],
           Refused(Reason.PIXELS_CUT_SHORT, (Reason.NO_PIXELS,))),
    spoilt("pixels-absent", "A file ends before Pixel Data.", lambda content: content[: content.index(PIXEL_DATA)],
           Refused(Reason.NO_PIXELS)),
    spoilt("pixels-absent-everywhere", "Headers of images without pixels.",
           lambda content: content[: content.index(PIXEL_DATA)], Refused(Reason.NO_PIXELS), ALL),
    spoilt("garbage-tail", "Random bytes follow the pixels.",
           lambda content: content + np.random.default_rng(1).bytes(999), Exact()),
    spoilt("padding-tail", "Data Set Trailing Padding follows the pixels.",
           lambda content: content + b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0" + bytes(8), Exact()),
    spoilt("pixels-too-long", "Pixel Data has more bytes than the image.",
           lambda content: other_length(PIXELS, b"OW", 2 * 117 + 1000)(content) + bytes(1000), Exact()),
    spoilt("zero-bytes", "A file is empty.", lambda _content: b"", LOST),
    spoilt("zeros", "A file is as long as before, but all zeros.", lambda content: bytes(len(content)), LOST),
    Case("damaged-only-empty", "The only file is empty.", partial(write_alone, content=b""), NothingEligible()),
    Case("damaged-only-preamble", "The only file ends after the preamble.", partial(write_alone, content=HEAD),
         NothingEligible()),
    Case("damaged-only-garbage", "The only file is random bytes after the preamble.",
         partial(write_alone, content=HEAD + np.random.default_rng(2).bytes(5000)), NothingEligible()),
    Case("damaged-no-preamble-implicit", "No preamble, no file meta information, implicit VR.",
         partial(write_bare, implicit=True), Exact()),
    Case("damaged-no-preamble-explicit", "No preamble, no file meta information, explicit VR.",
         partial(write_bare, implicit=False), Exact()),
    spoilt("no-preamble", "File meta information without the preamble.", lambda content: content[132:], Exact(), ALL),
    spoilt("other-preamble", "The preamble begins like a TIFF file.", lambda content: b"II*\0" + content[4:], Exact(),
           ALL),
)  # fmt: skip
SPOILT = (
    spoilt("rows-signed", "Rows says it is signed.", other_vr(ROWS, b"US", b"SS"), Exact()),
    spoilt("rows-unknown", "Rows says it is UN, whose length has four bytes.", other_vr(ROWS, b"US", b"UN"), NO_SIZE),
    spoilt("spacing-as-text", "Pixel Spacing says it is LO.", other_vr(SPACING, b"DS", b"LO"), Exact()),
    spoilt("position-as-binary", "Image Position says it is FD.", other_vr(POSITION, b"DS", b"FD"), NO_NUMBER),
    spoilt("position-nan", "Image Position is no number.", other_text(POSITION, b"nan\\0\\0"), NO_NUMBER),
    spoilt("position-infinite", "Image Position is infinite.", other_text(POSITION, b"0\\inf\\0"), NO_NUMBER),
    spoilt("position-huge", "Image Position is 1e300 mm away.", other_text(POSITION, b"0\\0\\1e300"),
           Refused(Reason.BAD_GEOMETRY, (Reason.MISSING_SLICE, Reason.UNEVEN_SPACING, Reason.TILT))),
    spoilt("position-with-comma", "Image Position has decimal commas.", other_text(POSITION, b"-31,5\\12,25\\55,75"),
           NO_NUMBER, ALL),
    spoilt("position-of-two", "Image Position has two values.", other_text(POSITION, b"1\\2"), NO_NUMBER),
    spoilt("orientation-junk", "Image Orientation is words.", other_text(ORIENTATION, b"left\\up\\x\\y\\z\\?"),
           NO_NUMBER),
    spoilt("orientation-zero", "Image Orientation is six zeros.", other_text(ORIENTATION, b"0\\0\\0\\0\\0\\0"),
           NO_NUMBER, ALL),
    spoilt("spacing-negative", "Pixel Spacing is negative.", other_text(SPACING, b"-1\\1"), NO_NUMBER, ALL),
    spoilt("slope-junk", "Rescale Slope is a word.", other_text(SLOPE, b"one"), Refused(Reason.BAD_RESCALE), ALL,
           RescaleSlope="1.00000", RescaleIntercept="0"),
    spoilt("slope-infinite", "Rescale Slope is infinite.", other_text(SLOPE, b"inf"), Refused(Reason.BAD_RESCALE),
           ALL, RescaleSlope="1.00000", RescaleIntercept="0"),
    spoilt("length-absurd", "An element in the header claims 4 GB.", inserted(
        BLOCK + struct.pack("<HH2sHI", 0x0029, 0x1011, b"OB", 0, 0xFFFFFFF0)),
        Refused(Reason.MISSING_SLICE, (Reason.NO_PIXELS,))),
    spoilt("length-odd", "An element in the header claims one byte too many.", inserted(
        BLOCK + struct.pack("<HH2sH", 0x0029, 0x1011, b"LO", 9) + b"eight by"),
        Refused(Reason.MISSING_SLICE, (Reason.NO_PIXELS,))),
    spoilt("pixel-length-absurd", "Pixel Data claims 4 GB; the pixels are there.",
           other_length(PIXELS, b"OW", 0xFFFFFFF0), Exact()),
    spoilt("pixel-length-short", "Pixel Data claims two bytes less than the image has.",
           other_length(PIXELS, b"OW", 2 * 117 - 2), Refused(Reason.PIXELS_CUT_SHORT)),
    spoilt("nested-1000-deep", "The header of a slice has a private sequence within itself, 1000 times.",
           inserted(nested(1000)), Refused(Reason.MISSING_SLICE)),
    spoilt("nested-20-deep", "The header of a slice has a private sequence within itself, 20 times.",
           inserted(nested(20)), Exact()),
    spoilt("sequence-unclosed", "A sequence of undefined length never ends.", inserted(BLOCK + sequence_start()),
           Refused(Reason.MISSING_SLICE, (Reason.NO_PIXELS,))),
    spoilt("character-set-unknown", "A character set that does not exist.", replaced(b"ISO_IR 192", b"ISO_IR 999"),
           Exact(), ALL),
    spoilt("character-set-escapes", "A name is no text in the character set it claims.",
           replaced(b"Doe^Sentinel", b"\xff\x1b$Z\xfe\xf6^\x1b(\xe9"), Exact()),
    Case("damaged-size-absurd", "Small files that claim 65535 x 65535 pixels.", write_absurd_size,
         Refused(Reason.BAD_SIZE, (Reason.PIXELS_CUT_SHORT,))),
    Case("damaged-size-zero", "Rows is 0.", partial(write_volume, change=lambda h, _n: setattr(h, "Rows", 0)),
         Refused(Reason.BAD_SIZE, (Reason.BAD_GEOMETRY,))),
    Case("damaged-frames-absurd", "An Enhanced object claims 2147483647 frames.",
         partial(write_enhanced, NumberOfFrames=2147483647), Refused(Reason.NO_GEOMETRY)),
    Case("damaged-frames-absurd-classic", "Single-frame files claim 2147483647 frames.",
         partial(write_volume, NumberOfFrames=2147483647), Refused(Reason.NO_GEOMETRY, (Reason.BAD_SIZE,))),
    Case("damaged-frames-negative", "An Enhanced object claims -1 frames.", partial(write_enhanced, NumberOfFrames=-1),
         Refused(Reason.NO_GEOMETRY)),
)  # fmt: skip
FOLDERS = (
    beside("empty-file", "An empty file.", file(b""), Counts(not_dicom=1, unreadable=0)),
    beside("preamble-only", "A file that ends after the preamble.", file(HEAD), Counts(unreadable=1)),
    beside("links-out", "Links to another series outside the folder.", links_out),
    beside("links-within", "Links to the same files, in circles, and to nothing.", links_within),
    beside("no-files", "A pipe, a socket and a folder with names of images.", no_files),
    beside("odd-names", "File names that are no text, very long, or look like options.", odd_names),
    beside("deep-folders", "A slice 60 folders below the others.", deep_folders),
    *(Case(f"damaged-uid-of-{length}", f"UIDs of {length} characters.", partial(write_long_uids, length=length),
           Exact()) for length in (64, 80)),
    *(spoilt(f"uid-trick-{number}", f"The Series Instance UID is {trick.decode()!r}.",
             replaced(derived_uid("phantom", "series").encode(), trick), Exact(), ALL)
      for number, trick in enumerate(TRICKS)),
    *(spoilt(f"name-trick-{number}", f"The patient is called {trick.decode()!r}.",
             replaced(b"Doe^Sentinel", trick[:12]), Exact(), ALL) for number, trick in enumerate(TRICKS)),
)  # fmt: skip

CASES = (*CUT, *SPOILT, *FOLDERS)
