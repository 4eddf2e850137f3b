"""What the command does when it cannot work: exit code, message on standard error, and nothing left behind."""

import json
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage, generate_uid

from imaging.model_package import sha256_of
from imaging.outcome import Reason
from tests.series_samples import edit_study
from tests.system.command import (
    VERDICT,
    Ended,
    copy_of,
    execute,
    identify,
    identifying,
    name_after_patient,
)  # fmt: skip

pytestmark = pytest.mark.system


@dataclass(frozen=True)
class Places:
    """Where one bad run reads and writes; what a case changes lies below ``folder``."""

    folder: Path
    study: Path
    models: Path

    @property
    def output(self) -> Path:
        return self.folder / "out"


@dataclass(frozen=True)
class Case:
    """One way to be wrong, the exit code, and what the message must say: needed, found, remedy."""

    title: str
    spoil: Callable[[Places], Places | None]
    code: int
    needed: str
    found: str
    remedy: str
    options: tuple[str, ...] = ()
    left: tuple[str, ...] = ()  # what the user had put into the output folder


def missing(places):
    shutil.rmtree(places.study)


def empty(places):
    for path in places.study.iterdir():
        path.unlink()


def other_files(places):
    empty(places)
    (places.study / "letter.pdf").write_bytes(b"%PDF-1.7 not an image")
    (places.study / "table.csv").write_text("a,b\n" * 100)


def t2_weighted(places):
    def edit(header, _number):
        header.ScanningSequence, header.SequenceVariant = "SE", "SK"
        header.RepetitionTime, header.EchoTime = "4500", "95"
        del header.InversionTime

    edit_study(places.study, edit)


def computed_tomography(places):
    def edit(header, _number):
        header.Modality, header.SOPClassUID = "CT", CTImageStorage

    edit_study(places.study, edit)


def without_two_slices(places):
    (places.study / "0020.dcm").unlink()
    (places.study / "0021.dcm").unlink()


def without_pixels(places):
    path = places.study / "0020.dcm"
    path.write_bytes(path.read_bytes()[:-1000])


def multi_frame(places):
    paths = sorted(places.study.iterdir())
    header = dcmread(paths[0])
    pixels = b"".join(dcmread(path).PixelData for path in paths)
    empty(places)
    header.SOPClassUID = header.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    header.NumberOfFrames = len(paths)
    header.add_new("PixelData", "OW", pixels)
    header.save_as(places.study / "enhanced.dcm")


def in_two_sizes(places):
    path = places.study / "0020.dcm"
    header = dcmread(path)
    header.Rows //= 2
    header.add_new("PixelData", "OW", header.PixelData[: len(header.PixelData) // 2])
    header.save_as(path)


def own_models(places):
    return Places(places.folder, places.study, copy_of(places.models, places.folder / "models"))


def no_model(places):
    return Places(places.folder, places.study, places.folder / "no models")


def no_weights(places):
    changed = own_models(places)
    (changed.models / "skull_strip" / "model.ts").unlink()
    return changed


def damaged_weights(places):
    changed = own_models(places)
    with (changed.models / "skull_strip" / "model.ts").open("ab") as file:
        file.write(b"!")
    return changed


def damaged_description(places):
    changed = own_models(places)
    (changed.models / "skull_strip" / "metadata.json").write_text("{")
    return changed


def foreign_weights(places):
    changed = own_models(places)
    weights = changed.models / "skull_strip" / "model.ts"
    weights.write_bytes(b"these are no weights " * 1000)
    _record(changed.models, lambda record: record["weights"].update(sha256=sha256_of(weights)))
    return changed


def foreign_openvino_copy(places):
    changed = own_models(places)
    network = changed.models / "skull_strip" / "model.xml"
    network.write_text("<net>this is no network</net>")
    _record(changed.models, lambda record: record["openvino"]["sha256"].update({"model.xml": sha256_of(network)}))
    return changed


def _record(models, change):
    path = models / "skull_strip" / "metadata.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def network_that_finds_nothing(places):
    import torch

    class Nothing(torch.nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return torch.full_like(image, -10.0)

    changed = own_models(places)
    weights = changed.models / "skull_strip" / "model.ts"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather have torch.export
        torch.jit.trace(Nothing(), torch.zeros(1, 1, 16, 16, 16)).save(str(weights))
    _record(changed.models, lambda record: record["weights"].update(sha256=sha256_of(weights)))
    return changed


def file_as_output(places):
    places.output.write_text("mine")


def folder_in_use(places):
    places.output.mkdir()
    (places.output / "notes.txt").write_text("mine")


def of_air(places):
    edit_study(places.study, lambda header, _number: _fill(header, np.zeros((header.Rows, header.Columns))))


def _fill(header, pixels):
    header.add_new("PixelData", "OW", pixels.astype(np.uint16).tobytes())


TORCH = ("--backend", "torch")
CASES = [
    Case("no input folder", missing, 2, "input folder", "does not exist", "-i"),
    Case("an empty folder", empty, 3, "DICOM", "No DICOM", "-i"),
    Case("no DICOM", other_files, 3, "DICOM", "No DICOM", "-i"),
    Case("only T2w", t2_weighted, 3, "T1w head MR", "T2-weighted", "Send"),
    Case("only CT", computed_tomography, 3, "T1w head MR", "modality is CT", "Send"),
    Case("two slices missing", without_two_slices, 4, "evenly spaced", "15.00 mm", "send the whole series"),
    Case("pixels cut short", without_pixels, 4, "Every slice must be readable", "cut short", "Send the series again"),
    Case("a multi-frame object", multi_frame, 3, "T1w head MR", "multi-frame", "Send"),
    Case("slices of two sizes", in_two_sizes, 4, "evenly spaced", "one of 2", "send the whole series"),
    Case("an image of one value", of_air, 4, "contrast", "one value", "Send"),
    Case("no brain found", network_that_finds_nothing, 4, "brain", "none was found", "Check", TORCH),
    Case("no model", no_model, 5, "model folder", "cannot be read", "-m"),
    Case("no weights", no_weights, 5, "weights", "missing", "Restore"),
    Case("damaged weights", damaged_weights, 5, "expected", "SHA-256", "Restore"),
    Case("damaged model description", damaged_description, 5, "model description", "JSONDecodeError", "Restore"),
    Case("no TorchScript", foreign_weights, 5, "TorchScript", "are no TorchScript file", "Export", TORCH),
    Case("no OpenVINO network", foreign_openvino_copy, 5, "OpenVINO", "model.xml|copy", "Restore|--backend torch",
         ("--backend", "openvino")),
    Case("a file as output folder", file_as_output, 6, "must be writable", "is not", "-o"),
    Case("an output folder in use", folder_in_use, 6, "must be empty", "1 other file", "-o", left=("notes.txt",)),
]  # fmt: skip


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.title.replace(" ", "-"))
def bad_run(request, small, models, tmp_path_factory):
    """One case, run once at the highest level of detail; its study names a patient."""
    folder = tmp_path_factory.mktemp("bad")
    places = Places(folder, edit_study(copy_of(small, folder / "study"), identify), models)
    places = request.param.spoil(places) or places
    name_after_patient(places.study)
    ended = execute(places.study, places.output, places.models, "-l", "DEBUG", *request.param.options)
    return request.param, ended


def leftovers(output: Path) -> list[str]:
    return sorted(path.relative_to(output).as_posix() for path in output.rglob("*")) if output.is_dir() else []


def test_the_exit_code_says_what_was_wrong(bad_run):
    case, ended = bad_run

    assert ended.code == case.code, ended.stderr[-2000:]


def test_the_message_says_what_was_needed_what_was_found_and_what_to_do(bad_run):
    case, ended = bad_run

    for pattern in (case.needed, case.found, case.remedy):
        assert re.search(pattern, ended.stderr), f"{pattern!r} is not in {ended.stderr[-2000:]}"


def test_the_verdict_is_all_that_is_left_in_an_output_folder_that_can_be_used(bad_run):
    case, ended = bad_run

    assert leftovers(ended.output) == [*case.left, *(VERDICT if case.code in (3, 4, 5) else [])]


@pytest.fixture
def verdict(bad_run):
    """The record of a bad run that leaves one."""
    case, ended = bad_run
    if case.code in (2, 6):
        pytest.skip("the folder is not touched")
    return case, ended, ended.record


def test_the_record_has_outcome_and_exit_code(verdict):
    case, _, record = verdict

    outcome = {3: "nothing_eligible", 4: "refused", 5: "failed"}[case.code]
    assert (record["outcome"], record["exit_code"]) == (outcome, case.code)


def test_the_record_has_a_reason_that_machines_know(verdict):
    _, _, record = verdict

    assert record["reason"] in list(Reason)


def test_the_record_has_the_message_the_user_saw_without_the_paths(verdict):
    _, ended, record = verdict

    last = record["exception_message"].splitlines()[-1].split("the input folder")[0].split("the folder of models")[0]
    assert last in ended.stderr
    assert str(ended.output.parent) not in record["exception_message"]


def test_the_record_has_the_kind_of_exception(verdict):
    case, _, record = verdict

    kinds = {3: "NothingEligibleError", 4: "RefusedError", 5: "ModelError"}
    assert record["exception"] == kinds[case.code]


def test_the_record_names_the_application_and_its_version(verdict):
    _, _, record = verdict

    assert record["app"] == "skull_strip"
    assert re.fullmatch(r"\d+\.\d+\.\d+", record["app_version"])


def test_the_record_names_the_model_where_it_was_read(verdict):
    case, _, record = verdict

    known = case.code == 4 or case.title.startswith(("only", "a multi-frame", "no TorchScript", "no OpenVINO"))
    assert (record["model"] is not None) == known


def test_the_record_has_the_verdict_on_every_series_that_was_judged(verdict):
    case, _, record = verdict

    loaded_late = case.title.startswith(("no TorchScript", "no OpenVINO"))  # when the network runs, after the choice
    judged = loaded_late or (case.code in (3, 4) and record["reason"] != "no_dicom")
    assert bool(record["series"]) == judged
    assert all(series["reasons"] for series in record["series"])
    assert [series for series in record["series"] if series["eligible"]] if case.code == 4 else True


def test_the_record_lists_what_it_left(verdict):
    _, _, record = verdict

    assert record["files"] == ["result.json"]


def test_mercure_is_told_what_the_user_was_told(verdict):
    _, ended, record = verdict

    result = json.loads((ended.output / "result.json").read_text())
    assert result["outcome"] == record["outcome"]
    assert result["__mercure_notification"]["text"].startswith(record["exception_message"])
    assert result["__mercure_notification"]["requested"]


def test_nothing_is_said_on_standard_output(bad_run):
    _, ended = bad_run

    assert ended.stdout == ""


def test_the_user_sees_no_traceback(bad_run):
    _, ended = bad_run

    assert "Traceback" not in ended.stderr


def test_a_failing_run_says_nothing_that_identifies_the_patient(bad_run):
    _, ended = bad_run

    assert identifying(ended) == []


def second_series(study: Path, number: int) -> Path:
    """Put a copy of the series beside it, with UIDs and a Series Number of its own."""
    series = generate_uid()

    def edit(header, _number):
        header.SeriesInstanceUID, header.SeriesNumber = series, number
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()

    edit_study(copy_of(study, study.parent / "other"), edit)
    shutil.move(study.parent / "other", study / "another folder")
    return study


@pytest.fixture(scope="module", params=[1, 9], ids=["lower number", "higher number"])
def run_on_two_equal_series(request, small, models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    study = second_series(copy_of(small, folder / "study"), request.param)
    return min(2, request.param), execute(study, folder / "out", models, "--no-stripped-series")


def test_of_two_equal_series_the_first_by_number_is_taken(run_on_two_equal_series):
    number, ended = run_on_two_equal_series

    assert ended.code == 0, ended.stderr
    assert f"Took series {number} " in ended.stdout


def test_that_another_series_was_equally_good_is_said(run_on_two_equal_series):
    _, ended = run_on_two_equal_series

    assert "equally good" in ended.stdout
    assert ended.record["tie"]


@pytest.fixture(scope="module")
def ball_run(small, models, tmp_path_factory):
    """A uniform ball of 90 mm diameter, as a phantom measured in a head coil."""
    folder = tmp_path_factory.mktemp("ball")
    grid = np.moveaxis(np.indices((40, 48, 44)), 0, -1) - np.array([19.5, 23.5, 21.5])
    ball = np.linalg.norm(grid * [5.0, 4.75, 4.25], axis=-1) < 45
    study = edit_study(copy_of(small, folder / "study"), lambda header, at: _fill(header, 500 * ball[at]))
    return execute(study, folder / "out", models, "--no-stripped-series")


def refused(ended: Ended) -> bool:
    """No brain at all was found: a refusal is right too, what is written is judged otherwise."""
    return ended.code == 4 and ended.record["reason"] == "empty_result"


def test_a_phantom_is_refused_or_flagged_in_the_summary(ball_run):
    assert refused(ball_run) or "Implausible brain volume" in ball_run.stdout


def test_a_phantom_is_refused_or_flagged_in_the_record(ball_run):
    assert refused(ball_run) or any("Implausible brain volume" in flag for flag in ball_run.record["flags"])


def test_a_phantom_is_refused_or_flagged_in_the_report(ball_run):
    assert refused(ball_run) or "Implausible brain volume" in dcmread(ball_run.output / "sr.dcm").to_json()
