"""``monai-deploy cohort``: one page on many runs, what stands out first."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imaging.outcome import ExitCode, NothingEligibleError, OutputError, Reason, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("runs", type=Path, metavar="RUNS", help="folder with output folders of runs, at any depth")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PAGE", default=Path("cohort.html"), help="page to write (cohort.html)"
    )
    parser.add_argument(
        "--numbers",
        action="store_true",
        help="number the runs, without links, where names of folders may name patients",
    )


def run(options: argparse.Namespace) -> int:
    """Write the page; raises UsageError, NothingEligibleError or OutputError."""
    from imaging.cohort import read_cohort
    from imaging.cohort_html import cohort_html

    if not options.runs.is_dir():
        raise UsageError(f"A folder of runs is needed; {options.runs} is none. Give the folder above their outputs.")
    cohort = read_cohort(options.runs)
    if not cohort.count:
        raise NothingEligibleError(
            f"No run of the suite was found below {options.runs}: none of its folders has a metadata.json of a run. "
            "Give the folder above their outputs.",
            Reason.NO_MATCH,
        )
    text = cohort_html(cohort, options.runs.absolute(), options.output.absolute(), named=not options.numbers)
    part = options.output.with_name(f"{options.output.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(options.output)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"{options.output} cannot be written ({error.strerror}). Choose another one with -o."
        ) from error
    failed = len(cohort.failed)
    sys.stdout.write(
        f"{cohort.count} {'run' if cohort.count == 1 else 'runs'}, {failed} without results: {options.output}\n"
    )
    return int(ExitCode.DONE)
