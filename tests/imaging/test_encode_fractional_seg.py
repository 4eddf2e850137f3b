import shutil
import subprocess

import numpy as np
import pytest
from highdicom.seg import SegmentationTypeValues, segread
from pydicom import dcmread
from pydicom.sr.codedict import codes

from imaging.check_fractional_seg import check_fractional_seg
from imaging.encode_fractional_seg import Votes, encode_fractional_seg
from imaging.encode_seg import BRAIN_LABEL, Segment, SegmentLabel, encode_seg
from imaging.outcome import OutputError
from imaging.write_common import save_dicom
from tests.series_samples import PLANES, PROVENANCE, SHAPE, source_of, write_series

pytestmark = pytest.mark.system  # slow: many voxels

TITLE = "Brain, probability"
LESION_LABEL = SegmentLabel(
    label="Lesion", category=codes.SCT.MorphologicallyAbnormalStructure, property_type=codes.SCT.Lesion,
    display_rgb=(200, 30, 30),
)  # fmt: skip


@pytest.fixture
def source(tmp_path):
    return source_of(write_series(tmp_path / "series"))


@pytest.fixture
def probability(rng):
    """All values from 0 to 1, none of them alike."""
    return rng.permutation(np.linspace(0, 1, int(np.prod(SHAPE)))).reshape(SHAPE).astype(np.float32)


def encode(source, *probabilities):
    labels = (BRAIN_LABEL, LESION_LABEL)
    votes = [Votes(label, each) for label, each in zip(labels, probabilities, strict=False)]
    return encode_fractional_seg(votes, source, PROVENANCE, TITLE), votes


def written(seg, folder):
    save_dicom(seg, folder / "votes.dcm")
    return folder / "votes.dcm"


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("plane", PLANES)
def test_another_reader_finds_the_probabilities_at_the_same_mm(tmp_path, probability, plane, backwards):
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=backwards))

    found = segread(written(encode(source, probability)[0], tmp_path)).get_volume(rescale_fractional=True)

    volume = source.volume.with_array(probability).match_geometry(found.get_geometry())
    np.testing.assert_allclose(found.affine, volume.affine, atol=1e-6)
    assert np.abs(found.array[..., 0] - volume.array).max() <= 0.5 / 255 + 1e-6
    assert np.ptp(found.array) == 1.0


def test_another_reader_finds_what_the_values_mean(source, probability, tmp_path):
    seg = segread(written(encode(source, probability)[0], tmp_path))

    assert seg.segmentation_type == SegmentationTypeValues.FRACTIONAL
    assert (seg.SegmentationFractionalType, seg.MaximumFractionalValue) == ("PROBABILITY", 255)
    assert seg.get_segment_description(1).segmented_property_type == BRAIN_LABEL.property_type


def test_pydicom_reads_one_byte_for_each_voxel(source, probability, tmp_path):
    dataset = dcmread(written(encode(source, probability)[0], tmp_path))

    heights = [
        group.PlanePositionSequence[0].ImagePositionPatient[2] for group in dataset.PerFrameFunctionalGroupsSequence
    ]
    pixels = dataset.pixel_array[np.argsort(heights)]
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels / dataset.MaximumFractionalValue, probability, atol=0.5 / 255 + 1e-6)


def test_each_segment_has_its_own_frames(source, probability, tmp_path):
    path = written(encode(source, probability, 1 - probability)[0], tmp_path)

    found = segread(path).get_volume(rescale_fractional=True).array

    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1 / 255 + 1e-6)
    assert not np.allclose(found[..., 0], found[..., 1], atol=0.1)


def test_each_frame_references_the_image_it_lies_on(source, probability):
    seg, _ = encode(source, probability)

    for groups in seg.PerFrameFunctionalGroupsSequence:
        referenced = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        (frame,) = [frame for frame in source.frames if frame.instance.uid == referenced]
        assert groups.PlanePositionSequence[0].ImagePositionPatient == pytest.approx(frame.plane.position_mm)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")
def test_dciodvfy_finds_no_error(source, probability, tmp_path):
    path = written(encode(source, probability, probability**2)[0], tmp_path)

    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, timeout=30, check=False)

    lines = (said.stdout + said.stderr).splitlines()
    assert any("Segmentation" in line for line in lines)
    assert [line for line in lines if line.startswith("Error")] == []


def test_it_stands_beside_the_mask_as_a_series_of_its_own(source, probability):
    seg, _ = encode(source, probability)
    mask = encode_seg([Segment(BRAIN_LABEL, probability > 0.5)], source, PROVENANCE, "Brain mask")

    assert seg.SeriesInstanceUID != mask.SeriesInstanceUID
    assert seg.SOPInstanceUID != mask.SOPInstanceUID
    assert seg.SeriesNumber not in (mask.SeriesNumber, mask.SeriesNumber + 1, mask.SeriesNumber + 2)
    assert seg.FrameOfReferenceUID == mask.FrameOfReferenceUID


def test_a_second_run_has_the_same_uids(source, probability):
    one, other = encode(source, probability)[0], encode(source, probability)[0]

    assert (one.SOPInstanceUID, one.SeriesInstanceUID) == (other.SOPInstanceUID, other.SeriesInstanceUID)


@pytest.mark.parametrize("value", [-0.01, 1.01, np.nan])
def test_what_is_no_probability_is_refused(source, probability, value):
    probability[2, 3, 4] = value

    with pytest.raises(ValueError, match="between 0 and 1"):
        encode(source, probability)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("plane", PLANES)
def test_what_was_written_passes_the_check(tmp_path, probability, plane, count):
    source = source_of(write_series(tmp_path / "series", plane=plane, backwards=True))

    seg, votes = encode(source, *[probability, probability**2][:count])

    check_fractional_seg(written(seg, tmp_path), votes, source)


def test_a_missing_slice_gets_no_frame_and_passes_the_check(tmp_path, probability):
    folder = write_series(tmp_path / "series")
    (folder / "0004.dcm").unlink()
    source = source_of(folder, max_gap_mm=100)

    seg, votes = encode(source, probability)

    assert seg.NumberOfFrames == SHAPE[0] - 1
    check_fractional_seg(written(seg, tmp_path), votes, source)


def displaced(seg):
    seg.PerFrameFunctionalGroupsSequence[2].PlanePositionSequence[0].ImagePositionPatient[1] += 0.05


def turned(seg):
    plane = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [-1, 0, 0, 0, -1, 0]


def one_value_off(seg):
    values = bytearray(seg.PixelData)
    values[200] ^= 1
    seg.PixelData = bytes(values)


def one_frame_less(seg):
    del seg.PerFrameFunctionalGroupsSequence[-1]
    seg.NumberOfFrames -= 1


def pixels_cut_short(seg):
    seg.PixelData = seg.PixelData[:-20]


def of_another_segment(seg):
    seg.PerFrameFunctionalGroupsSequence[1].SegmentIdentificationSequence[0].ReferencedSegmentNumber = 2


def of_another_meaning(seg):
    seg.MaximumFractionalValue = 100


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (displaced, "0.050 mm beside its source slice"),
        (turned, "turned or scaled"),
        (one_value_off, "is not what was computed"),
        (one_frame_less, "6 frames are needed"),
        (pixels_cut_short, "6 frames are needed"),
        (of_another_segment, "is not what was computed"),
        (of_another_meaning, "does not say that it holds probabilities"),
    ],
)
def test_what_was_written_wrongly_is_refused(source, probability, tmp_path, spoil, said):
    seg, votes = encode(source, probability)
    spoil(seg)

    with pytest.raises(OutputError, match=said):
        check_fractional_seg(written(seg, tmp_path), votes, source)
