"""``monai-deploy sample [APP] FOLDER``: write the embedded synthetic study of an application."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from imaging.write_chest_sample import write_chest_study
from imaging.write_lumbar_sample import write_lumbar_study
from imaging.write_pelvic_sample import write_pelvic_study
from imaging.write_sample import write_head_study

SAMPLES: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "cervical_tumor": ("pelvic MR study", write_pelvic_study),
    "lung_nodule": ("chest CT study", write_chest_study),
    "skull_strip": ("T1w head study", write_head_study),
    "spine": ("lumbar MR study", write_lumbar_study),
}
"""What is written for each application."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add APP and FOLDER."""
    parser.add_argument(
        "app", metavar="APP", nargs="?", choices=sorted(SAMPLES), default="skull_strip",
        help=f"application the study is for: {', '.join(sorted(SAMPLES))} (default: skull_strip)",
    )  # fmt: skip
    parser.add_argument("folder", type=Path, help="folder to write, made if need be")


def run(options: argparse.Namespace) -> int:
    """Write the study and say where."""
    title, write = SAMPLES[options.app]
    folder = write(options.folder)
    sys.stdout.write(f"Synthetic {title} (a phantom, not a person) written to {folder}\n")
    return 0
