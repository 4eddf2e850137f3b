"""The operator that writes segments, without a graph around it."""

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes

from imaging.encode_seg import Segment, SegmentLabel
from imaging.mask_frames import viewer_notes
from tests.nodule_samples import ball, write_ct
from tests.operators.run_operator import Ports, operator_module, ran
from tests.series_samples import PROVENANCE, source_of, write_series

LABEL = SegmentLabel(
    label="Ball", category=codes.SCT.MorphologicallyAbnormalStructure, property_type=codes.SCT.Nodule,
    display_rgb=(9, 9, 9),
)  # fmt: skip


@pytest.fixture(scope="module", name="source")
def _source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


def written(segments, source, folder):
    """The ports and the record after the operator ran."""
    kind = operator_module("write_segments").WriteSegments
    ports = Ports(segments=segments, source=source)
    return ran(kind, ports, path=folder / "seg.dcm", title="Balls", provenance=PROVENANCE)


def test_without_segments_nothing_is_written_and_none_is_passed_on(source, tmp_path):
    ports, _ = written((), source, tmp_path)

    assert "seg" in ports
    assert ports["seg"] is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_passed_on_is_what_was_written(source, tmp_path):
    ports, record = written((Segment(LABEL, ball(1)),), source, tmp_path)

    (path,) = tmp_path.iterdir()
    seg = dcmread(path)
    assert seg.SOPInstanceUID == ports["seg"].SOPInstanceUID
    voxels = np.unpackbits(np.frombuffer(seg.PixelData, np.uint8)).sum()
    assert voxels == np.count_nonzero(ball(1))
    assert record.notes == viewer_notes(seg.Rows, seg.Columns, seg.NumberOfFrames)


def test_the_record_says_that_a_viewer_shows_another_mask(tmp_path):
    source = source_of(write_series(tmp_path / "series", shape=(5, 11, 9)))
    mask = np.zeros((5, 11, 9), bool)
    mask[2, 3:5, 4] = True
    (tmp_path / "out").mkdir()

    _, record = written((Segment(LABEL, mask),), source, tmp_path / "out")

    assert ["OHIF" in note for note in record.notes] == [True]
