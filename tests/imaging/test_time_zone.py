import time
from datetime import UTC, datetime, timedelta

import pytest
from pydicom.dataset import Dataset

from imaging.encode_seg import Segment, encode_seg
from imaging.measure_brain import BRAIN_LABEL
from imaging.time_zone import date_object
from tests.series_samples import PROVENANCE, asymmetric_mask, edit_study, source_of, write_series


def dated(**attributes):
    source, made = Dataset(), Dataset()
    for keyword, value in attributes.items():
        setattr(source, keyword, value)
    date_object(made, source)
    return made, datetime.strptime(made.ContentDate + made.ContentTime, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


@pytest.fixture
def in_zone(monkeypatch):
    """The machine is three hours before UTC."""
    monkeypatch.setenv("TZ", "XYZ-3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(("offset", "hours"), [("+0530", 5.5), ("-0330", -3.5), ("+1400", 14), ("+0000", 0)])
def test_times_are_in_the_zone_of_the_source_which_is_said(in_zone, offset, hours):
    made, found = dated(TimezoneOffsetFromUTC=offset)

    assert made.TimezoneOffsetFromUTC == offset
    assert abs(found - (datetime.now(UTC) + timedelta(hours=hours))) < timedelta(minutes=1)


@pytest.mark.parametrize("attributes", [{}, {"TimezoneOffsetFromUTC": ""}, {"TimezoneOffsetFromUTC": "+2500"},
                                        {"TimezoneOffsetFromUTC": "CET"}])  # fmt: skip
def test_without_one_they_are_those_of_the_machine(in_zone, attributes):
    made, found = dated(**attributes)

    assert "TimezoneOffsetFromUTC" not in made
    assert abs(found - (datetime.now(UTC) + timedelta(hours=3))) < timedelta(minutes=1)


def test_an_encoded_object_has_the_zone_of_its_source(tmp_path):
    def far_east(header, _):
        header.TimezoneOffsetFromUTC = "+0900"

    source = source_of(edit_study(write_series(tmp_path), far_east))

    seg = encode_seg([Segment(BRAIN_LABEL, asymmetric_mask())], source, PROVENANCE, "Brain mask")

    assert seg.TimezoneOffsetFromUTC == "+0900"
