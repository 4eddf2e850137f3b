"""What a run leaves and returns when something goes wrong on its way, and what hosts may ask for instead."""

import json
import shutil
import subprocess

import pytest

from tests.system.command import ROOT, VERDICT, copy_of, execute, execute_spoiled, monai_deploy

pytestmark = pytest.mark.system


@pytest.fixture
def empty(tmp_path):
    """An input folder without a study."""
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


def left_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")) if folder.exists() else []


def is_verdict(ended, outcome, reason):
    """Whether nothing but a record with this outcome, reason and exit code is left."""
    record = ended.record
    return left_in(ended.output) == VERDICT and (record["outcome"], record["reason"], record["exit_code"]) == (
        outcome,
        reason,
        ended.code,
    )


def test_an_unforeseen_error_ends_in_1_and_leaves_a_verdict(small, models, tmp_path):
    ended = execute_spoiled("segment", "1 / 0", small, tmp_path / "out", models)

    assert ended.code == 1
    assert is_verdict(ended, "failed", "internal")
    assert "internal error, ZeroDivisionError in" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_is_known_by_then_is_in_the_verdict(small, models, tmp_path):
    ended = execute_spoiled("write_sr", "1 / 0", small, tmp_path / "out", models)

    assert ended.record["model"]["version"]
    assert ended.record["device"]
    assert ended.record["seconds"].keys() >= {"start", "load", "segment", "write_seg", "total"}


def test_a_lack_of_memory_ends_in_1_and_says_so(small, models, tmp_path):
    ended = execute_spoiled("prepare", "raise MemoryError", small, tmp_path / "out", models)

    assert ended.code == 1
    assert is_verdict(ended, "failed", "memory")
    assert "More memory is needed" in ended.stderr


def test_a_keyboard_interrupt_inside_the_graph_terminates(small, models, tmp_path):
    ended = execute_spoiled("segment", "raise KeyboardInterrupt", small, tmp_path / "out", models)

    assert ended.code == 143
    assert is_verdict(ended, "failed", "terminated")


def test_an_operator_that_leaves_the_process_is_an_internal_error(small, models, tmp_path):
    ended = execute_spoiled("segment", "sys.exit(0)", small, tmp_path / "out", models)

    assert ended.code == 1
    assert is_verdict(ended, "failed", "internal")


def test_a_file_that_vanishes_after_it_was_listed_is_a_refusal(small, models, tmp_path):
    study = copy_of(small, tmp_path / "study")
    vanish = f"Path({str(study / '0020.dcm')!r}).unlink()"

    ended = execute_spoiled("to_volume", vanish, study, tmp_path / "out", models)

    assert ended.code == 4, ended.stderr
    assert ended.record["outcome"] == "refused"
    assert "0020" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_input_folder_that_vanishes_while_running_is_no_traceback(small, models, tmp_path):
    study = copy_of(small, tmp_path / "study")

    ended = execute_spoiled("load", f"import shutil; shutil.rmtree({str(study)!r})", study, tmp_path / "out", models)

    assert ended.code in (2, 3, 4), ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list((tmp_path / "out").rglob("*.dcm"))


@pytest.mark.parametrize("stage", ["load", "write_seg", "write_sr", "write_stripped_series"])
def test_an_output_folder_removed_while_running_ends_in_6_and_is_not_made_again(small, models, tmp_path, stage):
    output = tmp_path / "out"

    ended = execute_spoiled(stage, f"import shutil; shutil.rmtree({str(output)!r})", small, output, models)

    assert ended.code == 6, ended.stderr
    assert not list(output.rglob("*.dcm"))
    assert "Traceback" not in ended.stderr


def test_a_read_only_output_folder_ends_in_6(small, models, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(output)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs the rights of root")
    try:
        ended = execute(small, output, models)
    finally:
        subprocess.run(["umount", str(output)], check=True)

    assert ended.code == 6
    assert "Read-only file system" in ended.stderr


def test_an_output_folder_that_becomes_read_only_ends_in_6(small, models, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(output)], capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a file system needs the rights of root")
    remount = f"import os; assert os.system('mount -o remount,ro {output}') == 0"
    try:
        ended = execute_spoiled("write_seg", remount, small, output, models)
    finally:
        subprocess.run(["umount", str(output)], check=True)

    assert ended.code == 6, ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_wrong_command_touches_no_verdict_and_no_results(small, small_run, models, tmp_path):
    output = copy_of(small_run.output, tmp_path / "out")
    before = left_in(output)

    ended = execute(small, output, models, "--backend", "abacus")

    assert (ended.code, left_in(output)) == (2, before)


def test_a_wrong_option_is_said_before_the_input_is_judged(empty, models, tmp_path):
    ended = execute(empty, tmp_path / "out", models, "--backend", "abacus")

    assert ended.code == 2


def test_a_run_that_fails_takes_earlier_results_away(empty, small_run, models, tmp_path):
    output = copy_of(small_run.output, tmp_path / "out")

    ended = execute(empty, output, models)

    assert ended.code == 3
    assert is_verdict(ended, "nothing_eligible", "no_dicom")


def test_results_replace_the_verdict_of_an_earlier_run(empty, small, small_run, models, tmp_path):
    execute(empty, tmp_path / "out", models)

    ended = execute(small, tmp_path / "out", models)

    assert ended.code == 0, ended.stderr
    assert ended.files == small_run.files
    assert ended.record["outcome"] == "success"


@pytest.mark.parametrize("asked", [{"more": ("--empty-on-failure",)}, {"env": {"MAP_EMPTY_ON_FAILURE": "1"}}])
def test_a_host_that_ignores_exit_codes_gets_an_empty_folder(empty, small_run, models, tmp_path, asked):
    output = copy_of(small_run.output, tmp_path / "out")
    arguments = ("exec", "skull_strip", "-i", empty, "-o", output, "-m", models, *asked.get("more", ()))

    ended = monai_deploy(*arguments, output=output, env=asked.get("env"))

    assert (ended.code, left_in(output)) == (3, [])


@pytest.mark.parametrize("asked", [{"more": ("--nothing-eligible-ok",)}, {"env": {"MAP_NOTHING_ELIGIBLE_OK": "1"}}])
def test_a_host_may_take_nothing_eligible_for_a_good_end(empty, models, tmp_path, asked):
    output = tmp_path / "out"
    arguments = ("exec", "skull_strip", "-i", empty, "-o", output, "-m", models, *asked.get("more", ()))

    ended = monai_deploy(*arguments, output=output, env=asked.get("env"))

    assert ended.code == 0
    assert is_verdict(ended, "nothing_eligible", "no_dicom")
    assert ended.stdout == ""


def test_both_rules_together_leave_the_verdict_of_a_good_end(empty, models, tmp_path):
    ended = execute(empty, tmp_path / "out", models, "--nothing-eligible-ok", "--empty-on-failure")

    assert (ended.code, left_in(ended.output)) == (0, VERDICT)


def test_a_rule_of_the_environment_can_be_refused_on_the_command_line(empty, models, tmp_path):
    arguments = ("exec", "skull_strip", "-i", empty, "-o", tmp_path / "out", "-m", models, "--no-empty-on-failure")

    monai_deploy(*arguments, env={"MAP_EMPTY_ON_FAILURE": "1"})

    assert left_in(tmp_path / "out") == VERDICT


def test_a_working_folder_is_accepted_and_neither_made_nor_used(small, small_run, models, tmp_path):
    ended = execute(small, tmp_path / "out", models, "-w", tmp_path / "work")

    assert ended.code == 0, ended.stderr
    assert ended.files == small_run.files
    assert not (tmp_path / "work").exists()


def test_an_application_that_cannot_be_loaded_leaves_a_verdict_too(small, models, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(ROOT / "apps" / "skull_strip", folder)
    (folder / "app.py").write_text("import no_such_library\n")

    ended = execute(small, tmp_path / "out", models, app=folder)

    assert ended.code == 1
    assert is_verdict(ended, "failed", "internal")


def test_the_result_for_mercure_is_a_dictionary_with_its_notification(empty, models, tmp_path):
    ended = execute(empty, tmp_path / "out", models)

    result = json.loads((ended.output / "result.json").read_text())
    assert result["__mercure_notification"].keys() == {"text", "requested"}
