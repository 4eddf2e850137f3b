"""Damaged files are told from good ones; nothing that a folder holds stops or fools the loader."""

import os
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from imaging.load_study import load_study
from imaging.outcome import Reason, SuiteError
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from tests.dicom_cases.case import Case, Exact, Refused
from tests.dicom_cases.damaged import CASES, ROWS, other_vr, write_bomb, write_spoilt
from tests.dicom_cases.judge import judge
from tests.dicom_cases.neighbours import objects
from tests.dicom_cases.phantom import write_volume
from tests.dicom_cases.quick import mostly_system

NOBODY = 65534
SMALL_BYTES = 3 << 28


@pytest.mark.parametrize("case", mostly_system(CASES))
def test_what_comes_out_is_what_the_case_declares(case, tmp_path):
    case.write(tmp_path)

    assert judge(case, tmp_path) == []


@pytest.mark.parametrize("case", [case for case in CASES if "absurd" in case.name], ids=lambda case: case.name)
def test_absurd_claims_take_no_memory(case, tmp_path):
    case.write(tmp_path)

    assert in_a_child(lambda: _loaded_in_little_memory(tmp_path)) == 0


@pytest.mark.system
def test_a_file_that_inflates_without_end_takes_no_memory(tmp_path):
    write_bomb(tmp_path)

    assert in_a_child(lambda: _loaded_in_little_memory(tmp_path)) == 0


@pytest.mark.parametrize("vr", [b"XX", b"\0\0", b"us"])
def test_a_vr_that_does_not_exist_is_seen_through_or_refused(vr, tmp_path):
    write_spoilt(tmp_path, other_vr(ROWS, b"US", vr))
    expectations = Exact(), Refused(Reason.MISSING_SLICE, (Reason.BAD_SIZE, Reason.BAD_GEOMETRY))

    results = [judge(Case("no-vr", "About.", write_volume, wanted), tmp_path) for wanted in expectations]

    assert [] in results


@pytest.fixture
def open_folder():
    """A folder that other users can reach, which those of pytest are not."""
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_files_that_may_not_be_read_are_counted(open_folder):
    paths = write_volume(open_folder)
    denied = open_folder / "denied"
    denied.mkdir()
    paths[0].rename(denied / "0.dcm")
    denied.chmod(0)
    paths[1].chmod(0)

    def load() -> int:
        if os.getuid() == 0:
            os.setuid(NOBODY)
        study = load_study(open_folder)
        return 0 if (len(study.series[0].instances), study.unreadable) == (4, 2) else 1

    try:
        assert in_a_child(load) == 0
    finally:
        denied.chmod(0o755)


@pytest.mark.system
def test_twenty_thousand_small_files_are_indexed_in_seconds(tmp_path):
    objects()(tmp_path)
    (first, *_) = write_volume(tmp_path)
    content = first.read_bytes()
    for number in range(20_000):
        folder = tmp_path / f"{number % 40:02d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.dcm").write_bytes(content)

    started = time.monotonic()
    study = load_study(tmp_path)
    took_s = time.monotonic() - started

    assert len(study.series[0].instances) == 6
    assert took_s < 30, f"{took_s:.1f} s"


def in_a_child(act) -> int:
    """Return the exit code of a function in a child process: limits and rights that it gives up stay there."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = act()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _loaded_in_little_memory(folder) -> int:
    """Return 0 when a folder loads or is refused, 1 when memory ran out."""
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + SMALL_BYTES,) * 2)
    try:
        for series in load_study(folder).series:
            for stack in split_series(series):
                to_volume(stack)
    except SuiteError as error:
        return int(isinstance(error.__cause__, MemoryError))
    return 0


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
