"""Outlive a run that is killed: a host that goes by the output folder must not take its stage for results."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

from cli.conclude import ENDING
from cli.leave import leave
from imaging.outcome import OutputError
from imaging.publish import open_stage, publish_verdict

OF_SHELLS = 128
"""Shells and engines add the number of the signal that ended a process to this."""


def outlive(app: str, output: Path) -> None:
    """Go on in a child process; this one passes signals on to it, and ends as it does.

    A child that is killed cannot clear its stage: this process empties the output folder and ends in 128 and the number
    of the signal. It is small, so the kernel, when memory is short, takes the child. Call it before there are threads.
    """
    awaited = {*ENDING, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    child = os.fork()
    if not child:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    status = None
    while status is None:
        number = signal.sigwait(awaited)
        if number in ENDING:
            os.kill(child, number)
        else:  # it has ended, or was stopped
            ended, found = os.waitpid(child, os.WNOHANG)
            status = found if ended else None
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        _clear(app, output, -code)
        code = OF_SHELLS - code
    leave(code)


def _clear(app: str, output: Path, number: int) -> None:
    with contextlib.suppress(OutputError):  # another run has begun there
        publish_verdict(open_stage(output), {})
    why = " It needs more memory than it may have, or its host ended it." if number == signal.SIGKILL else ""
    sys.stderr.write(f"{app}: Killed by signal {number}; no result was written.{why}\n")
