"""A model folder: TorchScript weights, what they expect, and the hash that proves they are the right ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging.outcome import ModelError

METADATA = "metadata.json"


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """The grid and the values a network expects."""

    spacing_mm: float  # isotropic
    multiple: int  # each axis is a multiple of so many voxels
    maximum: int  # and at most so many
    window: tuple[int, int, int] | None = None  # of a sliding window; None for the whole volume at once


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """One model on disk, verified."""

    name: str
    version: str
    weights: Path
    sha256: str
    openvino: Path | None  # an OpenVINO copy of the same weights, for CPUs
    input: ModelInput
    threshold: float


def load_model_package(folder: Path) -> ModelPackage:
    """Return the model in a folder; ModelError when it is missing, incomplete, or its hash is not the recorded one."""
    path = folder / METADATA
    try:
        record = json.loads(path.read_text())
        package = _package(folder, record)
        copies = dict(record["openvino"]["sha256"]) if package.openvino else {}
    except OSError as error:
        raise ModelError(
            f"A model folder with {METADATA} is needed; {path} cannot be read. Give the folder of models with -m."
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{path} is not a valid model description ({type(error).__name__}: {error}). Restore it from the release."
        ) from error
    _verify(package.weights, package.sha256)
    for file, digest in copies.items():
        _verify(folder / file, digest)
    return package


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _package(folder: Path, record: dict[str, Any]) -> ModelPackage:
    weights, copy = record["weights"], record.get("openvino")
    if copy and copy["made_from_sha256"] != weights["sha256"]:
        copy = None  # of other weights: TorchScript is the reference
    network = dict(record["input"])
    network["window"] = tuple(network["window"]) if network.get("window") else None
    return ModelPackage(
        name=record["name"],
        version=record["version"],
        weights=folder / weights["file"],
        sha256=weights["sha256"],
        openvino=folder / copy["file"] if copy else None,
        input=ModelInput(**network),
        threshold=float(record["threshold"]),
    )


def _verify(path: Path, digest: str) -> None:
    if not path.is_file():
        raise ModelError(f"The weights {path} are missing. Restore them from the release, or give -m another folder.")
    found = sha256_of(path)
    if found != digest:
        raise ModelError(
            f"The weights {path} are not those of {METADATA}: SHA-256 {found[:12]}..., expected {digest[:12]}.... "
            f"Restore the file, or record the new hash in {METADATA} if you replaced the weights on purpose."
        )
