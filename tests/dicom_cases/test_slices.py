"""What comes out of every case of single-frame slices is what it declares."""

import pytest

from tests.dicom_cases import OF_SLICES, cases
from tests.dicom_cases.judge import judge
from tests.dicom_cases.quick import mostly_system


@pytest.mark.parametrize("case", mostly_system(cases(OF_SLICES)))
def test_the_outcome_is_the_declared_one(case, written):
    differences = judge(case, written(case))

    assert not differences, "; ".join(differences)
