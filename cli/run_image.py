"""``monai-deploy run IMAGE -i STUDY -o OUT``: run an application's image here, without network and rights."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add IMAGE, folders, and what is passed on."""
    parser.add_argument("image", metavar="IMAGE")
    parser.add_argument("-i", "--input", type=Path, required=True, help="folder of a DICOM study")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results, made if need be")
    parser.add_argument("-m", "--model", type=Path, help="folder of models to use in place of the image's")
    parser.add_argument("--engine", choices=("docker", "podman"), help="program that runs it (default: what is there)")
    parser.add_argument("--gpu", action="store_true", help="give it the GPUs of this machine")
    parser.epilog = "Options after -- go to the application: monai-deploy run IMAGE -i STUDY -o OUT -- --nifti"


def run(options: argparse.Namespace) -> int:
    """Run the image; the exit code is the application's."""
    from maps.run_image import Folders, run_image

    folders = Folders(options.input, options.output, options.model)
    return run_image(options.image, options.passed_on, folders=folders, engine=options.engine, gpu=options.gpu)
