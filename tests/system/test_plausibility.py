"""A flag on its way: a brain of one volume is usual at one age and unusual at another, and nobody reads the age."""

import numpy as np
import pytest
from pydicom import dcmread

from tests.series_samples import edit_study
from tests.system.command import copy_of, execute
from tests.system.test_readers import output_of, tool

pytestmark = pytest.mark.system

CODE = "brain-volume-for-age"
SAID = "lies outside the range expected for age and sex"


def run_of(small, folder, models, age):
    def edit(header, _number):
        header.PatientAge, header.PatientSex = age, "F"

    study = edit_study(copy_of(small, folder / "study"), edit)
    ended = execute(study, folder / "out", models, "--no-stripped-series")
    assert ended.code == 0, ended.stderr
    return ended


@pytest.fixture(scope="module")
def infant(small, models, tmp_path_factory):
    return run_of(small, tmp_path_factory.mktemp("infant"), models, "018M")


@pytest.fixture(scope="module")
def adult(small, models, tmp_path_factory):
    return run_of(small, tmp_path_factory.mktemp("adult"), models, "047Y")


def test_the_volume_of_an_adult_is_flagged_of_an_infant_alone(infant, adult):
    assert [flag["code"] for flag in infant.record["plausibility"]] == [CODE]
    assert adult.record["plausibility"] == []


def test_the_flag_is_in_the_record_the_report_the_page_and_on_standard_output(infant):
    assert any(SAID in flag for flag in infant.record["flags"])
    assert SAID in infant.stdout
    assert SAID in output_of(tool("dsrdump"), "+Pl", infant.output / "sr.dcm")
    assert SAID in (infant.output / "report.html").read_text()


def test_the_flag_is_below_the_pictures(infant, adult):
    """Of all colours, that of a flag is there."""
    flagged, usual = (dcmread(ended.output / "overlays" / "overlay_0005.dcm").pixel_array for ended in (infant, adult))

    assert (flagged == (255, 190, 0)).all(axis=-1).any()
    assert not (usual == (255, 190, 0)).all(axis=-1).any()
    assert np.shape(flagged) != np.shape(usual)


def test_nobody_reads_the_age(infant):
    (flag,) = infant.record["plausibility"]
    text = (infant.output / "metadata.json").read_text() + infant.stdout + (infant.output / "result.json").read_text()

    assert flag["limits"] is None
    assert "018M" not in text
    assert "PatientAge" not in text
