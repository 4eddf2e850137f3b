"""Every transfer syntax comes out as it should, or is refused by name."""

import pytest

from tests.dicom_cases.judge import judge, observe
from tests.dicom_cases.quick import mostly_system
from tests.dicom_cases.syntaxes import CASES


@pytest.mark.parametrize("case", mostly_system(CASES))
def test_what_comes_out_is_what_the_case_declares(case, tmp_path):
    case.write(tmp_path)

    assert judge(case, tmp_path) == []


def test_the_name_of_the_syntax_that_cannot_be_decoded_is_said(tmp_path):
    case = next(case for case in CASES if case.name == "syntax-wrong-stream")
    case.write(tmp_path)

    (refusal,) = observe(tmp_path).refusals

    assert "JPEG 2000" in str(refusal)
