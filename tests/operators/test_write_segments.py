"""The operator that writes segments, without a graph around it."""

import importlib
import warnings

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes

from cli.environment import preload_cuda_runtime
from imaging.encode_seg import Segment, SegmentLabel
from imaging.mask_frames import viewer_notes
from imaging.run_record import RunRecord
from tests.nodule_samples import ball, write_ct
from tests.series_samples import PROVENANCE, source_of, write_series

LABEL = SegmentLabel(
    label="Ball", category=codes.SCT.MorphologicallyAbnormalStructure, property_type=codes.SCT.Nodule,
    display_rgb=(9, 9, 9),
)  # fmt: skip


@pytest.fixture(scope="module", name="operator")
def _operator():
    """The class; Holoscan warns of the stack size when it is imported."""
    preload_cuda_runtime()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("operators.write_segments").WriteSegments


@pytest.fixture(scope="module", name="source")
def _source(tmp_path_factory):
    return source_of(write_ct(tmp_path_factory.mktemp("ct")))


class Ports(dict):
    """Input and output of an operator in one: what it emits is found under the name of the port."""

    receive = dict.__getitem__

    def emit(self, value, port):
        self[port] = value


def ran(operator, segments, source, folder):
    """The ports after the operator ran."""
    step = operator.__new__(operator)
    step.path, step.title, step.provenance, step.record = folder / "seg.dcm", "Balls", PROVENANCE, RunRecord()
    ports = Ports(segments=segments, source=source, notes=step.record.notes)
    step.step(ports, ports)
    return ports


def test_without_segments_nothing_is_written_and_none_is_passed_on(operator, source, tmp_path):
    ports = ran(operator, (), source, tmp_path)

    assert "seg" in ports
    assert ports["seg"] is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_passed_on_is_what_was_written(operator, source, tmp_path):
    ports = ran(operator, (Segment(LABEL, ball(1)),), source, tmp_path)

    (path,) = tmp_path.iterdir()
    written = dcmread(path)
    assert written.SOPInstanceUID == ports["seg"].SOPInstanceUID
    voxels = np.unpackbits(np.frombuffer(written.PixelData, np.uint8)).sum()
    assert voxels == np.count_nonzero(ball(1))
    assert ports["notes"] == viewer_notes(written.Rows, written.Columns, written.NumberOfFrames)


def test_the_record_says_that_a_viewer_shows_another_mask(operator, tmp_path):
    source = source_of(write_series(tmp_path / "series", shape=(5, 11, 9)))
    mask = np.zeros((5, 11, 9), bool)
    mask[2, 3:5, 4] = True
    (tmp_path / "out").mkdir()

    ports = ran(operator, (Segment(LABEL, mask),), source, tmp_path / "out")

    assert ["OHIF" in note for note in ports["notes"]] == [True]
