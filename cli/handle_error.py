"""Which handled end an error of any kind means."""

from __future__ import annotations

from cli.arguments import Paths
from cli.hush import where
from imaging.outcome import (
    InternalError,
    ModelError,
    OutputError,
    Reason,
    RefusedError,
    SuiteError,
    TerminatedError,
)
from imaging.publish import NO_SPACE
from imaging.run_record import StageError


def handle_error(error: BaseException, paths: Paths) -> SuiteError:
    """Return the handled error that an error means; its message has nothing of the text of an unforeseen one.

    paths  of the run, absolute: an error of the file system means what the folder it befell is for
    """
    found = error.__cause__ if isinstance(error, StageError) and error.__cause__ else error
    if isinstance(found, SuiteError):
        return _with_full_disk(found)
    if isinstance(found, KeyboardInterrupt):
        return TerminatedError("Ended by the user; no result was written.")
    if isinstance(found, MemoryError):
        return InternalError(
            f"More memory is needed than there is ({where(found)}). Give the process more, or send a smaller series.",
            Reason.MEMORY,
        )
    known = _of_file(found, paths) if isinstance(found, OSError) else None
    return known or InternalError(
        f"internal error, {where(found)}. No result was written. Run again with -l DEBUG and report what it prints."
    )


def _with_full_disk(error: SuiteError) -> SuiteError:
    if isinstance(error.__cause__, OSError) and error.__cause__.errno in NO_SPACE and isinstance(error, OutputError):
        error.reason = Reason.DISK_FULL
    return error


def _of_file(error: OSError, paths: Paths) -> SuiteError | None:
    """Return what an error at a file of the run means, None for any other file."""
    name, why = str(error.filename or ""), error.strerror
    if error.errno in NO_SPACE:
        return OutputError(f"The disk is full ({why}). Free space or choose another folder with -o.", Reason.DISK_FULL)
    if name.startswith(str(paths.output)):
        return OutputError(f"The output folder must stay as it is while a run lasts; {paths.output} did not ({why}).")
    if name.startswith(str(paths.models)):
        return ModelError(f"The models in {paths.models} cannot be read ({why}). Restore them, or correct -m.")
    if name.startswith(str(paths.input)):
        return RefusedError(
            f"The input must stay as it is while a run lasts; a file below {paths.input} can no longer be read "
            f"({why}). Run again when the study has arrived completely.",
            Reason.INPUT_CHANGED,
        )
    return None
