"""Load damaged folders by the thousand: each ends with volumes or a SuiteError, soon, quietly and in little memory.

``python -m tests.fuzz.fuzz_loader --cases 10000 --seed 1`` damages, ``--replay FOLDER`` loads a kept case again.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.fuzz.mutate import Place, mutated, places_of, random_numbers

SEEDS = (
    "syntax-explicit-s16", "syntax-implicit-u16", "syntax-big-endian-s16", "syntax-deflated-s16", "syntax-rle-s16",
    "syntax-jpeg-lossless-u16", "syntax-jpeg-baseline-u8", "syntax-jpeg-extended-u12", "syntax-jpeg-ls-s16",
    "syntax-jpeg-2000-s16", "syntax-htj2k-s16", "syntax-jpeg-2000-multiframe-fragments",
    "syntax-rle-multiframe-offsets", "enhanced-mr", "enhanced-b-values", "legacy-converted-ct",
    "among-derived-in-the-series",
)  # fmt: skip
"""Cases of tests.dicom_cases that are damaged."""
FILES = 4  # of each case, enough for a volume
LIMIT_S = 5.0
LIMIT_BYTES = 2 << 30
HANGS_S = 4 * LIMIT_S
PATIENT = "sentinel"  # in the name and number of the patient of every case
KEEP = Path("build/fuzz")

Files = dict[str, bytes]


@dataclass
class Result:
    """What became of the cases: how many ended how, and what was wrong with which."""

    ends: Counter[str] = field(default_factory=Counter)
    faults: dict[int, str] = field(default_factory=dict)
    slowest_s: float = 0.0

    def __str__(self) -> str:
        """One line for each end, then one for each fault."""
        ends = [f"{count:7d} {end}" for end, count in self.ends.most_common()]
        faults = [f"case {number}: {fault}" for number, fault in sorted(self.faults.items())]
        return "\n".join([*ends, f"slowest {self.slowest_s:.2f} s", f"{len(faults)} faults", *faults])


# -- one case --------------------------------------------------------------------------------------------------------


def seed_files() -> list[tuple[Files, dict[str, tuple[Place, ...]]]]:
    """Return the files of each good folder, and where their elements lie."""
    from tests.dicom_cases import cases

    found = []
    by_name = {case.name: case for case in cases()}
    for name in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            by_name[name].write(Path(folder))
            paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())[:FILES]
            files = {path.name: path.read_bytes() for path in paths}
        found.append((files, {key: () if "deflated" in name else places_of(value) for key, value in files.items()}))
    return found


def damaged_files(seeds: list[tuple[Files, dict[str, tuple[Place, ...]]]], seed: int, number: int) -> Files:
    """Return the files of a case: one of them damaged, or all of them in the same way."""
    rng = random_numbers(seed, number)
    files, places = seeds[int(rng.integers(len(seeds)))]
    if rng.random() < 0.3:
        state = rng.bit_generator.state
        damaged = {}
        for name, content in files.items():
            rng.bit_generator.state = state
            damaged[name] = mutated(content, places[name], rng)
        return damaged
    name = sorted(files)[int(rng.integers(len(files)))]
    return {**files, name: mutated(files[name], places[name], rng)}


def load(folder: Path) -> str:
    """Load a folder as an application does; return how it ended, or raise what no application expects."""
    from imaging.geometry import GeometryPolicy
    from imaging.load_study import load_study
    from imaging.outcome import SuiteError
    from imaging.split_series import split_series
    from imaging.to_volume import to_volume

    ends = []
    try:
        for series in load_study(folder).series:
            try:
                for stack in split_series(series):
                    try:
                        image = to_volume(stack, GeometryPolicy())
                        ends.append(said("volume", str(stack), *stack.traits, *image.flags))
                    except SuiteError as error:
                        ends.append(refused(error))
            except SuiteError as error:
                ends.append(refused(error))
    except SuiteError as error:
        ends.append(refused(error))
    return min(ends)


def refused(error: Exception) -> str:
    """Return the reason of a handled end, which must not hide that memory ran out."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError):
            raise cause
        cause = cause.__cause__ or cause.__context__
    return said(f"{type(error).__name__} {getattr(error, 'reason', '')}", str(error))


def said(end: str, *texts: str) -> str:
    """Return an end, unless its texts name the patient."""
    if PATIENT in " ".join(texts).lower():
        raise AssertionError("the patient is named")
    return end


def write_files(folder: Path, files: Files) -> None:
    """Fill an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


# -- a worker: many cases in one process -----------------------------------------------------------------------------


def work(numbers: range, seed: int, keep: Path, to_parent: Connection) -> None:
    """Run cases one after another; tell the parent of the start and the end of each."""
    seeds = seed_files()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory(dir=_memory()) as folder:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        load_once(seeds, Path(folder))
        _limit_memory()
        warnings.simplefilter("always")
        for number in numbers:
            files = damaged_files(seeds, seed, number)
            write_files(Path(folder, "case"), files)
            to_parent.send((number, None, 0.0))
            started = time.monotonic()
            end, fault = _ended(Path(folder, "case"))
            took_s = time.monotonic() - started
            fault = fault or (f"took {took_s:.1f} s" if took_s > LIMIT_S else "") or _printed(output.fileno())
            if fault:
                write_files(keep / f"{seed}-{number}", files)
            to_parent.send((number, (end, fault), took_s))


def load_once(seeds: list[tuple[Files, dict[str, tuple[Place, ...]]]], folder: Path) -> None:
    """Import and start all that is needed, before memory is limited."""
    for files, _ in seeds:
        write_files(folder / "case", files)
        load(folder / "case")
    sys.stdout.flush()


def _memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (a folder of its own below it)


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + LIMIT_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _ended(folder: Path) -> tuple[str, str]:
    try:
        return load(folder), ""
    except Exception as error:  # noqa: BLE001 (every kind is what is looked for)
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/imaging/" in frame.filename]
        places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (*ours[-4:], frames[-1])]
        return "fault", f"{type(error).__name__}: {str(error)[:120]!r} at {' > '.join(places)}"


def _printed(output: int) -> str:
    sys.stdout.flush()
    sys.stderr.flush()
    length = os.lseek(output, 0, os.SEEK_END)
    text = os.pread(output, 300, 0).decode(errors="replace")
    os.ftruncate(output, 0)
    os.lseek(output, 0, os.SEEK_SET)
    return f"printed {text!r}" if length else ""


# -- the parent: workers that may die --------------------------------------------------------------------------------


class Worker:
    """A process with its share of the cases."""

    def __init__(self, numbers: range, seed: int, keep: Path) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.numbers, self.seed, self.keep = numbers, seed, keep
        self.current: int | None = None
        self.since = time.monotonic()
        self.from_child, to_parent = spawn.Pipe(duplex=False)
        self.process: BaseProcess = spawn.Process(target=work, args=(numbers, seed, keep, to_parent), daemon=True)
        self.process.start()
        to_parent.close()

    def rest(self) -> range:
        """Return the cases behind the current one."""
        done = self.numbers.start if self.current is None else self.current + 1
        return range(done, self.numbers.stop)


def fuzz(cases: int, seed: int, processes: int, keep: Path) -> Result:
    """Run cases in several processes; a process that dies or hangs is a fault, and another one goes on behind it."""
    result = Result()
    share = -(-cases // processes)
    ranges = [range(start, min(start + share, cases)) for start in range(0, cases, share)]
    workers = [Worker(numbers, seed, keep) for numbers in ranges]
    while workers:
        ready = wait([worker.from_child for worker in workers], timeout=1)
        for worker in list(workers):
            lost = _heard(worker, result) if worker.from_child in ready else _hanging(worker)
            if lost is None:
                continue
            workers.remove(worker)
            workers += _followers(worker, lost, result)
    return result


def _heard(worker: Worker, result: Result) -> str | None:
    """Take one message; return why the process has ended, nothing while it has not."""
    try:
        number, ended, took_s = worker.from_child.recv()
    except EOFError:
        worker.process.join()
        return f"the process died with {worker.process.exitcode}" if worker.process.exitcode else ""
    worker.current, worker.since = number, time.monotonic()
    if ended is not None:
        end, fault = ended
        result.ends[end] += 1
        result.slowest_s = max(result.slowest_s, took_s)
        if fault:
            result.faults[number] = fault
    return None


def _hanging(worker: Worker) -> str | None:
    if worker.current is None or time.monotonic() - worker.since < HANGS_S:
        return None
    worker.process.kill()
    worker.process.join()
    return f"no end after {HANGS_S:.0f} s"


def _followers(worker: Worker, lost: str, result: Result) -> Iterator[Worker]:
    worker.from_child.close()
    if not lost:
        return
    if worker.current is None:
        raise RuntimeError(f"a worker could not start: {lost}")
    result.faults[worker.current] = lost
    result.ends["lost"] += 1
    write_files(
        worker.keep / f"{worker.seed}-{worker.current}", damaged_files(seed_files(), worker.seed, worker.current)
    )
    if worker.rest():
        yield Worker(worker.rest(), worker.seed, worker.keep)


def main() -> int:
    """Run the cases of the command line, or one that was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--keep", type=Path, default=KEEP, help="folder for the files of cases with faults")
    parser.add_argument("--replay", type=Path, help="load this folder and say how that ended")
    options = parser.parse_args()
    if options.replay:
        sys.stdout.write(f"{load(options.replay)}\n")
        return 0
    result = fuzz(options.cases, options.seed, options.processes, options.keep)
    sys.stdout.write(f"{result}\n")
    return 1 if result.faults else 0


if __name__ == "__main__":
    sys.exit(main())
