import ast
from pathlib import Path

import pytest

from imaging import outcome
from imaging.outcome import ExitCode, Outcome, Reason, SuiteError

ROOT = Path(__file__).parents[2]
ERRORS = [cls for cls in vars(outcome).values() if isinstance(cls, type) and issubclass(cls, SuiteError)]
ENDS = [error for error in ERRORS if error is not SuiteError]
SOURCES = [path for layer in ("imaging", "operators", "apps", "cli") for path in sorted((ROOT / layer).rglob("*.py"))]


def test_exit_codes_are_distinct():
    codes = [code.value for code in ExitCode.__members__.values()]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", ERRORS)
def test_no_error_ends_in_the_code_of_success(error):
    assert error.exit_code != ExitCode.DONE


def test_every_error_has_its_own_exit_code():
    assert sorted(error.exit_code for error in ENDS) == sorted(set(ExitCode) - {ExitCode.DONE})


@pytest.mark.parametrize("error", ENDS)
def test_no_error_is_a_success(error):
    assert error.outcome != Outcome.SUCCESS


def test_an_error_has_the_usual_reason_of_its_kind_or_its_own():
    assert outcome.RefusedError("no").reason == Reason.BAD_GEOMETRY
    assert outcome.RefusedError("no", Reason.TILT).reason == Reason.TILT


@pytest.mark.parametrize(
    ("code", "value"),
    [("DONE", 0), ("INTERNAL", 1), ("USAGE", 2), ("NOTHING_ELIGIBLE", 3), ("REFUSED", 4), ("MODEL", 5), ("OUTPUT", 6)],
)
def test_codes_that_hosts_act_on_stay_what_they_are(code, value):
    assert ExitCode[code] == value


def test_termination_ends_in_the_code_a_shell_gives_it():
    assert ExitCode.TERMINATED == 128 + 15


def raised_and_refusals(path):
    """Names of what a module raises by a call, and the calls that make a refusal."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    raised = [node.exc for node in nodes if isinstance(node, ast.Raise)]
    refusals = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "RefusedError"]
    return {ast.unparse(call.func) for call in raised if isinstance(call, ast.Call)}, refusals


@pytest.fixture(scope="module")
def errors():
    return {str(path.relative_to(ROOT)): raised_and_refusals(path) for path in SOURCES}


def test_no_module_raises_the_base_of_all_errors(errors):
    raised = {name for names, _ in errors.values() for name in names}

    assert "RefusedError" in raised
    assert [module for module, (names, _) in errors.items() if "SuiteError" in names] == []


def test_every_refusal_gives_its_reason(errors):
    """The other errors have one usual reason; a refusal has two dozen, and none is usual."""
    calls = [(module, call) for module, (_, refusals) in errors.items() for call in refusals]

    assert calls
    assert [(module, call.lineno) for module, call in calls if len(call.args) + len(call.keywords) < 2] == []
