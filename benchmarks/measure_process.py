"""What a command costs: wall seconds, CPU seconds and peak memory, its child processes included (Linux)."""

import ctypes
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20
SAMPLE_EVERY_S = 0.2
PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one run of a command took."""

    exit_code: int
    wall_s: float
    user_s: float
    system_s: float
    peak_mib: float

    @property
    def cpu_s(self) -> float:
        """User and system seconds."""
        return self.user_s + self.system_s


def measure_process(command: Sequence[str], *, folder: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """Run the command in a folder, its output into ``log``, and return what it cost.

    CPU seconds are those of the process and every descendant, also of one that outlives its parent. Peak
    memory is the kernel's high-water mark of the largest process; where several run at once, the largest sum
    seen in samples. That mark of a new process begins at its parent's, so the caller must be small.
    """
    _adopt_orphans()
    with log.open("wb") as output:
        started = time.perf_counter()
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=folder, env=environment, **streams)
        sampled_peak = _sampled_peak(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    usages = [usage, *_reap_orphans()]
    return Cost(
        exit_code=process.returncode,
        wall_s=wall_s,
        user_s=sum(each.ru_utime for each in usages),
        system_s=sum(each.ru_stime for each in usages),
        peak_mib=max(sampled_peak, *(each.ru_maxrss * 1024 for each in usages)) / MIB,
    )


def _adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "this process cannot become a child subreaper")


def _reap_orphans() -> list["os.struct_rusage"]:  # type: ignore[name-defined]
    """Wait for descendants that the command left behind, and return their usage."""
    usages = []
    with suppress(ChildProcessError):  # none left
        while True:
            usages.append(os.wait4(-1, 0)[2])
    return usages


def _sampled_peak(pid: int) -> int:
    """Return the largest memory, in bytes, of several processes together; waits for the end of the first."""
    peak = 0
    ended = os.pidfd_open(pid)
    try:
        while not select.select([ended], [], [], SAMPLE_EVERY_S)[0]:
            resident = _resident_of_descendants()
            if len(resident) > 1:  # one process alone is measured exactly by the kernel
                peak = max(peak, sum(resident))
    finally:
        os.close(ended)
    return peak


def _resident_of_descendants() -> list[int]:
    """Return the resident bytes of each descendant of this process, adopted orphans included."""
    parents, resident = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            fields = path.read_text().rpartition(")")[2].split()
            pid = int(path.parent.name)
            parents[pid], resident[pid] = int(fields[1]), int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    family = [os.getpid()]
    for member in family:  # grows while it is read
        family += [pid for pid, parent in parents.items() if parent == member]
    return [resident[pid] for pid in family[1:]]
