"""A model folder: TorchScript weights, what they expect, and the hashes that prove they are the right ones."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from imaging.outcome import ModelError

METADATA = "metadata.json"


Triple = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """The grid and the values a network expects; each triple is for (slice, row, column)."""

    spacing_mm: tuple[float, float, float]
    multiple: Triple  # each axis is a multiple of so many voxels
    maximum: Triple  # and at most so many
    orientation: str = "HPL"  # patient directions in which the axes rise, as DICOM abbreviates them
    intensity: Literal["unit_range", "z_score", "hu_window"] = "unit_range"
    margin_mm: float | None = None  # kept about the object where the air around it is cut away; None keeps all
    window: Triple | None = None  # of a sliding window; None for the whole volume at once
    sequences: tuple[str, ...] = ()  # what the channels of the image are, such as T2w, DWI, ADC; () for one image
    may_be_absent: tuple[str, ...] = ()  # those it works without: their channel is 0 then


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One network on disk."""

    torchscript: Path
    sha256: str
    openvino: Path | None  # a copy of the same weights, for CPUs


@dataclass(frozen=True, kw_only=True)
class ModelPackage:
    """A model on disk, verified: one network, or several whose probabilities are averaged."""

    name: str
    version: str
    members: tuple[Weights, ...]
    input: ModelInput
    threshold: float
    channels: tuple[str, ...] = ("logits",)  # what each channel of the output stands for
    temperature: float = 1.0  # of a classifier: its logit is divided by it, so that the probability is calibrated
    calibration: str = ""  # of a classifier: a sentence on how far its probability can be trusted

    @property
    def sha256(self) -> str:
        """SHA-256 of the weights; of an ensemble, that of its members' hashes in order."""
        if len(self.members) == 1:
            return self.members[0].sha256
        return hashlib.sha256("".join(member.sha256 for member in self.members).encode()).hexdigest()


def load_model_package(folder: Path) -> ModelPackage:
    """Return the model in a folder; ModelError when it is missing, incomplete, or its hash is not the recorded one."""
    path = folder / METADATA
    try:
        record = json.loads(path.read_text())
        package = _package(folder, record)
        copies = {file: digest for member in _members(record) for file, digest in _copies(member).items()}
    except OSError as error:
        raise ModelError(
            f"A model folder with {METADATA} is needed; {path} cannot be read. Give the folder of models with -m."
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} is not a valid model description ({type(error).__name__}: {error}). Restore it from the release."
        ) from error
    for member in package.members:
        _verify(member.torchscript, member.sha256)
    for file, digest in copies.items():
        _verify(folder / file, digest)
    return package


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _package(folder: Path, record: dict[str, Any]) -> ModelPackage:
    wanted = dict(record["input"])
    for key in ("spacing_mm", "multiple", "maximum"):
        if key in wanted:
            wanted[key] = _triple(wanted[key])
    wanted["window"] = tuple(wanted["window"]) if wanted.get("window") else None
    for key in ("sequences", "may_be_absent"):
        wanted[key] = _names(wanted.get(key, []))
    absent, all_of_them = set(wanted["may_be_absent"]), set(wanted["sequences"])
    if absent and not absent < all_of_them:
        raise ValueError("of the sequences, some may be absent, and one must be there")
    members = tuple(_weights(folder, member) for member in _members(record))
    if not members:
        raise ValueError("an ensemble needs at least one member")
    return ModelPackage(
        name=record["name"],
        version=record["version"],
        members=members,
        input=ModelInput(**wanted),
        threshold=float(record["threshold"]),
        channels=tuple(record.get("channels", ("logits",))),
        temperature=_positive(record.get("temperature", 1.0)),
        calibration=str(record.get("calibration", "")),
    )


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(f"a temperature must be above 0, got {number}")
    return number


def _members(record: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the networks of a description: one at its top level, or those of an ensemble."""
    return list(record["members"]) if "members" in record else [record]


def _triple(value: Any) -> tuple[Any, ...]:
    """Return a value for each axis; one number holds for all."""
    return tuple(value) if isinstance(value, list) else (value,) * 3


def _names(value: Any) -> tuple[str, ...]:
    """Return a list of names."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"a list of names is needed, got {value!r}")
    return tuple(value)


def _copies(member: dict[str, Any]) -> dict[str, str]:
    """Return the files of the OpenVINO copy and their hashes; none when it is of other weights."""
    copy = member.get("openvino")
    if not copy or copy["made_from_sha256"] != member["weights"]["sha256"]:
        return {}  # TorchScript is the reference
    return dict(copy["sha256"])


def _weights(folder: Path, member: dict[str, Any]) -> Weights:
    weights = member["weights"]
    copy = member["openvino"]["file"] if _copies(member) else None
    return Weights(
        torchscript=folder / weights["file"],
        sha256=weights["sha256"],
        openvino=folder / copy if copy else None,
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
