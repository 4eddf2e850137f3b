"""What a run can end in: one exit code and one exception class for each outcome a host may act on."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every application; documented in docs/outcomes.md."""

    DONE = 0
    INTERNAL = 1
    USAGE = 2
    NOTHING_ELIGIBLE = 3
    REFUSED = 4
    MODEL = 5
    OUTPUT = 6
    TERMINATED = 143


class SuiteError(Exception):
    """A handled end of a run: its message says what was needed, what was found and what to do."""

    exit_code = ExitCode.INTERNAL


class UsageError(SuiteError):
    """The command itself is wrong: a missing folder, an unknown application or option."""

    exit_code = ExitCode.USAGE


class NothingEligibleError(SuiteError):
    """The input holds nothing the application could work on."""

    exit_code = ExitCode.NOTHING_ELIGIBLE


class RefusedError(SuiteError):
    """The selected series cannot be turned into a right volume: its geometry or its pixels are at fault."""

    exit_code = ExitCode.REFUSED


class ModelError(SuiteError):
    """The model is missing, damaged or not the one its metadata describes."""

    exit_code = ExitCode.MODEL


class OutputError(SuiteError):
    """The results cannot be written, or what was written is not what was computed."""

    exit_code = ExitCode.OUTPUT
