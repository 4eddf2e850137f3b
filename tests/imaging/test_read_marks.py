import numpy as np
import pytest
from pydicom.sr.codedict import codes

from imaging.encode_seg import Segment, SegmentLabel, encode_seg
from imaging.encode_sr import encode_sr
from imaging.load_study import load_study
from imaging.mark import Mark, Origin
from imaging.outcome import Reason, RefusedError
from imaging.read_marks import distinct_marks, find_marks, marks_in
from imaging.region import Region
from imaging.report_nodules import report_nodules
from imaging.uids import derived_uid
from imaging.write_common import save_dicom
from tests.mark_samples import SPACE, contour, outlines, structures
from tests.nodule_samples import BALLS_MM, centre_mm, nodule, region, write_ct
from tests.series_samples import PROVENANCE, source_of

pytestmark = pytest.mark.system  # slow: many voxels


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


@pytest.fixture(scope="module")
def report(source):
    return report_nodules([nodule(source, number) for number in BALLS_MM], [Origin.SEG])


@pytest.fixture(scope="module")
def seg(source, report):
    return encode_seg(report.segments, source, PROVENANCE, "Nodules")


def saved(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_dicom(dataset, path)
    return path


def rtstruct(*numbers, space=SPACE, shift_mm=(0, 0, 0)):
    made = structures(
        *(("Nodule", "", [contour(np.add(points, shift_mm)) for points in outlines(number)]) for number in numbers),
        space=space,
    )
    made.SOPInstanceUID = derived_uid("rtstruct", *map(str, numbers))
    return made


def test_each_kind_of_object_says_where_its_marks_come_from(source, seg, report, tmp_path):
    sr = encode_sr(report.findings, seg, source, PROVENANCE, title="Nodules")
    paths = {
        Origin.SEG: saved(seg, tmp_path / "seg"), Origin.RTSTRUCT: saved(rtstruct(1, 2, 3), tmp_path / "rt"),
        Origin.SR: saved(sr, tmp_path / "sr"),
    }  # fmt: skip

    for origin, path in paths.items():
        marks = marks_in([path], source).marks
        assert [mark.origin for mark in marks] == [origin] * 3


def test_a_nodule_that_several_objects_mark_counts_once(source, seg, report, tmp_path):
    sr = encode_sr(report.findings, seg, source, PROVENANCE, title="Nodules")
    paths = [saved(rtstruct(1, 2), tmp_path / "a"), saved(sr, tmp_path / "b"), saved(seg, tmp_path / "c")]

    found = marks_in(paths, source)

    assert [mark.origin for mark in found.marks] == [Origin.SEG] * 3
    assert any("2 marks of the study repeat" in flag for flag in found.flags)


def test_a_copy_of_an_object_counts_once(source, seg, tmp_path):
    found = marks_in([saved(seg, tmp_path / "a"), saved(seg, tmp_path / "b")], source)

    assert len(found.marks) == 3
    assert not any("repeat" in flag for flag in found.flags)


def test_what_one_object_lacks_another_adds(source, tmp_path):
    found = marks_in([saved(rtstruct(1), tmp_path / "a"), saved(rtstruct(2, 3), tmp_path / "b")], source)

    assert len(found.marks) == 3


def test_the_images_themselves_mark_nothing(source, tmp_path):
    paths = [frame.instance.path for frame in source.frames]

    assert marks_in(paths, source) == marks_in([], source)
    assert marks_in([], source).marks == ()


@pytest.mark.parametrize(
    ("options", "reason"),
    [({"space": "1.2.3"}, Reason.OTHER_FRAME), ({"shift_mm": (500, 0, 0)}, Reason.OUTSIDE)],
    ids=["another frame of reference", "outside"],
)
def test_when_no_mark_can_be_used_nothing_else_is_searched_for(source, tmp_path, options, reason):
    path = saved(rtstruct(1, 2, **options), tmp_path / "a")

    with pytest.raises(RefusedError, match=r"2 that cannot be used.*Send the objects") as raised:
        marks_in([path], source)
    assert raised.value.reason is reason


def test_one_usable_mark_is_enough_and_the_others_are_flagged(source, tmp_path):
    paths = [saved(rtstruct(1, space="1.2.3"), tmp_path / "a"), saved(rtstruct(2), tmp_path / "b")]

    found = marks_in(paths, source)

    assert len(found.marks) == 1
    assert any("another frame of reference" in flag for flag in found.flags)


def test_an_empty_segmentation_is_flagged_and_no_error(source, tmp_path):
    label = SegmentLabel(
        label="Nodule", category=codes.SCT.MorphologicallyAbnormalStructure, property_type=codes.SCT.Nodule,
        display_rgb=(9, 9, 9),
    )  # fmt: skip
    empty = encode_seg([Segment(label, np.zeros(source.volume.shape, bool))], source, PROVENANCE, "Nodules")

    found = marks_in([saved(empty, tmp_path / "a")], source)

    assert found.marks == ()
    assert any("empty" in flag for flag in found.flags)


def test_fifty_marks_are_fifty_marks(source, tmp_path):
    label = SegmentLabel(
        label="Nodule", category=codes.SCT.MorphologicallyAbnormalStructure, property_type=codes.SCT.Nodule,
        display_rgb=(9, 9, 9),
    )  # fmt: skip
    spots = [Region(np.ones((2, 2, 2), bool), (at % 5 * 2, at // 5 * 3, 5 * (at % 7))) for at in range(50)]
    seg = encode_seg([Segment(label, spot) for spot in spots], source, PROVENANCE, "Nodules")

    marks = marks_in([saved(seg, tmp_path / "a")], source).marks

    assert [mark.region.start for mark in marks] == [spot.start for spot in spots]


@pytest.mark.parametrize("length", [0, 100, 200, 1000, 3000, 6000, 9000])
def test_a_file_that_ends_early_is_flagged_or_nothing(source, seg, tmp_path, length):
    path = saved(seg, tmp_path / "a")
    path.write_bytes(path.read_bytes()[:length])

    found = marks_in([path], source)

    assert found.marks == ()


def test_a_segmentation_that_lacks_pixels_is_flagged(source, seg, tmp_path):
    path = saved(seg, tmp_path / "a")
    path.write_bytes(path.read_bytes()[:-300])

    found = marks_in([path], source)

    assert any("cannot be read" in flag for flag in found.flags)


@pytest.mark.parametrize("kind", ["seg", "rt", "sr"])
def test_changed_bytes_never_raise_anything_else(source, seg, report, tmp_path, rng, kind):
    made = {
        "seg": lambda: seg,
        "rt": lambda: rtstruct(1),
        "sr": lambda: encode_sr(report.findings, None, source, PROVENANCE, title="Nodules"),
    }[kind]()
    whole = saved(made, tmp_path / "a").read_bytes()
    for number in range(12):
        content = bytearray(whole)
        for at in rng.integers(132, min(len(content), 12_000), 8):
            content[at] = rng.integers(256)
        path = tmp_path / f"{number}"
        path.write_bytes(content)
        try:
            marks_in([path], source)
        except RefusedError as error:
            assert "cannot be used" in str(error)  # noqa: PT017


def test_no_word_of_an_object_gets_into_a_message(source, tmp_path):
    made = structures(
        ("Nodule SENTINEL", "", [contour(points) for points in outlines(1)]), ("Nodule SENTINEL", "", []),
        ("SENTINEL", "ORGAN", []),
    )  # fmt: skip

    found = marks_in([saved(made, tmp_path / "a")], source)

    assert found.flags
    assert "SENTINEL" not in repr((found.flags, [mark.tracking_uid for mark in found.marks]))


def point(at, **facts):
    return Mark(centre_mm=tuple(at), origin=Origin.SR, **facts)


def test_points_on_an_outline_or_on_one_another_are_one_nodule(source):
    outlined = Mark(centre_mm=tuple(centre_mm(1)), origin=Origin.SEG, region=region(1))
    beside = centre_mm(2)

    marks = distinct_marks(
        [point(centre_mm(1) + 1), point(beside), point(beside + 0.5), point(beside + 5), outlined], source
    )

    assert marks == (outlined, point(beside), point(beside + 5))


def test_the_objects_of_a_study_are_found_in_its_folder(seg, tmp_path):
    folder = write_ct(tmp_path / "in" / "ct")
    saved(seg, tmp_path / "in" / "other" / "seg.dcm")
    source = source_of(folder)

    study = load_study(tmp_path / "in")

    assert len(find_marks(study, source).marks) == 3
    assert [mark.centre_mm for mark in find_marks(study, source).marks] == [
        mark.centre_mm for mark in marks_in([tmp_path / "in" / "other" / "seg.dcm"], source).marks
    ]
