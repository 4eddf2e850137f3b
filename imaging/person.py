"""Age and sex as far as a header states them; they widen or narrow what is expected and are never written anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom.dataset import Dataset

from imaging.write_common import AGE

YEARS = {"D": 1 / 365.25, "W": 7 / 365.25, "M": 1 / 12, "Y": 1.0}


@dataclass(frozen=True, repr=False)
class Person:
    """What is known of the person; no representation, so that no log shows it."""

    age_years: float | None = None
    sex: Literal["F", "M"] | None = None


UNKNOWN = Person()


def person_of(header: Dataset) -> Person:
    """Return Patient's Age and Patient's Sex (PS3.3 C.7.2.2, C.7.1.1); what is absent or of no form stays unknown.

    >>> header = Dataset()
    >>> header.PatientAge, header.PatientSex = "018M", "F"
    >>> person_of(header).age_years, person_of(header).sex
    (1.5, 'F')
    """
    age, sex = str(header.get("PatientAge") or ""), str(header.get("PatientSex") or "")
    years = int(age[:3]) * YEARS[age[3]] if AGE.fullmatch(age) else None
    return Person(years, "F" if sex == "F" else "M" if sex == "M" else None)
