import errno
import os
from pathlib import Path

import pytest

from cli.arguments import Paths
from cli.handle_error import handle_error
from imaging.outcome import (
    ExitCode,
    InternalError,
    ModelError,
    OutputError,
    Reason,
    RefusedError,
    TerminatedError,
)
from imaging.run_record import RunRecord, StageError

PATHS = Paths(input=Path("/data/in"), output=Path("/data/out"), models=Path("/models"), level="WARN")


def at(number, path):
    return OSError(number, os.strerror(number), path)


def out_of_a_stage(error):
    """The error as it comes out of a stage of the graph."""
    try:
        with RunRecord().stage("load"):
            raise error
    except (StageError, type(error)) as left:
        return left


def test_a_handled_error_stays_the_same():
    error = RefusedError("a tilted stack", Reason.TILT)

    assert handle_error(out_of_a_stage(error), PATHS) is error


@pytest.mark.parametrize("wrap", [out_of_a_stage, lambda error: error])
def test_an_unforeseen_error_is_internal_and_its_text_is_not_said(wrap):
    handled = handle_error(wrap(ValueError("Doe^Jane")), PATHS)

    assert (type(handled), handled.reason) == (InternalError, Reason.INTERNAL)
    assert "ValueError" in str(handled)
    assert "Doe" not in str(handled)


def test_a_lack_of_memory_is_said_to_be_one():
    handled = handle_error(out_of_a_stage(MemoryError()), PATHS)

    assert (handled.exit_code, handled.reason) == (ExitCode.INTERNAL, Reason.MEMORY)
    assert "memory" in str(handled)


def test_a_user_who_ends_the_run_terminates_it():
    assert isinstance(handle_error(KeyboardInterrupt(), PATHS), TerminatedError)


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (at(errno.ENOENT, "/data/in/Doe/1.dcm"), RefusedError, Reason.INPUT_CHANGED),
        (at(errno.EACCES, "/data/in"), RefusedError, Reason.INPUT_CHANGED),
        (at(errno.ENOENT, "/data/out/.partial/seg.dcm.part"), OutputError, Reason.OUTPUT),
        (at(errno.ENOENT, "/models/brain/model.ts"), ModelError, Reason.MODEL),
        (at(errno.ENOSPC, "/data/out/.partial/seg.dcm.part"), OutputError, Reason.DISK_FULL),
        (at(errno.ENOSPC, None), OutputError, Reason.DISK_FULL),
        (at(errno.ENOENT, "/etc/Doe"), InternalError, Reason.INTERNAL),
        (at(errno.ENOENT, None), InternalError, Reason.INTERNAL),
    ],
)
def test_an_error_of_the_file_system_means_what_its_folder_is_for(error, kind, reason):
    handled = handle_error(out_of_a_stage(error), PATHS)

    assert (type(handled), handled.reason) == (kind, reason)
    assert "Doe" not in str(handled)


def test_a_result_that_found_the_disk_full_says_so_to_machines():
    error = OutputError("seg.dcm cannot be written")
    error.__cause__ = at(errno.ENOSPC, "/data/out/.partial/seg.dcm.part")

    assert handle_error(error, PATHS).reason == Reason.DISK_FULL
