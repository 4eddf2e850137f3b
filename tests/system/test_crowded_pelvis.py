"""The cervical tumour application on a study of 91 series: it takes the three it takes without the others."""

import json
import shutil

import pytest
from pydicom import dcmread

from tests.system.command import execute, monai_deploy, written_sample
from tests.system.crowded_pelvis import SERIES, crowd
from tests.system.pelvic_study import Restricted, stand_in

pytestmark = [
    pytest.mark.system,
    pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning"),  # deprecated, and still the format
]

READING_CPU_S = 15.0
"""For the headers of 2000 files and the verdicts on 91 series, in CPU seconds: two on a machine of today."""
MORE_MIB = 100.0
"""Memory for the headers of the other series; the pixels of all would be more."""


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return written_sample("cervical_tumor", tmp_path_factory.mktemp("sample") / "study")


@pytest.fixture(scope="module")
def crowded(sample, tmp_path_factory):
    return crowd(shutil.copytree(sample, tmp_path_factory.mktemp("crowd") / "study"))


@pytest.fixture(scope="module")
def runs(sample, crowded, tmp_path_factory):
    """A run on the sample alone, and one on the sample in the crowd."""
    folder = tmp_path_factory.mktemp("runs")
    models = stand_in(folder / "models", Restricted(0.5))
    found = [execute(study, folder / study.parent.name, models, app="cervical_tumor") for study in (sample, crowded)]
    assert [one.code for one in found] == [0, 0], [one.stderr for one in found]
    return found


def test_the_study_has_as_many_series_and_files_that_were_sent_twice(crowded):
    headers = [dcmread(path, stop_before_pixels=True) for path in crowded.rglob("*.dcm")]

    assert len({header.SeriesInstanceUID for header in headers}) == SERIES
    assert len(headers) > len({header.SOPInstanceUID for header in headers})
    assert len({header.StudyInstanceUID for header in headers}) == 1


def test_the_three_right_series_are_taken_and_that_others_are_as_good_is_said(runs):
    _, found = runs
    sequences = found.record["sequences"]

    assert [sequences[name]["series_number"] for name in ("t2w", "dwi", "adc")] == [4, 5, 6]
    assert (sequences["dwi"]["b_value_s_per_mm2"], sequences["dwi"]["calculated"]) == (1000, False)
    assert sequences["adc"]["fitted"] is False
    assert found.record["tie"] is True  # a copy under other UIDs
    assert "An equally good series was passed over" in found.stdout


def test_the_result_is_that_of_the_sample_alone(runs):
    alone, found = ((dcmread(one.output / "seg.dcm").PixelData, one.record["measurements"]) for one in runs)

    assert alone[1]["tumour"] is not None
    assert found == alone
    assert runs[0].files == runs[1].files


def test_the_others_cost_little_time_and_hardly_any_memory(runs):
    alone, found = (one.record for one in runs)

    assert found["cpu_seconds"]["load"] + found["cpu_seconds"]["select"] < READING_CPU_S
    assert found["peak_memory_mib"] < alone["peak_memory_mib"] + MORE_MIB


def test_explain_takes_the_same_and_has_a_verdict_on_every_series(crowded):
    ended = monai_deploy("explain", "cervical_tumor", "-i", crowded, "--json")

    assert ended.code == 0, ended.stderr
    said = json.loads(ended.stdout)
    taken = [row["series_number"] for row in said["series"] if row["taken"]]
    assert taken == [4, 5, 6]
    for sequence in {row["sequence"] for row in said["series"]}:
        judged = {row["series_number"] for row in said["series"] if row["sequence"] == sequence}
        assert judged == set(range(1, SERIES + 1))


def test_explain_lists_every_series_of_the_study(crowded):
    ended = monai_deploy("explain", "-i", crowded, "--json")

    assert ended.code == 0, ended.stderr
    assert {stack["series_number"] for stack in json.loads(ended.stdout)["stacks"]} == set(range(1, SERIES + 1))
