"""The time zone of an object: dates and times of DICOM are local, in that of Timezone Offset From UTC if said."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from pydicom.dataset import Dataset

OFFSET = re.compile(r"([+-])(0\d|1[0-4])([0-5]\d)")
"""Hours from -1200 to +1400 (PS3.3 C.12.1.1.8)."""


def time_zone_of(source: Dataset) -> timezone | None:
    """Return the time zone that a header states; None where it states none, or none that there is.

    >>> header = Dataset()
    >>> header.TimezoneOffsetFromUTC = "-0330"
    >>> str(time_zone_of(header)), time_zone_of(Dataset())
    ('UTC-03:30', None)
    """
    found = OFFSET.fullmatch(str(source.get("TimezoneOffsetFromUTC") or "").strip())
    if not found:
        return None
    sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-offset if sign == "-" else offset)


def date_object(made: Dataset, source: Dataset) -> None:
    """Give an object the time of now as Content Date and Time, in the time zone of its source.

    Study Date and Time are those of the source, and one offset holds for all of an object. Where the source states
    none, times are those of this machine (its TZ).
    """
    zone = time_zone_of(source)
    if zone:
        made.TimezoneOffsetFromUTC = source.TimezoneOffsetFromUTC
    now = datetime.now(UTC).astimezone(zone)
    made.ContentDate, made.ContentTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
