"""Write the files of all hosts: python3 -m maps.write_deploy [FOLDER] or monai-deploy deploy-files."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from imaging.outcome import OutputError, SuiteError
from maps.describe_app import ROOT, AppDescription, app_names, describe_app
from maps.hosts.argo import argo_files
from maps.hosts.docker_run import docker_run_files
from maps.hosts.gateway import gateway_files
from maps.hosts.hospital_site import Site
from maps.hosts.kubernetes import kubernetes_files
from maps.hosts.mercure import mercure_files
from maps.hosts.orthanc import orthanc_files
from maps.hosts.workflow_manager import workflow_files

HOSTS = (
    gateway_files, workflow_files, argo_files, mercure_files, orthanc_files, docker_run_files, kubernetes_files,
)  # fmt: skip
EXECUTABLE = (".sh", ".py")
README = """\
# Files of the hosts

Written by `monai-deploy deploy-files` from what `apps/*/app.py` say of themselves; do not edit them. For images in a
registry, or another PACS: `monai-deploy deploy-files --help`, into a folder of your own. How to use them, host by host:
[docs/deploy.md](../docs/deploy.md).
"""
HELP = {
    "registry": "of the images, such as registry.example.org:5000/maps (default: they are on the host)",
    "tag": "of the images (default: the version of the application)",
    "user": "as whom images run, UID:GID",
    "pacs_name": "name of the PACS as source and destination of the Informatics Gateway, and as target of mercure",
    "pacs_ae_title": "its AE title",
    "pacs_host": "its address",
    "pacs_port": "its DICOM port",
    "gateway_url": "REST API of the Informatics Gateway",
    "namespace": "of Argo",
    "gpu": "give each run a GPU; for images built with --gpu",
}


def deploy_files(apps: Sequence[AppDescription], site: Site) -> dict[str, str]:
    """Return the text of every file of every host by its path."""
    files = {"README.md": README}
    for host in HOSTS:
        files |= host(apps, site)
    return files


def write_files(files: dict[str, str], folder: Path) -> None:
    """Replace what an earlier call wrote into a folder; any other folder must be empty (OutputError)."""
    ours = (folder / "README.md").is_file() and (folder / "README.md").read_text() == README
    if folder.is_dir() and any(folder.iterdir()) and not ours:
        raise OutputError(f"{folder} is not empty, and not of an earlier call. Give another folder.")
    for name in {Path(name).parts[0] for name in files if "/" in name}:
        shutil.rmtree(folder / name, ignore_errors=True)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if path.suffix in EXECUTABLE else 0o644)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one option for each name of a site."""
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "deploy", help="default: deploy/ of the suite")
    for item in fields(Site):
        flag, default = f"--{item.name.replace('_', '-')}", item.default
        if isinstance(default, bool):
            parser.add_argument(flag, action="store_true", help=HELP[item.name])
        else:
            shown = f"{HELP[item.name]}{f' (default: {default})' if default else ''}"
            parser.add_argument(flag, type=type(default), default=default, help=shown)


def run(options: argparse.Namespace) -> int:
    """Write the files and say where."""
    site = Site(**{item.name: getattr(options, item.name) for item in fields(Site)})
    files = deploy_files([describe_app(name) for name in app_names()], site)
    write_files(files, options.folder)
    sys.stdout.write(f"{len(files)} files in {options.folder}\n")
    return 0


def main() -> int:
    """Run as a module."""
    parser = argparse.ArgumentParser(prog="python3 -m maps.write_deploy", description=__doc__)
    add_arguments(parser)
    try:
        return run(parser.parse_args())
    except SuiteError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main())
