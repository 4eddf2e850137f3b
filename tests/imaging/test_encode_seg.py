import numpy as np
import pytest
from highdicom.seg import SegmentAlgorithmTypeValues, segread
from pydicom import dcmread
from pydicom.sr.codedict import codes

from imaging.check_seg import check_seg
from imaging.encode_seg import BRAIN_LABEL, Segment, SegmentLabel, encode_seg
from imaging.finding import Site
from imaging.outcome import OutputError
from imaging.region import Region, region_of
from imaging.write_common import save_dicom
from tests.series_samples import (
    NAMES,
    OTHER_WEIGHTS,
    PLANES,
    PROVENANCE,
    SHAPE,
    affine_of,
    assert_same_at_the_same_mm,
    asymmetric_mask,
    raw_bytes,
    source_of,
    write_series,
)


def encode(source, mask=None, provenance=PROVENANCE):
    mask = asymmetric_mask(source.volume.shape) if mask is None else mask
    return encode_seg([Segment(BRAIN_LABEL, mask)], source, provenance, "Brain mask")


def written(seg, folder):
    save_dicom(seg, folder / "seg.dcm")
    return folder / "seg.dcm"


@pytest.fixture
def source(tmp_path):
    return source_of(write_series(tmp_path / "series"))


@pytest.fixture
def source_without_slice_3(tmp_path):
    folder = write_series(tmp_path / "series")
    (folder / "0004.dcm").unlink()
    return source_of(folder, max_gap_mm=100)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_another_reader_finds_the_mask_at_the_same_mm(tmp_path, plane, backwards):
    mask = asymmetric_mask()
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=backwards))

    path = written(encode(source, mask), tmp_path)

    volume = segread(path).get_volume(combine_segments=True)
    assert_same_at_the_same_mm(mask, affine_of(plane), volume.array, volume.affine)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (6.0, 0.4, 0.9), (0.5, 2.5, 1.25)])
def test_another_reader_finds_the_mask_on_voxels_of_any_shape(tmp_path, spacing_mm):
    mask = asymmetric_mask()
    source = source_of(write_series(tmp_path / "series", plane="oblique", spacing_mm=spacing_mm))

    path = written(encode(source, mask), tmp_path)

    volume = segread(path).get_volume(combine_segments=True)
    assert_same_at_the_same_mm(mask, affine_of("oblique", spacing_mm), volume.array, volume.affine)


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_a_written_mask_passes_the_check(tmp_path, plane, backwards):
    mask = asymmetric_mask()
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=backwards))

    path = written(encode(source, mask), tmp_path)

    check_seg(path, [mask], source)


@pytest.mark.parametrize("digits", [2, 3])
def test_positions_stored_with_few_digits_pass_the_check(tmp_path, digits):
    def rounded(header, _number):
        header.ImagePositionPatient = [round(float(value), digits) for value in header.ImagePositionPatient]

    mask = asymmetric_mask()
    spacing_mm = (6.0, 0.7, 1.5)
    source = source_of(write_series(tmp_path / "series", plane="oblique", spacing_mm=spacing_mm, edit=rounded))

    path = written(encode(source, mask), tmp_path)

    check_seg(path, [mask], source)


@pytest.mark.parametrize("fill", [False, True], ids=["empty", "full"])
def test_every_slice_has_a_frame_whatever_the_mask(source, fill):
    seg = encode(source, np.full(SHAPE, fill))

    assert seg.NumberOfFrames == SHAPE[0]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("shift_mm", [0.05, -4.0])
def test_a_displaced_frame_is_refused(source, tmp_path, axis, shift_mm):
    seg = encode(source)
    seg.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient[axis] += shift_mm
    path = written(seg, tmp_path)

    with pytest.raises(OutputError, match=r"beside its source slice|is not the mask"):
        check_seg(path, [asymmetric_mask()], source)


def test_a_frame_outside_the_volume_is_refused(source, tmp_path):
    seg = encode(source)
    positions = [item.PlanePositionSequence[0] for item in seg.PerFrameFunctionalGroupsSequence]
    max(positions, key=lambda item: item.ImagePositionPatient[2]).ImagePositionPatient[2] += 4.0
    path = written(seg, tmp_path)

    with pytest.raises(OutputError, match="beside its source slice"):
        check_seg(path, [asymmetric_mask()], source)


def test_two_exchanged_frames_are_refused(source, tmp_path):
    seg = encode(source)
    first, second = (seg.PerFrameFunctionalGroupsSequence[number].PlanePositionSequence for number in (1, 2))
    first[0], second[0] = second[0], first[0]
    path = written(seg, tmp_path)

    with pytest.raises(OutputError, match="is not the mask"):
        check_seg(path, [asymmetric_mask()], source)


@pytest.mark.parametrize("voxel", [(0, 0, 0), (3, 4, 5), (5, 8, 12)])
def test_one_wrong_voxel_is_refused(source, tmp_path, voxel):
    mask = asymmetric_mask()
    other = mask.copy()
    other[voxel] = ~other[voxel]
    path = written(encode(source, other), tmp_path)

    with pytest.raises(OutputError, match=rf"Slice {voxel[0] + 1} .* is not the mask"):
        check_seg(path, [mask], source)


def test_a_missing_frame_is_refused(source, tmp_path):
    seg = encode(source)
    del seg.PerFrameFunctionalGroupsSequence[-1]
    seg.NumberOfFrames = SHAPE[0] - 1
    path = written(seg, tmp_path)

    with pytest.raises(OutputError, match="1 source slices have no frame"):
        check_seg(path, [asymmetric_mask()], source)


def test_turned_frames_are_refused(source, tmp_path):
    seg = encode(source)
    plane = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]
    path = written(seg, tmp_path)

    with pytest.raises(OutputError):
        check_seg(path, [asymmetric_mask()], source)


def test_frames_of_other_spacing_are_refused(source, tmp_path):
    seg = encode(source)
    seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.5, 0.7]
    path = written(seg, tmp_path)

    with pytest.raises(OutputError):
        check_seg(path, [asymmetric_mask()], source)


def test_a_missing_slice_gets_no_frame(source_without_slice_3):
    seg = encode(source_without_slice_3)

    heights = {
        float(item.PlanePositionSequence[0].ImagePositionPatient[2]) for item in seg.PerFrameFunctionalGroupsSequence
    }
    assert heights == {55.25 + 4.0 * number for number in (0, 1, 2, 4, 5)}


def test_frames_around_a_missing_slice_hold_their_own_masks(source_without_slice_3, tmp_path):
    mask = asymmetric_mask()

    path = written(encode(source_without_slice_3, mask), tmp_path)

    found = segread(path).get_volume(combine_segments=True, allow_missing_positions=True)
    mask[3] = False
    assert_same_at_the_same_mm(mask, affine_of("axial"), found.array, found.affine)


def test_a_mask_with_a_missing_slice_passes_the_check(source_without_slice_3, tmp_path):
    path = written(encode(source_without_slice_3), tmp_path)

    check_seg(path, [asymmetric_mask()], source_without_slice_3)


@pytest.mark.parametrize("plane", PLANES)
def test_every_frame_references_the_instance_it_was_drawn_on(tmp_path, plane):
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=True))
    positions = {header.SOPInstanceUID: header.ImagePositionPatient for header in source.series.headers}

    seg = encode(source)

    for item in seg.PerFrameFunctionalGroupsSequence:
        reference = item.DerivationImageSequence[0].SourceImageSequence[0]
        position = item.PlanePositionSequence[0].ImagePositionPatient
        assert positions.pop(reference.ReferencedSOPInstanceUID) == pytest.approx(position, abs=1e-4)
    assert positions == {}


def test_the_segment_is_coded_as_brain(source):
    segment = encode(source).SegmentSequence[0]

    code = segment.SegmentedPropertyTypeCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == ("12738006", "SCT", "Brain")


def test_the_segment_is_an_anatomical_structure(source):
    segment = encode(source).SegmentSequence[0]

    code = segment.SegmentedPropertyCategoryCodeSequence[0]
    assert (code.CodeValue, code.CodingSchemeDesignator) == ("91723000", "SCT")


def test_the_segment_names_the_algorithm_by_the_hash_of_its_weights(source):
    segment = encode(source).SegmentSequence[0]

    algorithm = segment.SegmentationAlgorithmIdentificationSequence[0]
    assert (segment.SegmentAlgorithmType, algorithm.AlgorithmName, algorithm.AlgorithmVersion) == (
        "AUTOMATIC", "brains 0123456789ab", "4.5",
    )  # fmt: skip


def test_the_object_names_the_software_that_made_it(source):
    seg = encode(source)

    assert (seg.Manufacturer, seg.ManufacturerModelName, seg.SoftwareVersions) == (
        "map-suite", "skull_strip", "skull_strip 1.2.3, model 4.5",
    )  # fmt: skip


def test_the_object_says_that_it_is_for_research(source):
    assert "research use only" in encode(source).SeriesDescription


UIDS = ("SeriesInstanceUID", "SOPInstanceUID")


def uids(seg):
    return [str(seg[keyword].value) for keyword in UIDS] + [str(seg.SegmentSequence[0].TrackingUID)]


def test_a_second_run_has_the_same_uids(source):
    assert uids(encode(source)) == uids(encode(source))


def test_the_order_of_files_does_not_change_the_uids(source, tmp_path):
    backwards = source_of(write_series(tmp_path / "backwards", backwards=True))

    assert uids(encode(backwards)) == uids(encode(source))


def test_other_weights_make_other_uids(source):
    ours, theirs = uids(encode(source)), uids(encode(source, provenance=OTHER_WEIGHTS))

    assert not set(ours) & set(theirs)


def test_the_uids_of_an_object_differ_from_each_other_and_from_the_source(source):
    header = source.series.header

    found = [*uids(encode(source)), header.SeriesInstanceUID, header.SOPInstanceUID]

    assert len(set(found)) == len(found)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "AccessionNumber"])
def test_patient_study_and_space_are_those_of_the_source(source, keyword):
    assert encode(source)[keyword].value == source.series.header[keyword].value


@pytest.mark.parametrize("script", NAMES)
def test_a_patient_name_keeps_its_bytes(tmp_path, script):
    def rename(header, _number):
        header.SpecificCharacterSet, header.PatientName = NAMES[script]

    folder = write_series(tmp_path / "series", edit=rename)

    path = written(encode(source_of(folder)), tmp_path)

    assert raw_bytes(dcmread(path), "PatientName") == raw_bytes(dcmread(folder / "0001.dcm"), "PatientName")


@pytest.mark.parametrize("script", NAMES)
def test_a_patient_name_reads_as_in_the_source(tmp_path, script):
    def rename(header, _number):
        header.SpecificCharacterSet, header.PatientName = NAMES[script]

    path = written(encode(source_of(write_series(tmp_path / "series", edit=rename))), tmp_path)

    assert dcmread(path).PatientName == NAMES[script][1]


@pytest.mark.parametrize(
    "keyword",
    [
        "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientName", "PatientID", "PatientBirthDate",
        "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName",
        "SeriesNumber", "InstanceNumber", "SliceThickness", "Manufacturer", "ImageType", "PatientPosition",
        "SpecificCharacterSet",
    ],
)  # fmt: skip
def test_a_source_from_which_an_attribute_was_removed_is_still_encoded(tmp_path, keyword):
    source = source_of(write_series(tmp_path / "series", edit=lambda header, _number: header.pop(keyword, None)))

    path = written(encode(source), tmp_path)

    check_seg(path, [asymmetric_mask()], source)


BLOCKS = {  # first and last voxel of two blocks that touch different slices, of different sizes
    1: ((1, 2, 3), (3, 6, 9)),
    2: ((4, 0, 8), (4, 3, 12)),
}


def label_of(number, **facts):
    return SegmentLabel(
        label=f"Spot {number}",
        category=codes.SCT.MorphologicallyAbnormalStructure,
        property_type=codes.SCT.Nodule,
        display_rgb=(200, 4 * number, 10),
        **facts,
    )


def block(number):
    """An asymmetric part of a volume."""
    first, last = BLOCKS[number]
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))] = True
    mask[first] = False
    return mask


def found_at(array, affine, own_affine):
    """Voxels of a mask on another grid, as sorted indices of our own."""
    to_own = np.linalg.inv(own_affine) @ affine
    index = np.argwhere(array) @ to_own[:3, :3].T + to_own[:3, 3]
    np.testing.assert_allclose(index, np.rint(index), atol=0.01)
    return np.array(sorted(map(tuple, np.rint(index).astype(int))))


def regions(*masks):
    return [Segment(label_of(number), region_of(mask)) for number, mask in enumerate(masks, start=1)]


def encode_all(source, segments):
    return encode_seg(segments, source, PROVENANCE, "Spots")


def test_regions_have_frames_on_the_slices_they_touch_alone(source):
    seg = encode_all(source, regions(block(1), block(2)))

    numbers = [
        groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for groups in seg.PerFrameFunctionalGroupsSequence
    ]
    assert numbers == [1, 1, 1, 2]


def test_positions_of_frames_are_counted_without_gaps(source):
    seg = encode_all(source, regions(block(1), block(2)))

    index = [
        tuple(groups.FrameContentSequence[0].DimensionIndexValues) for groups in seg.PerFrameFunctionalGroupsSequence
    ]
    assert index == [(1, 1), (1, 2), (1, 3), (2, 4)]


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_another_reader_finds_each_region_at_the_same_mm(tmp_path, plane, backwards):
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=backwards))

    path = written(encode_all(source, regions(block(1), block(2))), tmp_path)

    for number in BLOCKS:
        found = segread(path).get_volume(segment_numbers=[number])
        index = found_at(found.array[..., 0] > 0, found.affine, affine_of(plane))
        np.testing.assert_array_equal(index, np.argwhere(block(number)))


def test_written_regions_pass_the_check(source, tmp_path):
    segments = regions(block(1), block(2))
    path = written(encode_all(source, segments), tmp_path)

    check_seg(path, [segment.mask for segment in segments], source)


def test_a_region_that_lacks_a_frame_is_refused(source, tmp_path):
    path = written(encode_all(source, regions(block(1), block(2))), tmp_path)
    larger = block(2)
    larger[5, 0, 8] = True

    with pytest.raises(OutputError, match="1 source slices have no frame"):
        check_seg(path, [region_of(block(1)), region_of(larger)], source)


@pytest.mark.parametrize("number", BLOCKS)
def test_one_wrong_voxel_of_a_region_is_refused(source, tmp_path, number):
    path = written(encode_all(source, regions(block(1), block(2))), tmp_path)
    masks = {1: block(1), 2: block(2)}
    last = BLOCKS[number][1]
    masks[number][last] = False

    with pytest.raises(OutputError, match=rf"Slice {last[0] + 1} .* is not the mask"):
        check_seg(path, [region_of(mask) for mask in masks.values()], source)


def test_a_file_that_ends_early_is_refused(source, tmp_path):
    segments = regions(block(1), block(2))
    seg = encode_all(source, segments)
    seg.PixelData = seg.PixelData[:20]
    path = written(seg, tmp_path)

    with pytest.raises(OutputError, match="ends within frame 2"):
        check_seg(path, [segment.mask for segment in segments], source)


@pytest.mark.parametrize(("row", "overlap"), [(6, "YES"), (7, "NO")])
def test_overlapping_regions_are_said_to_overlap(source, row, overlap):
    other = np.zeros(SHAPE, bool)
    other[3, row:, 5] = True

    assert encode_all(source, regions(block(1), other)).SegmentsOverlap == overlap


def test_boxes_may_overlap_where_masks_do_not(source):
    one, other = (np.zeros(SHAPE, bool) for _ in range(2))
    one[2, 3, 3], one[2, 5, 5], other[2, 4, 4] = True, True, True

    assert encode_all(source, regions(one, other)).SegmentsOverlap == "NO"


def test_a_mask_on_the_volume_and_a_region_go_together(source, tmp_path):
    segments = [Segment(BRAIN_LABEL, asymmetric_mask()), Segment(label_of(2), region_of(block(2)))]

    seg = encode_all(source, segments)

    assert seg.NumberOfFrames == SHAPE[0] + 1
    check_seg(written(seg, tmp_path), [segment.mask for segment in segments], source)


def test_a_region_where_a_slice_is_missing_has_no_frame_there(source_without_slice_3, tmp_path):
    segments = regions(block(1), block(2))

    seg = encode_all(source_without_slice_3, segments)

    assert seg.NumberOfFrames == 3
    check_seg(written(seg, tmp_path), [segment.mask for segment in segments], source_without_slice_3)


def test_a_region_on_a_missing_slice_alone_keeps_its_segment(source_without_slice_3, tmp_path):
    alone = Region(np.ones((1, 2, 2), bool), (3, 4, 5))

    seg = encode_all(source_without_slice_3, [Segment(label_of(1), alone)])

    assert (seg.NumberOfFrames, len(seg.SegmentSequence)) == (1, 1)
    assert not any(seg.PixelData)
    check_seg(written(seg, tmp_path), [alone], source_without_slice_3)


def test_a_region_is_written_as_its_mask_on_the_volume_would_be(source):
    full = np.ones(SHAPE, bool)

    as_region, as_mask = (encode_all(source, [Segment(label_of(1), one)]) for one in (region_of(full), full))

    assert as_region.PixelData == as_mask.PixelData
    assert as_region.PerFrameFunctionalGroupsSequence == as_mask.PerFrameFunctionalGroupsSequence


def test_the_site_of_a_segment_is_said_with_its_side(source):
    label = label_of(1, site=Site(codes.SCT.Lung, codes.SCT.Left))

    (segment,) = encode_all(source, [Segment(label, region_of(block(1)))]).SegmentSequence

    (region,) = segment.AnatomicRegionSequence
    assert (region.CodeValue, region.AnatomicRegionModifierSequence[0].CodeValue) == ("39607008", "7771000")


def test_a_segment_without_a_site_says_none(source):
    (segment,) = encode_all(source, regions(block(1))).SegmentSequence

    assert "AnatomicRegionSequence" not in segment


def test_a_segment_continues_what_was_tracked(source):
    label = label_of(1, tracking_uid="1.2.3.4", algorithm_type=SegmentAlgorithmTypeValues.SEMIAUTOMATIC)

    (segment,) = encode_all(source, [Segment(label, region_of(block(1)))]).SegmentSequence

    assert (segment.TrackingUID, segment.SegmentAlgorithmType) == ("1.2.3.4", "SEMIAUTOMATIC")


def test_fifty_small_regions_stay_small(tmp_path):
    source = source_of(write_series(tmp_path / "series", shape=(40, 16, 16)))
    spots = [Region(np.ones((2, 2, 2), bool), (at % 38, at % 13, at % 11)) for at in range(50)]

    seg = encode_all(source, [Segment(label_of(number), spot) for number, spot in enumerate(spots, start=1)])

    assert seg.NumberOfFrames == 100
    assert len(seg.PixelData) == 100 * 16 * 16 // 8
    check_seg(written(seg, tmp_path), spots, source)


@pytest.mark.parametrize("region", [False, True], ids=["mask", "region"])
def test_a_mask_whose_frames_would_end_with_a_pad_byte_has_none_and_passes_the_check(tmp_path, region):
    """Five frames of 15 bytes: one more or one less, and the same voxels."""
    source = source_of(write_series(tmp_path / "series", shape=(5, 12, 10)))
    mask = asymmetric_mask(source.volume.shape)
    mask[:1] &= not region
    shown = region_of(mask) if region else mask

    path = written(encode_seg([Segment(BRAIN_LABEL, shown)], source, PROVENANCE, "Brain mask"), tmp_path)

    check_seg(path, [shown], source)
    seg = dcmread(path)
    assert len(seg.PixelData) == seg.NumberOfFrames * 15
    frames = seg.pixel_array.reshape(-1, 12, 10)
    assert np.count_nonzero(frames) == np.count_nonzero(mask)
    assert len(seg.PerFrameFunctionalGroupsSequence) == seg.NumberOfFrames == 4
