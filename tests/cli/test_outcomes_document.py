"""docs/outcomes.md says what the code does: the tables are read and compared."""

import re
from pathlib import Path

from cli.arguments import HostRules
from imaging import outcome
from imaging.outcome import ExitCode, NothingEligibleError, Outcome, Reason, SuiteError

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "outcomes.md").read_text()
ENDS = {cls.exit_code: cls for cls in vars(outcome).values() if isinstance(cls, type) and issubclass(cls, SuiteError)}
NOT_ELIGIBLE = (Reason.NO_DICOM, Reason.NO_MATCH)


def table(first_column):
    """Rows of the table with this first heading, cells without their quotes."""
    _, _, rest = TEXT.partition(f"\n| {first_column} |")
    rows = re.match(r"[^\n]*\n\|[-|]+\|\n((?:\|[^\n]*\|\n)+)", rest)[1].splitlines()
    return [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in rows]


def test_every_exit_code_has_its_row():
    assert [int(row[0]) for row in table("exit code")] == sorted(ExitCode)


def test_each_code_has_the_outcome_and_the_exception_of_its_error():
    ends = {int(row[0]): tuple(row[1:3]) for row in table("exit code")}

    assert ends.pop(ExitCode.DONE) == (Outcome.SUCCESS, "")
    assert ends == {code: (error.outcome, error.__name__) for code, error in ENDS.items() if error is not SuiteError}


def test_every_reason_has_its_row():
    assert [row[0] for row in table("reason")] == [str(reason) for reason in Reason]


def test_each_reason_has_its_outcome():
    outcomes = {row[0]: row[1] for row in table("reason")}
    usual = {str(error.usual_reason): str(error.outcome) for error in ENDS.values()}

    assert {reason: outcomes[reason] for reason in usual} == usual
    assert {row[0] for row in table("reason") if row[1] == NothingEligibleError.outcome} == set(NOT_ELIGIBLE)


def test_reasons_are_raised_with_the_outcome_they_are_listed_with():
    listed = {row[0]: row[1] for row in table("reason")}
    sources = [path.read_text() for folder in ("imaging", "operators", "cli") for path in _modules(folder)]
    kinds = {cls.__name__: str(cls.outcome) for cls in ENDS.values()}

    pattern = re.compile(r"(\w+Error)\((?:(?!\w+Error\().)*?Reason\.(\w+)", re.DOTALL)
    raised = [pair for source in sources for pair in pattern.findall(source)]

    wrong = {(kind, name) for kind, name in raised if kind in kinds and listed[Reason[name]] != kinds[kind]}
    assert raised
    assert wrong == set()


def _modules(folder):
    return [path for path in (ROOT / folder).rglob("*.py") if path.name not in ("outcome.py", "conclude.py")]


def test_the_options_for_hosts_are_named_with_their_variables():
    for name in HostRules.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in TEXT
        assert f"MAP_{name.upper()}=1" in TEXT
