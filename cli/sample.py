"""``monai-deploy sample FOLDER``: write the embedded synthetic head study."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from imaging.write_sample import write_head_study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add FOLDER."""
    parser.add_argument("folder", type=Path, help="folder to write, made if need be")


def run(options: argparse.Namespace) -> int:
    """Write the study and say where."""
    folder = write_head_study(options.folder)
    sys.stdout.write(f"Synthetic T1w head study (a phantom, not a person) written to {folder}\n")
    return 0
