import os
import socket
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_files
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    EncapsulatedPDFStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from imaging import read_header as module
from imaging import scan_header
from imaging.outcome import RefusedError
from imaging.parse_header import DAMAGE, complete_identity
from imaging.read_header import DeniedError, NotDicomError, find_image, looks_like_dicom, read_header
from imaging.scan_file import CHARACTER_SET, PIXELS
from imaging.scan_header import DamagedError
from tests.phantoms import PATIENT, bare_file, coded_pixels, rewrite, write_series

BUNDLED = {path.name: path for path in map(Path, get_testdata_files()) if path.is_file()}
PECULIAR = {"rtplan_truncated.dcm", "ExplVR_BigEndNoMeta.dcm"}  # cut within its header; not recognisable as DICOM
SYNTAXES = [
    ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless,
]  # fmt: skip
BYTE_SALAD = [b"\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0", b"\x00\x00", b"UN"]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # those of pydicom, on what is done to files here


def parsed(path):
    """Header and offset of the pixels as pydicom alone finds them: the slow, obvious way."""
    with path.open("rb") as file:
        header = dcmread(file, stop_before_pixels=True, force=True)
        offset = file.tell()
    complete_identity(header)
    if header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        offset = 0
    return header, offset if offset < path.stat().st_size else None


def told(dataset):
    """All a data set says, decoded; of what cannot be decoded, how it fails."""
    said = {}
    for tag in dataset.keys():  # noqa: SIM118  a data set iterates over elements
        try:
            element = dataset[tag]
            value = [told(item) for item in element.value] if element.VR == "SQ" else repr(element.value)
            said[int(tag)] = (str(element.VR), value)
        except (*DAMAGE, struct.error) as error:
            said[int(tag)] = type(error).__name__
    return said


def without_unknown(ours, parsed_by_pydicom):
    """What we say of the elements that pydicom can decode: a VR that does not exist is decoded as UN here."""
    undecodable = {tag for tag, value in parsed_by_pydicom.items() if value == NotImplementedError.__name__}
    return {tag: value for tag, value in ours.items() if tag not in undecodable}


def assert_same_as_parsed(path):
    instance = read_header(path)
    header, offset = parsed(path)
    facts = [header.get(f"{name}InstanceUID", "") for name in ("SOP", "Study", "Series")]

    expected = told(header)
    assert without_unknown(told(instance.header), expected) == without_unknown(expected, expected)
    assert told(instance.header.file_meta) == told(header.file_meta)
    assert instance.pixel_offset == offset
    assert [instance.uid, instance.facts.study_uid, instance.facts.series_uid] == [str(fact) for fact in facts]
    assert instance.facts.sop_class_uid == str(header.get("SOPClassUID", ""))
    assert instance.facts.transfer_syntax_uid == str(header.file_meta.get("TransferSyntaxUID", ""))


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory):
    """One slice in each encoding, with sequences, private elements and a character set."""

    def enrich(header, _):
        header.SpecificCharacterSet = "ISO_IR 192"
        header.PatientName = "Øvrebø^Sentinel"
        item = Dataset()
        item.CodeValue, item.PurposeOfReferenceCodeSequence = "T-1", [Dataset()]
        header.ProcedureCodeSequence = [item, item]
        header.private_block(0x0029, "VENDOR", create=True).add_new(0x10, "OB", bytes(range(256)) * 80)

    paths = {}
    for syntax in SYNTAXES:
        folder = tmp_path_factory.mktemp("syntax")
        for path in write_series(folder, coded_pixels()[:1], syntax=syntax, change=enrich):
            paths[syntax] = path
    return paths


@pytest.fixture
def scanned_only(monkeypatch):
    """The slow way is not taken."""

    def parse(*_):
        raise AssertionError("left to pydicom")

    monkeypatch.setattr(module, "parse_unusual", parse)


@pytest.mark.parametrize("name", sorted(BUNDLED.keys() - PECULIAR))
def test_files_of_many_kinds_are_read_as_pydicom_reads_them(name):
    try:
        parsed(BUNDLED[name])
        instance = read_header(BUNDLED[name])
    except DAMAGE as error:
        assert not isinstance(error, AssertionError)  # noqa: PT017  damaged by intent, or without identity
        assert not parsed(BUNDLED[name])[0].get("SOPInstanceUID") or "DICOMDIR" in name
        return
    if instance.facts.transfer_syntax_uid or instance.uid:
        assert_same_as_parsed(BUNDLED[name])


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_encoding_is_scanned_as_pydicom_parses_it(syntax, whole_files, scanned_only):
    assert_same_as_parsed(whole_files[syntax])


@pytest.mark.parametrize("implicit", [True, False])
def test_what_the_scan_does_not_know_is_parsed(implicit, whole_files, tmp_path):
    path = tmp_path / "bare.dcm"
    path.write_bytes(bare_file(dcmread(whole_files[ExplicitVRLittleEndian]), implicit=implicit))

    assert_same_as_parsed(path)


@given(st.data())
def test_a_mutated_file_is_read_as_pydicom_reads_it_or_refused(whole_files, tmp_path_factory, data):
    syntax = data.draw(st.sampled_from(SYNTAXES))
    content = bytearray(whole_files[syntax].read_bytes())
    end = read_header(whole_files[syntax]).pixel_offset or 600
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(132, min(end, len(content)) - 1))
        piece = data.draw(st.sampled_from(BYTE_SALAD) | st.binary(min_size=1, max_size=8))
        cut = data.draw(st.sampled_from([len(piece), 0, 1, 20]))
        content[place : place + cut] = piece
    path = tmp_path_factory.mktemp("mutated") / "slice.dcm"
    path.write_bytes(content)

    try:
        instance = read_header(path)
    except DAMAGE as error:
        assert isinstance(error, DamagedError | NotDicomError)  # noqa: PT017
        return
    try:
        parsed(path)
    except (*DAMAGE, zlib.error):  # of the pixels, or a character set that is replaced here
        assume(False)
    names = instance.header.get(CHARACTER_SET)
    assume(names is None or names.value == parsed(path)[0].SpecificCharacterSet)
    assert_same_as_parsed(path)


@pytest.mark.parametrize("vr", [b"QI", b"\0\0", b"us"])
def test_an_element_of_no_known_vr_is_decoded_as_the_dictionary_says(vr, tmp_path):
    def nest(header, _):
        item = Dataset()
        item.ReferencedSOPInstanceUID = "1.2.3.4.5.6"
        header.ReferencedImageSequence = [item]

    path = write_series(tmp_path, change=nest, SeriesDescription="a series")[0]
    rewrite(path, explicit(0x0008, 0x103E, b"LO", b"a series"), explicit(0x0008, 0x103E, vr, b"a series"))
    rewrite(path, explicit(0x0008, 0x1155, b"UI", b"1.2.3.4.5.6\0"), explicit(0x0008, 0x1155, vr, b"1.2.3.4.5.6\0"))

    try:
        header = read_header(path).header
    except DamagedError:  # as implicit VR the length is another one
        assert vr != b"QI"
        return
    assert header.SeriesDescription == "a series"
    assert header.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.5.6"


# -- when the header is parsed ---------------------------------------------------------------------------------------


def test_facts_are_known_without_the_file_and_a_file_that_is_gone_is_said(tmp_path):
    path = write_series(tmp_path)[0]
    instance = read_header(path)
    uid = dcmread(path).SOPInstanceUID
    path.unlink()

    assert instance.uid == uid
    with pytest.raises(RefusedError, match="has changed or is gone") as refusal:
        _ = instance.header
    assert str(tmp_path) not in str(refusal.value)


def test_a_header_is_parsed_once(tmp_path):
    instance = read_header(write_series(tmp_path)[0])

    assert instance.header is instance.header


def test_headers_that_share_elements_are_changed_one_by_one(tmp_path):
    shared = {}
    first, second = (find_image(path, shared).header for path in write_series(tmp_path)[:2])
    assert first.get_item("PatientID") is second.get_item("PatientID")

    first.PatientID = "another"

    assert second.PatientID == PATIENT["PatientID"]


def test_long_private_values_stay_in_the_file_until_they_are_asked_for(whole_files):
    header = read_header(whole_files[ExplicitVRLittleEndian]).header

    assert header._dict[0x00291010].value is None
    assert header[0x00291010].value == bytes(range(256)) * 80


# -- files that mean harm --------------------------------------------------------------------------------------------


def explicit(group, element, vr, value, length=None):
    """One element in explicit VR; its length may be a lie."""
    head = struct.pack("<HH2s", group, element, vr)
    size = len(value) if length is None else length
    long = vr in scan_header.LONG_VRS
    return head + (struct.pack("<HL", 0, size) if long else struct.pack("<H", size)) + value


def with_inserted(path, content, before=PIXELS[-1]):
    """Put elements before another one of an explicit little-endian file."""
    whole = path.read_bytes()
    place = whole.index(struct.pack("<HH", before >> 16, before & 0xFFFF))
    path.write_bytes(whole[:place] + content + whole[place:])
    return path


def nested(depth, *, undefined, vr=b"SQ", implicit=False):
    """Sequences within sequences."""
    heads, size = [], 0
    for _ in range(depth):
        item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF if undefined else size)
        length = 0xFFFFFFFF if undefined else size + 8
        head = struct.pack("<HHL", 0x0040, 0xA730, length) if implicit else explicit(0x0040, 0xA730, vr, b"", length)
        heads.append(head + item)
        size += len(head) + 8
    ends = struct.pack("<HHLHHL", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0) * depth
    return b"".join(reversed(heads)) + (ends if undefined else b"")


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("vr", [b"SQ", b"UN"])
@pytest.mark.parametrize("depth", [100, 1000, 20_000])
def test_sequences_nested_without_end_are_damage(depth, vr, undefined, tmp_path):
    path = write_series(tmp_path)[0]

    with pytest.raises(DAMAGE):
        read_header(with_inserted(path, nested(depth, undefined=undefined, vr=vr)))


@pytest.mark.parametrize("undefined", [True, False])
def test_implicit_sequences_nested_without_end_are_damage(undefined, tmp_path):
    path = write_series(tmp_path, syntax=ImplicitVRLittleEndian)[0]

    with pytest.raises(DamagedError):
        read_header(with_inserted(path, nested(1000, undefined=undefined, implicit=True)))


@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_as_deep_as_reports_have_them_are_read(undefined, tmp_path):
    path = with_inserted(write_series(tmp_path)[0], nested(20, undefined=undefined))

    assert_same_as_parsed(path)


@pytest.mark.parametrize("vr", [b"OB", b"SQ", b"UN"])
@pytest.mark.parametrize("claim", [0x7FFFFFFF, 0xFFFFFFF0])
@pytest.mark.parametrize("preamble", [True, False])
def test_no_memory_is_taken_for_a_length_that_is_only_claimed(claim, vr, preamble, tmp_path):
    path = with_inserted(write_series(tmp_path)[0], explicit(0x0041, 0x0010, vr, b"", claim))
    path.write_bytes(path.read_bytes() if preamble else path.read_bytes()[132:])
    tracemalloc.start()

    with pytest.raises(DamagedError):
        read_header(path)

    assert tracemalloc.get_traced_memory()[1] < 2 << 20
    tracemalloc.stop()


def test_a_header_that_is_longer_than_any_is_damage(tmp_path):
    path = write_series(tmp_path)[0]
    whole, length = path.read_bytes(), scan_header.MAX_HEADER_BYTES
    place = whole.index(struct.pack("<HH", 0x7FE0, 0x0010))
    with path.open("wb") as file:
        file.write(whole[:place] + explicit(0x7FDF, 0x0010, b"OB", b"", length))
        file.seek(length, os.SEEK_CUR)
        file.write(whole[place:])

    with pytest.raises(DamagedError, match="more than 64 MiB"):
        read_header(path)


def test_a_document_of_any_length_is_no_image_and_is_not_read(tmp_path):
    path = write_series(tmp_path, SOPClassUID=EncapsulatedPDFStorage)[0]
    with_inserted(path, explicit(0x0042, 0x0011, b"OB", b"", 0xFFFFFFF0), before=0x7FE00010)

    assert find_image(path, {}) is None


def test_elements_without_number_are_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(scan_header, "MAX_ELEMENTS", 50)

    with pytest.raises(DamagedError, match="more elements"):
        read_header(with_inserted(write_series(tmp_path)[0], nested(30, undefined=True)))


def test_a_deflated_data_set_is_inflated_no_further_than_a_header_goes(tmp_path, whole_files, monkeypatch):
    monkeypatch.setattr(scan_header, "MAX_HEADER_BYTES", 1 << 20)
    whole = whole_files[DeflatedExplicitVRLittleEndian].read_bytes()
    start = 132 + 12 + read_header(whole_files[DeflatedExplicitVRLittleEndian]).header.file_meta[0x00020000].value
    deflator = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = explicit(0x0008, 0x0001, b"OB", bytes(100 << 20))
    path = tmp_path / "bomb.dcm"
    path.write_bytes(whole[:start] + deflator.compress(bomb) + deflator.flush())
    del bomb
    tracemalloc.start()

    with pytest.raises(DamagedError, match="more than 1 MiB"):
        read_header(path)

    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_a_deflated_data_set_that_is_none_is_damage(tmp_path, whole_files):
    whole = whole_files[DeflatedExplicitVRLittleEndian].read_bytes()
    start = 132 + 12 + read_header(whole_files[DeflatedExplicitVRLittleEndian]).header.file_meta[0x00020000].value
    path = tmp_path / "junk.dcm"
    path.write_bytes(whole[:start] + b"\xff" * 2000)

    with pytest.raises(DamagedError):
        read_header(path)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_that_ends_in_its_header_is_damaged_or_has_no_pixels(syntax, tmp_path):
    path = write_series(tmp_path, syntax=syntax)[0]
    whole, offset = path.read_bytes(), read_header(path).pixel_offset
    kept = set()

    for length in range(132, offset, 3):
        path.write_bytes(whole[:length])
        try:
            kept.add(find_image(path, {}).pixel_offset)
        except DAMAGE:
            continue

    assert kept <= {None}


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "SeriesInstanceUID"])
@pytest.mark.parametrize("preamble", [True, False])
def test_an_image_without_what_every_image_has_is_damaged(keyword, preamble, tmp_path):
    path = write_series(tmp_path, **{keyword: None})[0]
    path.write_bytes(path.read_bytes() if preamble else path.read_bytes()[132:])

    with pytest.raises(DamagedError, match="lacks"):
        find_image(path, {})


@pytest.mark.parametrize(
    "character_set",
    [
        "undefined",
        "idna",
        "hex",
        "ISO_IR 999",
        "unicode_escape",
        "ISO 2022 IR 87\\junk",
        "\0",
        "a\0b",
        "\\\\",
        "utf-16",
    ],
)
@pytest.mark.parametrize("preamble", [True, False])
def test_text_can_be_decoded_whatever_the_character_set(character_set, preamble, tmp_path):
    path = write_series(tmp_path, SpecificCharacterSet="ISO_IR 100", PatientName="X" * 8)[0]
    stated = explicit(8, 5, b"CS", character_set.encode().ljust(20))
    path.write_bytes(path.read_bytes().replace(explicit(8, 5, b"CS", b"ISO_IR 100"), stated))
    rewrite(path, b"X" * 8, b"\xd8\x1b$B\xff\x00e ")
    path.write_bytes(path.read_bytes() if preamble else path.read_bytes()[132:])

    try:
        header = read_header(path).header
    except DamagedError:
        assert not preamble
        assert "\0" in character_set
        return
    assert isinstance(str(header.PatientName), str)
    assert isinstance(str(header.PatientName.family_name), str)
    assert header.PatientID == PATIENT["PatientID"]


def test_a_character_set_within_a_sequence_is_left_to_pydicom(tmp_path):
    def nest(header, _):
        item = Dataset()
        item.SpecificCharacterSet, item.CodeMeaning = "ISO_IR 192", "Øvrebø"
        header.ProcedureCodeSequence = [item]

    assert_same_as_parsed(write_series(tmp_path, change=nest)[0])


@pytest.mark.parametrize("uid", ["../../../../etc/passwd", "/etc/passwd", "1.2.3\\4.5", "1..2", "ANON", "1.2\n3"])
def test_a_uid_is_text_to_be_compared_whatever_it_looks_like(uid, tmp_path):
    path = write_series(tmp_path, SeriesInstanceUID="1.2.3." + "9" * 20)[0]
    rewrite(path, b"1.2.3." + b"9" * 20, uid.encode().ljust(26, b"\0"))

    assert_same_as_parsed(path)


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    paths = [tmp_path / name for name in ("pipe", "socket", "link", "absent", "folder")]
    os.mkfifo(paths[0])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(paths[1]))
    paths[2].symlink_to(write_series(tmp_path / "series")[0])
    paths[4].mkdir()

    for path in (*paths, Path("/dev/zero")):
        with pytest.raises(DeniedError):
            read_header(path)
        assert not looks_like_dicom(path)


@pytest.mark.parametrize("content", [b"", b"\x08", b"\x08\x00\x05", b"no DICOM at all", bytes(200)])
def test_a_file_that_does_not_begin_like_dicom_is_told(content, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)

    with pytest.raises(NotDicomError):
        read_header(path)


@pytest.mark.parametrize("preamble", [True, False])
def test_what_is_said_of_damage_holds_no_attribute(preamble, tmp_path, rng, caplog):
    path = write_series(tmp_path)[0]
    whole = path.read_bytes()[0 if preamble else 132 :]
    said = []

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(200):
            damaged = bytearray(whole[: rng.integers(400, 900)])
            for place in rng.integers(len(damaged), size=3):
                damaged[place] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                read_header(path)
            except DAMAGE as error:
                said.append(str(error))

    assert said
    assert not warned
    assert not caplog.records
    assert not [text for text in said for value in (*PATIENT.values(), "Doe", "SENTINEL") if value in text]
