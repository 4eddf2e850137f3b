import tracemalloc

import highdicom
import numpy as np
import pytest
from pydicom import dcmread

from imaging.encode_parametric_map import encode_parametric_map
from imaging.write_common import save_dicom
from tests.imaging.test_encode_heat_map import found, read_ct
from tests.nodule_samples import write_ct
from tests.series_samples import OTHER_WEIGHTS, PROVENANCE, source_of


@pytest.fixture(scope="module", params=["axial", "oblique"])
def source(request, tmp_path_factory):
    return read_ct(tmp_path_factory.mktemp("ct"), plane=request.param, backwards=True)


@pytest.fixture(scope="module")
def nodules(source):
    return [found(source, 1), found(source, 2)]


@pytest.fixture(scope="module")
def path(source, nodules, tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "heat.dcm"
    save_dicom(encode_parametric_map(nodules, source, PROVENANCE), path)
    return path


def test_another_reader_finds_the_heat_at_the_same_mm(source, nodules, path):
    heat = np.zeros(source.volume.shape, np.float32)
    for nodule in nodules:  # on the slices that show the nodule; the box of its heat is larger by one on every side
        heat[nodule.heat.box][1:3] = nodule.heat.values[1:3]

    read = highdicom.imread(path).get_volume()

    assert read.frame_of_reference_uid == source.volume.frame_of_reference_uid
    index = np.argwhere(read.array > 0)
    at = source.volume.map_reference_to_indices(read.map_indices_to_reference(index))
    np.testing.assert_allclose(at, np.rint(at), atol=0.01)
    np.testing.assert_allclose(read.array[tuple(index.T)], heat[tuple(np.rint(at).astype(int).T)], atol=1e-6)
    assert len(index) == np.count_nonzero(heat)


def test_only_the_slices_that_show_a_nodule_have_a_frame_and_it_names_them(source, path):
    read = dcmread(path)

    named = [
        groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for groups in read.PerFrameFunctionalGroupsSequence
    ]
    of_slice = dict(zip(source.slices, source.frames, strict=True))
    assert set(named) == {of_slice[number].instance.uid for number in (2, 3, 4)}
    for uid, groups in zip(named, read.PerFrameFunctionalGroupsSequence, strict=True):
        (frame,) = [frame for frame in source.frames if frame.instance.uid == uid]
        position = groups.PlanePositionSequence[0].ImagePositionPatient
        np.testing.assert_allclose(np.array(position, float), frame.plane.position_mm, atol=1e-3)


def test_it_says_what_the_numbers_are_and_that_it_is_for_research(path):
    read = dcmread(path)

    (mapping,) = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeMeaning == "no units"
    assert "malignancy" in mapping.LUTExplanation
    assert read.ContentQualification == "RESEARCH"
    assert "research use only" in read.SeriesDescription


def test_the_patient_is_that_of_the_source(source, path):
    header, read = source.stack.header, dcmread(path)

    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate"):
        assert read[keyword].value == header[keyword].value


def uids_of(made):
    return (
        made.SOPInstanceUID, made.SeriesInstanceUID,
        made.DimensionOrganizationSequence[0].DimensionOrganizationUID,
        made.DimensionIndexSequence[0].DimensionOrganizationUID,
    )  # fmt: skip


def test_equal_input_gives_equal_uids_and_other_weights_or_nodules_others(source, nodules):
    made, again, other, fewer = (
        uids_of(encode_parametric_map(chosen, source, provenance))
        for chosen, provenance in (
            (nodules, PROVENANCE), (nodules, PROVENANCE), (nodules, OTHER_WEIGHTS), (nodules[:1], PROVENANCE),
        )
    )  # fmt: skip

    assert made == again
    assert not set(made) & set(other)
    assert made[0] != fewer[0]


def test_without_heat_there_is_no_object(source):
    assert encode_parametric_map([found(source, 1, heat=False)], source, PROVENANCE) is None
    assert encode_parametric_map([], source, PROVENANCE) is None


def test_it_takes_memory_for_little_more_than_two_copies_of_its_pixels(tmp_path):
    """A CT of 600 slices has 180 MB of them: what is joined, and its parts."""
    source = source_of(write_ct(tmp_path, pixels=np.full((7, 1024, 1024), -800, np.int16)))
    nodules = [found(source, 1), found(source, 2)]
    tracemalloc.start()
    try:
        made = encode_parametric_map(nodules, source, PROVENANCE)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(made.FloatPixelData) == 3 * 1024 * 1024 * 4
    assert peak < 2.5 * len(made.FloatPixelData)
