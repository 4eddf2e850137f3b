"""Nothing that identifies a patient or a study is said, or written outside the DICOM results, at the highest level of
detail. Bad input has the same test, case by case, in test_bad_input.py."""

import pytest
from pydicom import dcmread

from tests.series_samples import edit_study
from tests.system.command import (
    IDENTITY,
    ROOT,
    copy_of,
    execute,
    execute_spoiled,
    identify,
    identifying,
    monai_deploy,
    name_after_patient,
)  # fmt: skip

pytestmark = pytest.mark.system

APPS = sorted(path.parent.name for path in (ROOT / "apps").glob("*/app.py"))
LOUD = {"HOLOSCAN_LOG_LEVEL": "TRACE", "PYTHONDEVMODE": "1"}
"""What a host may set, and does where somebody looks for a fault."""


@pytest.fixture(scope="module")
def named_study(small, tmp_path_factory):
    """A head study that names its patient in headers, file names and a folder."""
    study = edit_study(copy_of(small, tmp_path_factory.mktemp("named") / "study"), identify)
    name_after_patient(study)
    return study


@pytest.fixture(scope="module", params=APPS)
def run_of_app(request, named_study, tmp_path_factory):
    """Every application of the suite, whether a head study is for it or not; the suite's own models."""
    output = tmp_path_factory.mktemp(request.param) / "out"
    arguments = ("exec", request.param, "-i", named_study, "-o", output, "-m", ROOT / "models", "-l", "DEBUG")
    return monai_deploy(*arguments, output=output, env=LOUD)


def test_every_application_ends_in_a_way_that_is_foreseen(run_of_app):
    assert run_of_app.code in (0, 3, 4), run_of_app.stderr[-2000:]


def test_no_application_says_anything_that_identifies(run_of_app):
    assert len(run_of_app.stderr) > 10_000  # the level is high enough for Holoscan to talk
    assert identifying(run_of_app) == []


@pytest.fixture(scope="module")
def good_run(named_study, models, tmp_path_factory):
    return execute(named_study, tmp_path_factory.mktemp("good") / "out", models, "-l", "DEBUG", "--nifti")


def test_a_good_run_says_nothing_that_identifies(good_run):
    assert good_run.code == 0, good_run.stderr[-2000:]
    assert identifying(good_run) == []


def test_the_results_themselves_do_name_the_patient(good_run):
    found = {
        (str(header.PatientName), header.PatientID, header.StudyInstanceUID)
        for header in (dcmread(path, stop_before_pixels=True) for path in good_run.output.rglob("*.dcm"))
    }

    assert found == {(IDENTITY["PatientName"], IDENTITY["PatientID"], IDENTITY["StudyInstanceUID"])}


def test_the_search_finds_what_it_looks_for(good_run):
    """In the one kind of file that has it, so that an empty answer elsewhere means something."""
    shown = monai_deploy("list")
    said = type(shown)(
        0,
        str(dcmread(good_run.output / "sr.dcm")),
        "\\u0418\\u0432\\u0430\\u043d\\u043e\\u0432\\u0430",
        good_run.output,
    )

    assert {"ZZ", "19010203", "2.826.0.4711"} <= {secret for place, secret in identifying(said) if place == "stdout"}
    assert ("stderr", "Иванова") in identifying(said)


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("app", [(), *((app,) for app in APPS)], ids=["what is there", *APPS])
def test_explain_says_nothing_that_identifies(named_study, app, options):
    ended = monai_deploy("explain", *app, "-i", named_study, *options, env=LOUD)

    assert ended.code in (0, 3), ended.stderr
    assert identifying(ended) == []


STUDY = "from imaging.load_study import load_study; study = load_study(Path({study!r}))"
FAILING = {
    "an error that quotes a header": "raise ValueError(str(study.series[0].header))",
    "an error that quotes a file": "study.series[0].instances[0].path.with_name('ZZ').read_bytes()",
    "a chain of errors": "raise KeyError(str(study.series[0].header)) from ValueError(repr(study))",
}
HARMLESS = {
    "a warning": "import warnings; warnings.simplefilter('always'); warnings.warn(repr(study))",
    "a log": "import logging; logging.getLogger('anybody').critical(repr(study))",
    "pydicom debugging": "import pydicom; pydicom.config.debug(True); repr(load_study(Path({study!r})))",
    "an error in a thread": (
        "import threading; t = threading.Thread(target=int, args=(repr(study),)); t.start(); t.join()"
    ),
}


def run_that_quotes(statement, stage, study, output, models):
    """A run in which a stage quotes the study in one way or another; what it quotes does hold the secrets."""
    quoting = f"{STUDY}; assert 'ZZ' in repr(study); {statement}".format(study=str(study))
    return execute_spoiled(stage, quoting, study, output, models, "-l", "DEBUG")


@pytest.mark.parametrize("stage", ["load", "write_sr"])
@pytest.mark.parametrize("statement", FAILING.values(), ids=FAILING)
def test_an_error_that_quotes_the_study_is_not_said(named_study, models, tmp_path, stage, statement):
    ended = run_that_quotes(statement, stage, named_study, tmp_path / "out", models)

    assert ended.code in (1, 4), ended.stderr[-2000:]
    assert identifying(ended) == []


def test_whatever_quotes_the_study_without_failing_is_not_said(named_study, models, tmp_path):
    ended = run_that_quotes("; ".join(HARMLESS.values()), "segment", named_study, tmp_path / "out", models)

    assert ended.code == 0, ended.stderr[-2000:]
    assert identifying(ended) == []
