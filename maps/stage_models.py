"""Models as an image holds them: verified, with one TorchScript file in each folder of the SDK's folder of models.

The SDK takes a folder of models only when each of its sub-folders holds exactly one file, and drops the rest without a
word. What the suite needs besides, metadata and the copies for OpenVINO, lies in a folder of packages, whose weights
are links to the SDK's. Mounting other weights over either folder works.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from imaging.model_package import METADATA, ModelPackage, load_model_package
from imaging.outcome import ModelError

MODELS, PACKAGES = "opt/holoscan/models", "opt/holoscan/model_packages"


def stage_models(source: Path, model: str, tree: Path) -> dict[str, tuple[str, str]]:
    """Write the model of a folder of models into an image's tree; return file and SHA-256 of each SDK model by name.

    ModelError when a file is missing or its hash is not the one in the model's metadata.
    """
    found = {}
    described = sorted((source / model).rglob(METADATA))
    if not described:
        raise ModelError(f"The model {model} has no {METADATA} below {source / model}. Restore it from the release.")
    for path in described:
        package = load_model_package(path.parent)
        target = tree / PACKAGES / path.parent.relative_to(source)
        target.mkdir(parents=True)
        shutil.copyfile(path, target / METADATA)
        _copy_openvino(path, target)
        found.update(_place_weights(package, path.parent.relative_to(source), target, tree))
    for card in sorted((source / model).rglob("card.md")):
        shutil.copyfile(card, tree / PACKAGES / card.relative_to(source))
    return found


def _place_weights(package: ModelPackage, name: Path, target: Path, tree: Path) -> dict[str, tuple[str, str]]:
    found = {}
    for member in package.members:
        file = member.torchscript
        parts = (*name.parts, *([file.stem] if len(package.members) > 1 else []))
        folder = tree / MODELS / "_".join(parts)
        folder.mkdir(parents=True)
        shutil.copyfile(file, folder / file.name)
        (target / file.name).symlink_to(os.path.relpath(folder / file.name, target))
        found[folder.name] = (file.name, member.sha256)
    return found


def _copy_openvino(path: Path, target: Path) -> None:
    record = json.loads(path.read_text())
    for member in record.get("members", [record]):
        for name in member.get("openvino", {}).get("sha256", {}):
            shutil.copyfile(path.parent / name, target / name)
