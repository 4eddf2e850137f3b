"""Results appear all at once or not at all.

Everything is written below ``.partial`` in the output folder, under names a host does not export, and renamed into
place at the end: on one file system a rename needs no space and cannot stop half-way through a file.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from imaging.outcome import OutputError

STAGE = ".partial"
DISCARDED = ".partial.discarded"
PART = ".part"
"""Ending of staged files: hosts export whatever ends in .dcm, also from a run that was killed."""
RECORD = "metadata.json"


@dataclass(frozen=True)
class Stage:
    """The folder a run writes into before its results are published."""

    output: Path
    folder: Path


def staged(folder: Path, name: str) -> Path:
    """Return where a result called ``name`` is written before it is published."""
    return folder / f"{name}{PART}"


def open_stage(output: Path) -> Stage:
    """Create the output folder and an empty stage in it.

    Results of an earlier run, which ``metadata.json`` lists, may lie there and will be replaced; any other file is a
    refusal. Raises OutputError when the folder holds other files or cannot be written.
    """
    stage = Stage(output, output / STAGE)
    try:
        output.mkdir(parents=True, exist_ok=True)
        _refuse_foreign_files(output)
        discard(stage)
        stage.folder.mkdir()
        (stage.folder / "probe").write_bytes(b"\0" * 4096)
        (stage.folder / "probe").unlink()
    except OSError as error:
        discard(stage)
        raise OutputError(
            f"The output folder must be writable; {output} is not ({error.strerror}). "
            "Choose another folder with -o, or correct its permissions."
        ) from error
    return stage


def publish(stage: Stage) -> list[Path]:
    """Move everything in the stage to the output folder and return the new paths; the record is moved last."""
    files = sorted(path for path in stage.folder.rglob("*") if path.is_file())
    files.sort(key=lambda path: _published(stage, path).name == RECORD)
    old = {stage.output / name for name in earlier_results(stage.output)}
    targets = {path: _published(stage, path) for path in files}
    try:
        for path, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        _remove(stage, old - set(targets.values()))
    except OSError as error:
        _remove(stage, old | set(targets.values()))  # a mixture of two runs would be worse than nothing
        raise OutputError(f"The results cannot be moved into {stage.output} ({error.strerror}).") from error
    finally:
        discard(stage)
    return list(targets.values())


def result_names(stage: Stage) -> list[str]:
    """Return the names the staged files will have, relative to the output folder."""
    files = sorted(path for path in stage.folder.rglob("*") if path.is_file())
    return [_published(stage, path).relative_to(stage.output).as_posix() for path in files]


def discard(stage: Stage) -> None:
    """Remove the stage and what is in it; an operator that still writes into it fails from the rename on."""
    discarded = stage.output / DISCARDED
    shutil.rmtree(discarded, ignore_errors=True)
    with contextlib.suppress(OSError):
        stage.folder.rename(discarded)
    shutil.rmtree(discarded, ignore_errors=True)


def earlier_results(output: Path) -> list[str]:
    """Return the relative paths an earlier run recorded in the folder, the record included."""
    try:
        files = list(json.loads((output / RECORD).read_text())["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    safe = [str(name) for name in files if not Path(str(name)).is_absolute() and ".." not in Path(str(name)).parts]
    return [*safe, RECORD]


def _published(stage: Stage, path: Path) -> Path:
    name = path.name.removesuffix(PART)
    return (stage.output / path.relative_to(stage.folder)).with_name(name)


def _remove(stage: Stage, files: set[Path]) -> None:
    """Remove results, and the folders that are empty without them."""
    for path in files:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in files} - {stage.output}:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _refuse_foreign_files(output: Path) -> None:
    known = {output / name for name in earlier_results(output)}
    foreign = [
        path for path in output.rglob("*")
        if path.is_file() and path not in known and path.relative_to(output).parts[0] not in (STAGE, DISCARDED)
    ]  # fmt: skip
    if foreign:
        raise OutputError(
            f"The output folder must be empty or hold the results of an earlier run; {output} holds "
            f"{len(foreign)} other files. Choose an empty folder with -o."
        )
