"""What a run can end in: one exit code and one exception class for each outcome a host may act on."""

from __future__ import annotations

from enum import IntEnum, StrEnum


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


class Outcome(StrEnum):
    """What a run came to, as metadata.json and result.json say it."""

    SUCCESS = "success"
    NOTHING_ELIGIBLE = "nothing_eligible"
    REFUSED = "refused"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a run did not succeed, in one word for machines; the message says it for people."""

    # it failed
    INTERNAL = "internal"
    MEMORY = "memory"
    TERMINATED = "terminated"
    USAGE = "usage"
    MODEL = "model"
    OUTPUT = "output"
    OUTPUT_IN_USE = "output_in_use"  # another run writes into the folder
    OUTPUT_NOT_EMPTY = "output_not_empty"  # files that are no results of this suite
    DISK_FULL = "disk_full"
    # nothing to work on
    NO_DICOM = "no_dicom"  # nothing below the input folder is a DICOM image
    NO_MATCH = "no_match"  # images, but none the application works on
    # the stack is not a volume
    TOO_FEW_SLICES = "too_few_slices"
    MIXED_STACKS = "mixed_stacks"  # sizes, spacings, orientations or frames of reference that no split explains
    SAME_POSITION = "same_position"  # several different slices at one position, and no attribute tells them apart
    MISSING_SLICE = "missing_slice"
    UNEVEN_SPACING = "uneven_spacing"
    TILT = "tilt"
    NO_GEOMETRY = "no_geometry"  # position, orientation or pixel spacing absent
    BAD_GEOMETRY = "bad_geometry"  # ... or no usable numbers
    SAME_UID = "same_uid"  # two different files with one SOP Instance UID
    CONCATENATION = "concatenation"  # one multi-frame image in several instances
    NO_CONTRAST = "no_contrast"
    INPUT_CHANGED = "input_changed"  # a file vanished, or became unreadable, after it was listed
    # the pixels cannot be had
    NO_PIXELS = "no_pixels"
    PIXELS_CUT_SHORT = "pixels_cut_short"
    UNDECODABLE = "undecodable"
    VIDEO = "video"
    PHOTOMETRIC = "photometric"  # colour, or MONOCHROME1 where inverting would be a guess
    BAD_SIZE = "bad_size"  # Rows, Columns or Bits that no image has
    BAD_RESCALE = "bad_rescale"
    NOT_FINITE = "not_finite"
    # what a reader marked cannot be used
    OUTSIDE = "outside"  # a mark, or a point given on the command line, lies outside the image
    OTHER_FRAME = "other_frame"  # marks refer to another frame of reference, or to images that are not there
    # the result is no result
    EMPTY_RESULT = "empty_result"
    VALUE_RANGE = "value_range"  # values that the kind of result cannot hold


class SuiteError(Exception):
    """A handled end of a run: its message says what was needed, what was found and what to do.

    Only its subclasses are raised. The message goes to standard error and into metadata.json: it names no patient, no
    date, no file of the input.
    """

    exit_code = ExitCode.INTERNAL
    outcome = Outcome.FAILED
    usual_reason = Reason.INTERNAL

    def __init__(self, message: str, reason: Reason | None = None) -> None:
        super().__init__(message)
        self.reason = reason or self.usual_reason


class InternalError(SuiteError):
    """Something unforeseen happened; of the error it stands for, only type and place may be said."""


class UsageError(SuiteError):
    """The command itself is wrong: a missing folder, an unknown application or option."""

    exit_code = ExitCode.USAGE
    usual_reason = Reason.USAGE


class NothingEligibleError(SuiteError):
    """The input holds nothing the application could work on."""

    exit_code = ExitCode.NOTHING_ELIGIBLE
    outcome = Outcome.NOTHING_ELIGIBLE
    usual_reason = Reason.NO_MATCH


class RefusedError(SuiteError):
    """The selected series cannot be turned into a right volume: its geometry or its pixels are at fault."""

    exit_code = ExitCode.REFUSED
    outcome = Outcome.REFUSED
    usual_reason = Reason.BAD_GEOMETRY


class ModelError(SuiteError):
    """The model is missing, damaged or not the one its metadata describes."""

    exit_code = ExitCode.MODEL
    usual_reason = Reason.MODEL


class OutputError(SuiteError):
    """The results cannot be written, or what was written is not what was computed."""

    exit_code = ExitCode.OUTPUT
    usual_reason = Reason.OUTPUT


class TerminatedError(SuiteError):
    """The host or the user ended the run."""

    exit_code = ExitCode.TERMINATED
    usual_reason = Reason.TERMINATED
