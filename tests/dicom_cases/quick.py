"""Which cases run with the fast tests; the system tests run every one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.dicom_cases.case import Case


def mostly_system(cases: Sequence[Case], one_in: int = 4) -> list[Any]:
    """Return the cases as parameters of a test: one of so many is fast, the others are system tests."""
    return [
        pytest.param(case, id=case.name, marks=[] if number % one_in == 0 else [pytest.mark.system])
        for number, case in enumerate(cases)
    ]
