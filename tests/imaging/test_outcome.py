import pytest

from imaging import outcome
from imaging.outcome import ExitCode, SuiteError

ERRORS = [cls for cls in vars(outcome).values() if isinstance(cls, type) and issubclass(cls, SuiteError)]


def test_exit_codes_are_distinct():
    codes = [code.value for code in ExitCode.__members__.values()]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", ERRORS)
def test_no_error_ends_in_the_code_of_success(error):
    assert error.exit_code != ExitCode.DONE


def test_every_error_has_its_own_exit_code():
    codes = [error.exit_code for error in ERRORS]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("code", "value"),
    [("DONE", 0), ("INTERNAL", 1), ("USAGE", 2), ("NOTHING_ELIGIBLE", 3), ("REFUSED", 4), ("MODEL", 5), ("OUTPUT", 6)],
)
def test_codes_that_hosts_act_on_stay_what_they_are(code, value):
    assert ExitCode[code] == value


def test_termination_ends_in_the_code_a_shell_gives_it():
    assert ExitCode.TERMINATED == 128 + 15
