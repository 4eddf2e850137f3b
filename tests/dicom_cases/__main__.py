"""``python -m tests.dicom_cases FOLDER [WORD ...]``: write cases, all or by words of their names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.dicom_cases import cases
from tests.dicom_cases.manifest import manifest

USAGE = "usage: python -m tests.dicom_cases FOLDER [WORD ...]; FOLDER must be new or empty"


def main(arguments: list[str]) -> int:
    """Write cases below a folder and return the exit code."""
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write(f"{USAGE}\n")
        return 2
    folder, words = Path(arguments[0]), arguments[1:]
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.stderr.write(f"{USAGE}; {folder} is not\n")
        return 2
    chosen = tuple(case for case in cases() if not words or any(word in case.name for word in words))
    for case in chosen:
        (folder / case.name).mkdir()
        case.write(folder / case.name)
    (folder / "manifest.json").write_text(json.dumps(manifest(chosen), indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(chosen)} cases in {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
