"""The command on good input: what it writes, says and takes."""

import json
import re
import shutil

import nibabel
import numpy as np
import pytest
from pydicom import dcmread

from imaging.model_package import sha256_of
from imaging.suite import RESEARCH_USE
from tests.system.command import ROOT, VERDICT, copy_of, execute, monai_deploy

pytestmark = pytest.mark.system

STAGES = {"start", "load", "select", "to_volume", "prepare", "segment", "restore", "write_seg", "write_sr", "total"}


def uids_of(folder):
    return {
        path.relative_to(folder).as_posix(): str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)
        for path in folder.rglob("*.dcm")
    }


def mask_of(folder):
    return np.asarray(nibabel.load(folder / "mask.nii.gz").dataobj)


def same_results(output, other):
    """The same files with the same pixels, measurements and UIDs."""
    assert uids_of(output) == uids_of(other)
    assert dcmread(output / "seg.dcm").PixelData == dcmread(other / "seg.dcm").PixelData


def test_a_run_writes_segmentation_report_series_and_record(small_run):
    series = {f"stripped/brain_{number:04d}.dcm" for number in range(1, 41)}

    assert small_run.files - small_run.overlays == {"seg.dcm", "sr.dcm", "report.html", *VERDICT, *series}
    assert 20 < len(small_run.overlays) <= 40


def test_what_is_not_wanted_is_not_written(small, models, tmp_path):
    ended = execute(small, tmp_path / "out", models, "--no-overlays", "--no-stripped-series", "--no-page")

    assert ended.files == {"seg.dcm", "sr.dcm", *VERDICT}


def test_nifti_files_come_with_the_option(sample_run):
    assert {"mask.nii.gz", "brain.nii.gz"} <= sample_run.files


def test_the_record_lists_the_files(sample_run):
    assert {*sample_run.record["files"], "metadata.json"} == sample_run.files


def test_the_record_says_that_the_run_succeeded(small_run):
    assert (small_run.record["outcome"], small_run.record["exit_code"]) == ("success", 0)


def test_a_success_has_no_exception_in_its_record(small_run):
    assert not {"exception", "exception_message", "reason"} & small_run.record.keys()


def test_the_result_for_mercure_has_measurements_and_the_headline(small_run):
    result = json.loads((small_run.output / "result.json").read_text())

    assert result["measurements"] == small_run.record["measurements"]
    assert result["__mercure_notification"]["text"].startswith(small_run.record["headline"])


def test_the_record_says_why_each_series_was_taken(small_run):
    (series,) = small_run.record["series"]

    assert series["eligible"]
    assert any("magnetisation-prepared" in reason for reason in series["reasons"])


def test_the_record_has_the_hash_of_the_weights(small_run, models):
    assert small_run.record["model"]["sha256"] == sha256_of(models / "skull_strip" / "model.ts")


@pytest.mark.parametrize(
    "package", ["python", "monai-deploy-app-sdk", "holoscan-cu13", "pydicom", "highdicom", "torch"]
)
def test_the_record_has_the_versions_of_what_it_ran_on(small_run, package):
    assert re.match(r"\d+\.\d+", small_run.record["versions"][package])


def test_the_record_names_the_device(small_run):
    assert re.match(r"(cpu|cuda) \((OpenVINO|TorchScript)\)", small_run.record["device"])


def test_the_record_has_the_seconds_of_every_stage(small_run):
    assert small_run.record["seconds"].keys() >= STAGES


def test_the_stages_take_no_longer_than_the_whole(small_run):
    seconds = dict(small_run.record["seconds"])

    assert max(seconds.values()) == seconds["total"]


def test_the_record_says_that_it_is_for_research(small_run):
    assert small_run.record["research_use"] == RESEARCH_USE


def test_the_summary_is_one_line_on_series_volume_files_and_use(small_run):
    volume_ml = small_run.record["measurements"]["brain_volume_ml"]

    (line,) = small_run.stdout.splitlines()
    for said in ("Took series 2", f"{volume_ml:.1f} mL", f"{len(small_run.files)} files", RESEARCH_USE):
        assert said in line


def test_a_good_run_is_silent_on_standard_error(small_run):
    assert small_run.stderr == ""


def test_a_second_run_replaces_the_first(small, small_run, models, tmp_path):
    output = copy_of(small_run.output, tmp_path / "out")

    again = execute(small, output, models)

    assert again.code == 0, again.stderr
    assert again.files == small_run.files
    same_results(output, small_run.output)


def test_what_a_second_run_does_not_write_disappears(small, small_run, models, tmp_path):
    output = copy_of(small_run.output, tmp_path / "out")

    execute(small, output, models, "--no-stripped-series", "--no-overlays")

    assert sorted(path.name for path in output.rglob("*")) == sorted([*VERDICT, "seg.dcm", "sr.dcm", "report.html"])


@pytest.mark.parametrize(
    "names",
    [
        ("HOLOSCAN_INPUT_PATH", "HOLOSCAN_OUTPUT_PATH", "HOLOSCAN_MODEL_PATH"),
        ("MONAI_INPUTPATH", "MONAI_OUTPUTPATH", "MONAI_MODELPATH"),
    ],
    ids=["HOLOSCAN", "MONAI"],
)
def test_paths_from_the_environment_give_what_options_give(small, small_run, models, tmp_path, names):
    paths = dict(zip(names, map(str, (small, tmp_path / "out", models)), strict=True))

    ended = monai_deploy("exec", "skull_strip", env=paths, output=tmp_path / "out")

    assert ended.code == 0, ended.stderr
    same_results(ended.output, small_run.output)


def test_options_override_the_environment(small, small_run, models, tmp_path):
    paths = {
        "HOLOSCAN_INPUT_PATH": str(tmp_path / "nowhere"),
        "HOLOSCAN_OUTPUT_PATH": str(tmp_path / "elsewhere"),
        "HOLOSCAN_MODEL_PATH": str(tmp_path / "no models"),
    }
    output = tmp_path / "out"

    ended = monai_deploy("exec", "skull_strip", "-i", small, "-o", output, "-m", models, env=paths, output=output)

    assert ended.code == 0, ended.stderr
    assert not (tmp_path / "elsewhere").exists()


def test_the_newer_names_of_the_environment_come_before_the_older(small, models, tmp_path):
    paths = {"HOLOSCAN_OUTPUT_PATH": str(tmp_path / "new"), "MONAI_OUTPUTPATH": str(tmp_path / "old")}

    monai_deploy("exec", "skull_strip", "-i", small, "-m", models, env=paths)

    assert (tmp_path / "new" / "metadata.json").exists()
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize("app", ["apps/skull_strip", "apps/skull_strip/__main__.py", "apps/skull_strip/app.py"])
def test_an_application_is_a_folder_or_a_file_too(small, small_run, models, tmp_path, app):
    ended = execute(small, tmp_path / "out", models, app=ROOT / app)

    assert ended.code == 0, ended.stderr
    same_results(ended.output, small_run.output)


def test_an_application_runs_from_any_folder(small, small_run, models, tmp_path):
    arguments = ("exec", "skull_strip", "-i", small, "-o", "out", "-m", models)

    ended = monai_deploy(*arguments, output=tmp_path / "out", cwd=tmp_path)

    assert ended.code == 0, ended.stderr
    same_results(ended.output, small_run.output)


def test_both_libraries_find_the_same_mask(sample, sample_run, models, tmp_path):
    torch = execute(sample, tmp_path / "out", models, "--nifti", "--backend", "torch")

    assert torch.code == 0, torch.stderr
    ours, theirs = mask_of(sample_run.output), mask_of(torch.output)
    assert np.count_nonzero(ours != theirs) == 0


def test_each_library_is_named_in_the_record(sample_run):
    assert "OpenVINO" in sample_run.record["device"]


def test_list_names_the_application_and_what_it_writes():
    ended = monai_deploy("list", "--json")

    (app,) = [app for app in json.loads(ended.stdout) if app["name"] == "skull_strip"]
    assert "DICOM SEG" in app["outputs"]


def test_explain_says_which_series_would_be_taken(small):
    ended = monai_deploy("explain", "skull_strip", "-i", small, "--json")

    assert ended.code == 0, ended.stderr
    assert json.loads(ended.stdout)["series"][0]["eligible"]


def test_explain_agrees_with_the_run(small, small_run):
    ended = monai_deploy("explain", "skull_strip", "-i", small, "--json")

    assert json.loads(ended.stdout)["series"] == small_run.record["series"]


def test_explain_says_it_to_people(small):
    ended = monai_deploy("explain", "skull_strip", "-i", small)

    assert "TAKEN" in ended.stdout


@pytest.mark.parametrize(
    "verb", [(), ("exec",), ("exec", "skull_strip"), ("list",), ("explain",), ("sample",), ("evaluate",)]
)
def test_help_ends_well_and_says_how_to_use_it(verb):
    ended = monai_deploy(*verb, "--help")

    assert (ended.code, ended.stdout[:6]) == (0, "usage:")


@pytest.mark.parametrize("wrong", [("exec",), ("exec", "no such app"), ("no such verb",), ()])
def test_a_wrong_command_ends_in_2_and_says_what_would_be_right(wrong):
    ended = monai_deploy(*wrong)

    assert ended.code == 2
    assert ended.stderr


@pytest.mark.parametrize("option", [("--backend", "abacus"), ("--colour", "red"), ("-l", "LOUD")])
def test_a_wrong_option_ends_in_2_and_leaves_nothing(small, models, tmp_path, option):
    ended = execute(small, tmp_path / "out", models, *option)

    assert ended.code == 2
    assert not (tmp_path / "out").exists()


FOREIGN = """\
import sys
from pathlib import Path

from monai.deploy.conditions import CountCondition
from monai.deploy.core import Application, Operator


class Count(Operator):
    def __init__(self, fragment, *args, read, written, **kwargs):
        self.read, self.written = read, written
        super().__init__(fragment, *args, **kwargs)

    def compute(self, op_input, op_output, context):
        (self.written / "count.txt").write_text(str(len(list(self.read.glob("*.dcm")))))


class CountFiles(Application):
    def compose(self):
        paths = Application.init_app_context(self.argv)
        once = CountCondition(self, 1)
        self.add_operator(Count(self, once, read=Path(paths.input_path), written=Path(paths.output_path), name="count"))


if __name__ == "__main__":
    CountFiles().run()
    sys.exit(EXIT)
"""


@pytest.mark.parametrize("code", ["0", "7", "None", "'it went wrong'"])
def test_a_foreign_application_ends_in_its_own_code(small, tmp_path, code):
    (tmp_path / "foreign.py").write_text(FOREIGN.replace("EXIT", code))
    (tmp_path / "out").mkdir()
    (tmp_path / "models").mkdir()

    ended = execute(small, tmp_path / "out", tmp_path / "models", app=tmp_path / "foreign.py")

    expected = {"0": 0, "7": 7, "None": 0}.get(code, 1)
    assert ended.code == expected, ended.stderr


def test_a_foreign_application_in_a_folder_does_its_work(small, tmp_path):
    for folder in ("app", "out", "models"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app" / "app.py").write_text(FOREIGN.replace("EXIT", "0"))

    ended = execute(small, tmp_path / "out", tmp_path / "models", app=tmp_path / "app")

    assert ended.code == 0, ended.stderr
    assert (tmp_path / "out" / "count.txt").read_text() == "40"


def test_the_folder_of_an_application_runs_without_the_command(small, small_run, models, tmp_path):
    ended = execute(small, tmp_path / "out", models, app=ROOT / "apps" / "skull_strip" / "")

    same_results(ended.output, small_run.output)
    shutil.rmtree(ended.output)
