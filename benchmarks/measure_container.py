"""What a container costs under a limit of memory, by the kernel's accounts of its control group (docker, Linux)."""

import json
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DOCKER = "docker"
GROUPS = Path("/sys/fs/cgroup")
MIB = 2**20
SAMPLE_EVERY_S = 0.05


@dataclass(frozen=True, kw_only=True)
class ContainerCost:
    """How a container ended, and what it took."""

    exit_code: int
    killed: bool  # by the kernel, for its memory
    wall_s: float
    cpu_s: float
    peak_mib: float  # what cannot be dropped: memory of its processes and files in /tmp; the largest sample
    charged_mib: float  # the kernel's high-water mark, with files it keeps a copy of and can drop
    said: str


def measure_container(command: Sequence[str]) -> ContainerCost:
    """Run ``docker run --detach ...``, wait for its end, remove the container, and return what it cost."""
    started = time.perf_counter()
    name = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    try:
        with subprocess.Popen([DOCKER, "wait", name], stdout=subprocess.PIPE) as wait:
            taken = _watch(_groups(name), wait)
            wall_s = time.perf_counter() - started
        state = json.loads(_say("inspect", "--format", "{{json .State}}", name))
        return ContainerCost(
            exit_code=state["ExitCode"], killed=state["OOMKilled"], wall_s=wall_s, said=_say("logs", name), **taken
        )
    finally:
        _say("rm", "--force", name)


def _say(*arguments: str) -> str:
    return subprocess.run(
        [DOCKER, *arguments], check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout


def _groups(name: str) -> dict[str, Path]:
    """Return the folder of the container's group for each controller; version 2 has one, called ''."""
    process = _say("inspect", "--format", "{{.State.Pid}}", name).strip()
    try:
        lines = Path(f"/proc/{process}/cgroup").read_text().splitlines()
    except FileNotFoundError:
        raise SystemExit(f"The container ended at once:\n{_say('logs', name)}") from None
    found = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = GROUPS / controllers / path.lstrip("/")
    return found


def _watch(groups: dict[str, Path], wait: "subprocess.Popen[bytes]") -> dict[str, float]:
    """Return the last accounts before the group disappears with its container."""
    taken = {"cpu_s": 0.0, "peak_mib": 0.0, "charged_mib": 0.0}
    while wait.poll() is None:
        with suppress(OSError):  # it has just ended
            cpu_s, used, charged = _accounts_of_1(groups) if "memory" in groups else _accounts_of_2(groups[""])
            taken["cpu_s"] = cpu_s
            taken["peak_mib"] = max(taken["peak_mib"], used / MIB)
            taken["charged_mib"] = charged / MIB
        time.sleep(SAMPLE_EVERY_S)
    return taken


def _accounts_of_1(groups: dict[str, Path]) -> tuple[float, int, int]:
    memory = _table(groups["memory"] / "memory.stat")
    charged = int((groups["memory"] / "memory.max_usage_in_bytes").read_text())
    cpu_s = int((groups["cpuacct"] / "cpuacct.usage").read_text()) / 1e9
    return cpu_s, memory["rss"] + memory["shmem"], charged


def _accounts_of_2(group: Path) -> tuple[float, int, int]:
    memory, cpu = _table(group / "memory.stat"), _table(group / "cpu.stat")
    return cpu["usage_usec"] / 1e6, memory["anon"] + memory["shmem"], int((group / "memory.peak").read_text())


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}
