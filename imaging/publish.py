"""Results appear all at once or not at all.

Everything is written below ``.partial`` in the output folder, under names a host does not export, and renamed into
place at the end: on one file system a rename needs no space and cannot stop half-way through a file.
"""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imaging.lock_folder import FolderLock, lock_folder, read_owner, write_owner
from imaging.outcome import OutputError, Reason
from imaging.suite import SUITE

STAGE = ".partial"
DISCARDED = ".partial.discarded"
VERDICT = ".partial.verdict"
OURS = (STAGE, DISCARDED, VERDICT)
OWNER = "owner"
PART = ".part"
"""Ending of staged files: hosts export whatever ends in .dcm, also from a run that was killed."""
RECORD = "metadata.json"
RESULT = "result.json"
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Stage:
    """The folder a run writes into before its results are published, and the lock on the output folder."""

    output: Path
    folder: Path
    lock: FolderLock


def staged(folder: Path, name: str) -> Path:
    """Return where a result called ``name`` is written before it is published."""
    return folder / f"{name}{PART}"


def open_stage(output: Path) -> Stage:
    """Create the output folder and an empty stage in it, for this run alone.

    Results of an earlier run, which ``metadata.json`` lists, may lie there and will be replaced; the stage of a killed
    run is cleared. Raises OutputError when another run works there, or the folder holds other files or cannot be
    written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        stage = Stage(output, output / STAGE, _lock(output))
    except OSError as error:
        raise _unwritable(output, error) from error
    try:
        _refuse_foreign_files(output)
        _clear(stage)
        stage.folder.mkdir()
        write_owner(stage.folder / OWNER)
        (stage.folder / "probe").write_bytes(b"\0" * 4096)
        (stage.folder / "probe").unlink()
    except OSError as error:
        discard(stage)
        raise _unwritable(output, error) from error
    except OutputError:
        stage.lock.release()
        raise
    return stage


def publish(stage: Stage) -> list[Path]:
    """Move everything in the stage to the output folder and return the new paths; the record is moved last."""
    files = _staged_files(stage)
    targets = {path: _published(stage, path) for path in files}
    old = {stage.output / name for name in earlier_results(stage.output)}
    try:
        if not (stage.folder / OWNER).exists():
            raise FileNotFoundError(errno.ENOENT, "it was removed, or emptied, while the run lasted")
        _remove(stage.output, old - set(targets.values()))
        for path, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    except OSError as error:
        _remove(stage.output, old | set(targets.values()))  # a mixture of two runs would be worse than nothing
        raise OutputError(f"The results cannot be moved into {stage.output} ({error.strerror}).") from error
    finally:
        discard(stage)
    return list(targets.values())


def publish_verdict(stage: Stage, texts: Mapping[str, str]) -> None:
    """Leave nothing but these texts in the output folder: no result of this run, none of an earlier one.

    Where they cannot be written, nothing is left. They do not come by way of the stage: an operator may still be
    writing into it.
    """
    _clear(stage)
    verdict = stage.output / VERDICT
    old = {stage.output / name for name in earlier_results(stage.output)}
    try:
        verdict.mkdir()
        for name, text in texts.items():
            staged(verdict, name).write_text(text)
        _remove(stage.output, old)
        for name in sorted(texts, key=lambda name: name == RECORD):
            staged(verdict, name).replace(stage.output / name)
    except OSError:
        _remove(stage.output, old | {stage.output / name for name in texts})
    finally:
        shutil.rmtree(verdict, ignore_errors=True)
        discard(stage)


def result_names(stage: Stage) -> list[str]:
    """Return the names the staged files will have, relative to the output folder."""
    return sorted(_published(stage, path).relative_to(stage.output).as_posix() for path in _staged_files(stage))


def discard(stage: Stage) -> None:
    """Remove the stage and what is in it, and let the next run in; results of an earlier run stay."""
    _clear(stage)
    stage.lock.release()


def earlier_results(output: Path) -> list[str]:
    """Return the relative paths an earlier run of this suite recorded in the folder, the record included."""
    try:
        record = json.loads((output / RECORD).read_text())
        files = list(record["files"]) if record["made_by"] == SUITE else None
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if files is None:
        return []  # somebody else's metadata.json: what it lists is not ours to remove
    root = output.resolve()
    safe = [str(name) for name in files if (root / str(name)).resolve().is_relative_to(root)]
    return [*(name for name in safe if ".." not in Path(name).parts and not Path(name).is_absolute()), RECORD]


def _lock(output: Path) -> FolderLock:
    """Return the lock on the output folder, or refuse it while another run holds it."""
    lock, owner = lock_folder(output), read_owner(output / STAGE / OWNER)
    if lock and (lock.exclusive or owner is None or not owner.may_be_running()):
        return lock
    if lock:
        lock.release()
    raise OutputError(
        f"An output folder takes one run at a time; another one writes into {output} ({owner or 'just begun'}). "
        "Wait for its end, or choose another folder with -o.",
        Reason.OUTPUT_IN_USE,
    )


def _unwritable(output: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The output folder must be writable; {output} is not ({error.strerror}). "
        "Choose another folder with -o, or correct its permissions.",
        Reason.DISK_FULL if error.errno in NO_SPACE else Reason.OUTPUT,
    )


def _clear(stage: Stage) -> None:
    """Remove the stage; an operator that still writes into it fails from the rename on."""
    discarded = stage.output / DISCARDED
    shutil.rmtree(discarded, ignore_errors=True)
    with contextlib.suppress(OSError):
        stage.folder.rename(discarded)
    for folder in (discarded, stage.output / VERDICT):
        shutil.rmtree(folder, ignore_errors=True)


def _staged_files(stage: Stage) -> list[Path]:
    """Return the staged results, the record last; NIfTI files have no ``.part``, their writer goes by the ending."""
    files = sorted(path for path in stage.folder.rglob("*") if path.is_file() and path != stage.folder / OWNER)
    return sorted(files, key=lambda path: _published(stage, path).name == RECORD)


def _published(stage: Stage, path: Path) -> Path:
    name = path.name.removesuffix(PART)
    return (stage.output / path.relative_to(stage.folder)).with_name(name)


def _remove(output: Path, files: set[Path]) -> None:
    """Remove results as far as that can be done, and the folders that are empty without them."""
    for path in files:
        with contextlib.suppress(OSError):
            path.unlink()
    for folder in {path.parent for path in files} - {output}:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _refuse_foreign_files(output: Path) -> None:
    known = {output / name for name in earlier_results(output)}
    foreign = [
        path for path in output.rglob("*")
        if path.is_file() and path not in known and path.relative_to(output).parts[0] not in OURS
    ]  # fmt: skip
    if foreign:
        raise OutputError(
            f"The output folder must be empty or hold the results of an earlier run; {output} holds "
            f"{len(foreign)} other {'file' if len(foreign) == 1 else 'files'}. Choose an empty folder with -o.",
            Reason.OUTPUT_NOT_EMPTY,
        )
