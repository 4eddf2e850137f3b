import highdicom as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless

from imaging.encode_seg import Segment, SegmentLabel, encode_seg
from imaging.mark import Origin
from imaging.outcome import Reason
from imaging.read_seg_marks import seg_marks
from imaging.region import region_of
from imaging.uids import derived_uid
from imaging.write_common import save_dicom
from tests.nodule_samples import BALLS_MM, CT_SHAPE, ball, centre_mm, write_ct
from tests.series_samples import PLANES, PROVENANCE, source_of

pytestmark = pytest.mark.system  # slow: many voxels

ALL = np.array([ball(number) for number in BALLS_MM])
TYPES = {"nodule": codes.SCT.Nodule, "lung": codes.SCT.Lung, "tissue": codes.SCT.Tissue}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


def described(number, kind, label, uid):
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=TYPES[kind],
        algorithm_type="MANUAL",
        tracking_uid=uid,
        tracking_id=f"finding {number}",
    )


def by_highdicom(source, masks=ALL, kinds=("nodule",) * 3, labels=("Spot",) * 3, *, kind="BINARY", **options):
    """A segmentation as highdicom writes it: (segment, slice, row, column) masks on the slices of the source."""
    images = [dcmread(frame.instance.path) for frame in source.frames]
    values = np.moveaxis(np.asarray(masks), 0, -1)
    if kind == "LABELMAP":
        values = np.concatenate([~values.any(axis=-1, keepdims=True), values], axis=-1).argmax(axis=-1)
    return hd.seg.Segmentation(
        source_images=images,
        pixel_array=values.astype(float if kind == "FRACTIONAL" else np.uint8),
        segmentation_type=kind,
        segment_descriptions=[
            described(at + 1, kinds[at], labels[at], derived_uid("finding", str(at))) for at in range(len(masks))
        ],
        series_instance_uid=derived_uid("seg series"),
        series_number=9,
        sop_instance_uid=derived_uid("seg"),
        instance_number=1,
        manufacturer="Another",
        manufacturer_model_name="Another",
        software_versions="1",
        device_serial_number="1",
        **options,
    )


def reread(seg, folder):
    save_dicom(seg, folder / "seg.dcm")
    return dcmread(folder / "seg.dcm")


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))


def assert_marks_are_the_balls(marks, plane="axial", least=0.99):
    assert len(marks) == len(BALLS_MM)
    for mark, number in zip(marks, BALLS_MM, strict=True):
        assert dice(mark.region.within(CT_SHAPE), ball(number)) > least
        np.testing.assert_allclose(mark.centre_mm, centre_mm(number, plane), atol=0.4)
        assert mark.origin is Origin.SEG


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_segments_of_another_writer_are_found_where_they_are(tmp_path, plane, backwards):
    source = source_of(write_ct(tmp_path / "ct", plane=plane, backwards=backwards))

    found = seg_marks(reread(by_highdicom(source), tmp_path), source)

    assert_marks_are_the_balls(found.marks, plane)
    assert (found.flags, found.unusable) == ((), ())


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_segmentations_of_all_types_are_read(source, tmp_path, kind):
    assert_marks_are_the_balls(seg_marks(reread(by_highdicom(source, kind=kind), tmp_path), source).marks)


def test_what_is_at_least_half_counts_of_a_fractional_one(source, tmp_path):
    masks = np.where(ALL, 0.75, 0.25)

    assert_marks_are_the_balls(
        seg_marks(reread(by_highdicom(source, masks, kind="FRACTIONAL"), tmp_path), source).marks
    )


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP"])
def test_compressed_segmentations_are_read(source, tmp_path, kind):
    seg = by_highdicom(source, kind=kind, transfer_syntax_uid=RLELossless)

    assert_marks_are_the_balls(seg_marks(reread(seg, tmp_path), source).marks)


def test_segments_of_our_own_are_read(source, tmp_path):
    label = SegmentLabel(
        label="Nodule", category=codes.SCT.MorphologicallyAbnormalStructure, property_type=codes.SCT.Nodule,
        display_rgb=(9, 9, 9),
    )  # fmt: skip
    seg = encode_seg([Segment(label, region_of(mask)) for mask in ALL], source, PROVENANCE, "Nodules")

    found = seg_marks(reread(seg, tmp_path), source)

    assert_marks_are_the_balls(found.marks, least=0.9999)
    assert "computer alone" in found.flags[0]


def test_a_mark_keeps_its_tracking_uid(source, tmp_path):
    found = seg_marks(reread(by_highdicom(source), tmp_path), source)

    assert [mark.tracking_uid for mark in found.marks] == [derived_uid("finding", str(at)) for at in range(3)]


def test_a_lung_beside_the_nodules_is_no_nodule(source, tmp_path):
    seg = by_highdicom(source, kinds=("nodule", "lung", "nodule"))

    found = seg_marks(reread(seg, tmp_path), source)

    assert len(found.marks) == 2
    assert dice(found.marks[1].region.within(CT_SHAPE), ball(3)) > 0.99


def test_a_segmentation_without_nodules_is_said_not_to_be_used(source, tmp_path):
    found = seg_marks(reread(by_highdicom(source, kinds=("lung",) * 3, labels=("Nodule",) * 3), tmp_path), source)

    assert (found.marks, found.unusable) == ((), ())
    assert "no nodules" in found.flags[0]


def test_segments_that_say_nothing_count_and_it_is_said(source, tmp_path):
    seg = by_highdicom(source, kinds=("tissue",) * 3, labels=("Segment_1", "Segment_2", "3"))

    found = seg_marks(reread(seg, tmp_path), source)

    assert_marks_are_the_balls(found.marks)
    assert "does not say what it marks" in found.flags[0]


def test_something_large_that_says_nothing_is_no_nodule(tmp_path):
    pixels = np.zeros((50, 20, 20), np.int16)
    source = source_of(write_ct(tmp_path / "ct", pixels=pixels))  # 125 mm high
    seg = by_highdicom(source, np.ones((1, *pixels.shape), bool), ("tissue",), ("Segment_1",))

    found = seg_marks(reread(seg, tmp_path), source)

    assert found.marks == ()
    assert "larger than a nodule" in found.flags[0]


def test_separate_parts_of_a_segment_are_nodules_of_their_own(source, tmp_path):
    found = seg_marks(reread(by_highdicom(source, [ball(1) | ball(2)]), tmp_path), source)

    assert [mark.tracking_uid for mark in found.marks] == [None, None]
    assert sorted(mark.region.voxels for mark in found.marks) == sorted([ball(1).sum(), ball(2).sum()])
    assert "2 separate parts" in found.flags[0]


def test_a_stray_voxel_beside_a_nodule_is_part_of_it(source, tmp_path):
    mask = ball(1)
    mask[4, 12, 19] = True  # two voxels further

    found = seg_marks(reread(by_highdicom(source, [mask]), tmp_path), source)

    (mark,) = found.marks
    assert mark.region.voxels == mask.sum()


def test_an_empty_segment_is_flagged_and_hinders_nobody(source, tmp_path):
    masks = ALL.copy()
    masks[1] = False
    seg = by_highdicom(source, masks, omit_empty_frames=False)

    found = seg_marks(reread(seg, tmp_path), source)

    assert len(found.marks) == 2
    assert found.unusable == ()
    assert "empty" in found.flags[0]


def test_another_frame_of_reference_is_not_used(source, tmp_path):
    seg = reread(by_highdicom(source), tmp_path)
    seg.FrameOfReferenceUID = derived_uid("elsewhere")

    found = seg_marks(seg, source)

    assert found.marks == ()
    assert found.unusable == (Reason.OTHER_FRAME,)


def test_an_organ_in_another_frame_of_reference_hinders_nobody(source, tmp_path):
    seg = reread(by_highdicom(source, kinds=("lung",) * 3), tmp_path)
    seg.FrameOfReferenceUID = derived_uid("elsewhere")

    assert seg_marks(seg, source).unusable == ()


def test_without_a_frame_of_reference_the_series_has_to_be_that_of_the_ct(source, tmp_path):
    seg = reread(by_highdicom(source), tmp_path)
    del seg.FrameOfReferenceUID
    assert len(seg_marks(seg, source).marks) == 3

    seg.ReferencedSeriesSequence[0].SeriesInstanceUID = derived_uid("another series")
    assert seg_marks(seg, source).unusable == (Reason.OTHER_FRAME,)


def shifted(seg, shift_mm):
    for groups in seg.PerFrameFunctionalGroupsSequence:
        place = groups.PlanePositionSequence[0]
        place.ImagePositionPatient = [a + b for a, b in zip(place.ImagePositionPatient, shift_mm, strict=True)]
    return seg


@pytest.mark.parametrize("shift_mm", [(0.3, 0, 0), (0, 0.3, 0), (0, 0, 1.0)])
def test_frames_beside_the_voxels_are_not_used(source, tmp_path, shift_mm):
    seg = shifted(reread(by_highdicom(source), tmp_path), shift_mm)

    found = seg_marks(seg, source)

    assert (found.marks, found.unusable) == ((), (Reason.OTHER_FRAME,))


def test_frames_a_whole_voxel_aside_are_taken_as_they_say(source, tmp_path):
    seg = shifted(reread(by_highdicom(source, [ball(1)]), tmp_path), (0.9, 1.4, 2.5))

    (mark,) = seg_marks(seg, source).marks

    np.testing.assert_array_equal(mark.region.within(CT_SHAPE), np.roll(ball(1), (1, 2, 1), axis=(0, 1, 2)))


def test_a_mark_partly_outside_is_cut_off_and_flagged(source, tmp_path):
    seg = shifted(reread(by_highdicom(source, [ball(1)]), tmp_path), (-9.0, 0, 0))  # ten columns

    found = seg_marks(seg, source)

    (mark,) = found.marks
    np.testing.assert_array_equal(mark.region.within(CT_SHAPE)[:, :, :20], ball(1)[:, :, 10:30])
    assert "cut off" in found.flags[0]


def test_a_mark_outside_is_not_used(source, tmp_path):
    seg = shifted(reread(by_highdicom(source, [ball(1)]), tmp_path), (-90.0, 0, 0))

    found = seg_marks(seg, source)

    assert (found.marks, found.unusable) == ((), (Reason.OUTSIDE,))


def test_frames_of_part_of_the_image_are_put_where_they_say(source, tmp_path):
    """A writer that crops: half the rows, some of the columns, both axes flipped."""
    mask = ball(1)
    rows, columns = slice(4, 24), slice(2, 26)
    seg = reread(by_highdicom(source, [mask]), tmp_path)
    shared = seg.SharedFunctionalGroupsSequence[0]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    cropped = []
    for at, groups in enumerate(seg.PerFrameFunctionalGroupsSequence):
        place = groups.PlanePositionSequence[0]
        x, y, z = place.ImagePositionPatient
        number = round((z - 55.25) / 2.5)
        place.ImagePositionPatient = [x + 0.9 * (columns.stop - 1), y + 0.7 * (rows.stop - 1), z]
        cropped.append(mask[number, rows, columns][::-1, ::-1])
        assert at == len(cropped) - 1
    seg.Rows, seg.Columns = cropped[0].shape
    seg.PixelData = np.packbits(np.stack(cropped), axis=None, bitorder="little").tobytes()

    (mark,) = seg_marks(seg, source).marks

    np.testing.assert_array_equal(mark.region.within(CT_SHAPE), mask)


def test_frames_with_larger_voxels_are_not_used(source, tmp_path):
    seg = reread(by_highdicom(source), tmp_path)
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.4, 1.8]

    assert seg_marks(seg, source).unusable == (Reason.OTHER_FRAME,)
