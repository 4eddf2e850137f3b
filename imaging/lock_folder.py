"""One run at a time in a folder, also where the runs are in different containers."""

from __future__ import annotations

import fcntl
import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


class FolderLock:
    """A lock on an open folder. The kernel releases it with the process: no killed run leaves one behind."""

    def __init__(self, descriptor: int, *, exclusive: bool) -> None:
        self._descriptor = descriptor
        self.exclusive = exclusive  # False on a file system that has no locks

    def release(self) -> None:
        """Let the next run in; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def lock_folder(folder: Path) -> FolderLock | None:
    """Return the lock of a folder, None when another run holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:  # some network file systems
        return FolderLock(descriptor, exclusive=False)
    return FolderLock(descriptor, exclusive=True)


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The process that works in a folder; for the message to the second one, and where there are no locks."""

    process: int
    host: str
    ticks: int  # of its start since boot: a number of a process that has ended may be given to another one
    since: str

    def __str__(self) -> str:
        """Process, host and time."""
        return f"process {self.process} on {self.host} since {self.since}"

    def may_be_running(self) -> bool:
        """Return whether the process runs; of another host that cannot be known."""
        return self.host != socket.gethostname() or _ticks(self.process) == self.ticks


def write_owner(path: Path) -> None:
    """Note this process as the owner."""
    process = os.getpid()
    since = datetime.now(UTC).strftime("%H:%M:%S UTC")
    owner = Owner(process=process, host=socket.gethostname(), ticks=_ticks(process), since=since)
    path.write_text(json.dumps(asdict(owner)))


def read_owner(path: Path) -> Owner | None:
    """Return who is noted, None when nobody legible is."""
    try:
        return Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _ticks(process: int) -> int:
    """Return when a process was started, -1 when it does not run."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return -1
