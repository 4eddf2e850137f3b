"""Other tools read what the cases write, and the table says in one line what is alike."""

import shutil

import pytest

from imaging.outcome import Reason
from tests.dicom_cases import cases
from tests.dicom_cases.agreement import AGREES, TOOLS, Row, compared, declared, reasons, table
from tests.dicom_cases.case import Case, Exact, NothingEligible, Refused, Resampled
from tests.dicom_cases.judge import Image
from tests.dicom_cases.phantom import PHANTOM
from tests.dicom_cases.readers import read_by_dcm2niix, read_by_simpleitk

BY_NAME = {case.name: case for case in cases()}
PLAIN = ["plain", "plain-ct", "turn-jik-npn", "oblique-03", "unsigned-8", "slope-per-slice"]
PHANTOM_IMAGE = Image(PHANTOM.pixels(), PHANTOM.affine)


def case_of(expected, name="case-1", **others):
    return Case(name, "About | it.", lambda folder: None, expected, others=others)


@pytest.mark.parametrize("name", PLAIN)
def test_simpleitk_reads_the_same_voxels(name, written):
    assert compared(BY_NAME[name], read_by_simpleitk(written(BY_NAME[name]))) == AGREES


@pytest.mark.system
@pytest.mark.skipif(not shutil.which("dcm2niix"), reason="needs dcm2niix")
@pytest.mark.parametrize("name", PLAIN)
def test_dcm2niix_reads_the_same_voxels(name, written):
    assert compared(BY_NAME[name], read_by_dcm2niix(written(BY_NAME[name]))) == AGREES


def test_a_tool_that_reads_what_must_be_refused_disagrees():
    assert compared(case_of(Refused(Reason.TILT)), [PHANTOM_IMAGE]) == "1 volume"
    assert compared(case_of(NothingEligible()), []) == AGREES
    assert compared(case_of(Exact()), []) == "no volume"
    assert compared(case_of(Exact(volumes=2)), [PHANTOM_IMAGE]) == "1 volume instead of 2"


@pytest.mark.parametrize(
    ("expected", "words"),
    [
        (Exact(), "exact"),
        (Exact(volumes=3), "3 exact volumes"),
        (Resampled(), "resampled"),
        (Refused(Reason.TILT), "refused: tilt"),
        (NothingEligible(), "nothing eligible: no_dicom"),
    ],
)
def test_the_declared_outcome_is_said_in_few_words(expected, words):
    assert declared(case_of(expected)) == words


def test_a_disagreement_without_a_reason_is_pointed_out():
    results = (AGREES, *["1 volume"] * (len(TOOLS) - 1))

    assert "not explained" in reasons(case_of(Exact()), results)
    assert reasons(case_of(Exact(), SimpleITK="why", dcm2niix="why"), results).startswith("SimpleITK: why")
    assert reasons(case_of(Exact()), [AGREES] * len(TOOLS)) == ""


def test_cases_that_agree_in_everything_but_the_name_share_a_line():
    results = tuple(AGREES for _ in TOOLS)

    lines = table([Row(case_of(Exact(), f"case-{number}"), results) for number in (1, 2, 3)]).splitlines()

    assert len(lines) == 3
    assert lines[2].startswith("| `case-1` ... `case-3` (3) | About / it. | exact |")


def test_reasons_are_given_for_tools_that_are_known():
    assert {tool for case in BY_NAME.values() for tool in case.others} <= {"SimpleITK", "dcm2niix"}
