"""Results appear all at once or not at all.

Everything is written below ``.partial`` in the output folder, under names a host does not export, and renamed into
place at the end: on one file system a rename needs no space and cannot stop half-way through a file.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from imaging.outcome import OutputError

STAGE = ".partial"
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
        shutil.rmtree(stage.folder, ignore_errors=True)
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
    moved: list[Path] = []
    try:
        for path in files:
            target = _published(stage, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            moved.append(target)
        for path in old - set(moved):
            path.unlink(missing_ok=True)
    except OSError as error:
        for path in moved:
            path.unlink(missing_ok=True)
        raise OutputError(f"The results cannot be moved into {stage.output} ({error.strerror}).") from error
    finally:
        discard(stage)
    return moved


def result_names(stage: Stage) -> list[str]:
    """Return the names the staged files will have, relative to the output folder."""
    files = sorted(path for path in stage.folder.rglob("*") if path.is_file())
    return [_published(stage, path).relative_to(stage.output).as_posix() for path in files]


def discard(stage: Stage) -> None:
    """Remove the stage and what is in it."""
    shutil.rmtree(stage.folder, ignore_errors=True)


def earlier_results(output: Path) -> list[str]:
    """Return the relative paths an earlier run recorded in the folder, the record included."""
    try:
        files = json.loads((output / RECORD).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    safe = [str(name) for name in files if not Path(str(name)).is_absolute() and ".." not in Path(str(name)).parts]
    return [*safe, RECORD]


def _published(stage: Stage, path: Path) -> Path:
    name = path.name.removesuffix(PART)
    return (stage.output / path.relative_to(stage.folder)).with_name(name)


def _refuse_foreign_files(output: Path) -> None:
    known = {output / name for name in earlier_results(output)}
    staged = output / STAGE
    foreign = [
        path for path in output.rglob("*")
        if path.is_file() and path not in known and not path.is_relative_to(staged)
    ]  # fmt: skip
    if foreign:
        raise OutputError(
            f"The output folder must be empty or hold the results of an earlier run; {output} holds "
            f"{len(foreign)} other files. Choose an empty folder with -o."
        )
