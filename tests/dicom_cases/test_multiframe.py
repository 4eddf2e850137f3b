"""Multi-frame objects come out voxel for voxel, or are refused for the reason declared."""

import pytest

from tests.dicom_cases.judge import judge
from tests.dicom_cases.multiframe import CASES
from tests.dicom_cases.quick import mostly_system


@pytest.mark.parametrize("case", mostly_system(CASES))
def test_what_comes_out_is_what_the_case_declares(case, tmp_path):
    case.write(tmp_path)

    assert judge(case, tmp_path) == []
