import pytest
from pydicom import Dataset

from imaging.study import Series, Study, integer, tuple_of_floats
from tests.phantoms import PATIENT, series_of, slice_headers


def header_with(**attributes):
    header = Dataset()
    for keyword, value in attributes.items():
        setattr(header, keyword, value)
    return header


def test_a_series_speaks_for_the_attributes_its_instances_share():
    series = series_of(slice_headers(SeriesNumber=12))

    assert (series.number, series.modality, len(series.headers)) == (12, "MR", 6)
    assert series.uid == series.instances[3].header.SeriesInstanceUID
    assert len({instance.uid for instance in series.instances}) == 6


def test_a_series_is_described_without_its_patient():
    said = str(series_of(slice_headers(SeriesNumber=12)))

    assert said == "series 12 (MR, 6 instances)"
    assert not [value for value in PATIENT.values() if value in said]


def test_absent_attributes_are_said_to_be_absent():
    series = series_of([Dataset()])

    assert (series.number, series.modality, series.uid, series.instances[0].uid) == (None, "", "", "")
    assert str(series) == "series (no number) (no modality, 1 instances)"


def test_a_study_counts_what_it_was_made_from():
    study = Study((Series(()),), not_dicom=4, not_image=2, unreadable=3)

    assert study.counts() == "1 image series, 2 DICOM objects without an image, 3 damaged files, 4 other files"


@pytest.mark.parametrize(
    ("found", "floats"),
    [(None, None), ("", None), (["1.5", "-2"], (1.5, -2.0)), (7, (7.0,)), ([], ())],
)
def test_decimal_attributes_become_floats(found, floats):
    assert tuple_of_floats(found) == floats


@pytest.mark.parametrize(("found", "number"), [({}, None), ({"SeriesNumber": None}, None), ({"SeriesNumber": 5}, 5)])
def test_an_absent_or_empty_number_is_none(found, number):
    assert integer(header_with(**found), "SeriesNumber") == number


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # that of pydicom, on the value below
def test_a_number_that_is_none_is_none():
    assert integer(header_with(SeriesDescription="A1"), "SeriesDescription") is None
    assert integer(header_with(EchoTime=["1", "2"]), "EchoTime") is None
