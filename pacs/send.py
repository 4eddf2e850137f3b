"""Studies sent to the PACS as a scanner sends them: by DICOM C-STORE."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cli.sample import SAMPLES
from pacs.failure import DemoError
from pacs.orthanc import AE_TITLE, AT_ONCE, Orthanc, find_program
from pacs.ports import LOOPBACK

SEND_S = 900


def write_samples(folder: Path) -> None:
    """Write the synthetic study of each application."""
    for app in SAMPLES:
        command: list[str | Path] = [sys.executable, "-m", "cli.main", "sample", app, folder / app]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def send(folder: Path, orthanc: Orthanc) -> None:
    """Send every DICOM file below a folder, in the transfer syntax it has; raise DemoError when the PACS lacks one."""
    if not folder.is_dir():
        raise DemoError(f"There is no folder {folder}. STUDY is a folder with DICOM files.")
    done = subprocess.run(
        [
            find_program("storescu"), "--scan-directories", "--recurse", "--no-halt", "--propose-lossless",
            "--aetitle", "SCANNER", "--call", AE_TITLE, LOOPBACK, str(orthanc.dicom_port), folder,
        ],
        check=False, capture_output=True, text=True, timeout=SEND_S, env={**os.environ, **AT_ONCE},
    )  # fmt: skip
    if done.returncode:
        raise DemoError(f"storescu could not send {folder}. It says:\n{done.stderr[-1000:]}")
