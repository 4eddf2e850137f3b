"""What is written beside imported weights: their input, where they come from, and that nobody evaluated them here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.read_weights import Source, Variables
from imaging.model_package import METADATA, ModelInput
from imaging.outcome import ModelError, UsageError
from imaging.suite import RESEARCH_USE

AXES = ("slice", "row", "column")
RAS = "RAH"
"""fastMONAI's order of axes after it has brought an image to RAS+: rising to right, anterior, head."""
UNSAID = {"orientation": ModelInput.orientation, "intensity": ModelInput.intensity}
"""What a description means that does not say it."""
INTENSITIES = ("unit_range", "z_score")
NOT_EVALUATED = "These weights were imported from a file of others and were not evaluated here."
WORDS = {
    "unit_range": "0.5th to 99.5th percentile of the image scaled to 0..1 and clipped",
    "z_score": "the image minus its mean, divided by its standard deviation",
}


@dataclass(frozen=True, kw_only=True)
class Target:
    """What an application expects of the networks it runs."""

    channels: tuple[str, ...]  # of the output
    repeat: bool = False  # whether one output may stand for all of them
    sequences: bool = False  # whether the image has a channel for each of several sequences


TARGETS = {
    "cervical_tumor": Target(channels=("tumour",), sequences=True),
    "skull_strip": Target(channels=("logits",)),
    # Without cores of their own, bodies are the connected components of the mask, as in the published system.
    "spine": Target(channels=("body", "core"), repeat=True),
}
"""The applications whose networks are a U-Net over whole volumes."""


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What the user says of the weights; axes in the order of the network's arrays."""

    spacing_mm: list[float] | None = None
    orientation: str | None = None
    size: list[int] | None = None
    fit: bool = False
    intensity: str | None = None
    sequences: list[str] | None = None
    may_be_absent: list[str] | None = None


def read_like(folder: Path | None) -> dict[str, Any]:
    """Return the description of a model whose input the weights share; {} without a folder."""
    if folder is None:
        return {}
    try:
        record = dict(json.loads((folder / METADATA).read_text()))
        return {**record, "input": {**UNSAID, **record["input"]}}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"--like needs a folder of a model with {METADATA}; {folder} is none. Correct it.") from error


def describe_input(
    stated: Stated,
    variables: Variables,
    like: Mapping[str, Any],
    source: Source,
    *,
    in_channels: int,
    multiple: Sequence[int],
    target: Target,
) -> dict[str, Any]:
    """Return the grid and the values the network expects; UsageError when one of them is not known.

    What the user states goes before fastMONAI's variables, these before the model it is like. Nothing is guessed.
    """
    spacing_mm = stated.spacing_mm or variables.spacing_mm or like.get("spacing_mm")
    if spacing_mm is None:
        raise _unknown("the voxel size", "--spacing 4.4,0.78,0.78 in mm, in the order of the network's axes")
    orientation = stated.orientation or (RAS if variables.reorder else None) or like.get("orientation")
    if orientation is None:
        raise _unknown("the direction of the axes", f"--orientation {RAS} for RAS+, or LFP for sagittal slices")
    size = stated.size or variables.size
    intensity = stated.intensity or _normalised(source) or like.get("intensity")
    if intensity is None:
        names = ", ".join(str(one["name"]) for one in source.transforms) or "nothing that tells"
        raise _unknown("the scale of intensities", f"--intensity {' or '.join(INTENSITIES)}", names)
    described = {
        "spacing_mm": spacing_mm,
        "orientation": orientation,
        **_grid(size, like, list(multiple), fit=stated.fit),
        "intensity": intensity,
    }
    if "margin_mm" in like and not size:
        described["margin_mm"] = like["margin_mm"]
    return {**described, **_sequences(stated, like, in_channels, target)}


def _unknown(what: str, remedy: str, found: str = "none of --vars, --like and the options") -> UsageError:
    return UsageError(f"The network's input must be known: {what} is not told; found {found}. Give {remedy}.")


def _grid(size: list[int] | None, like: Mapping[str, Any], multiple: list[int], *, fit: bool) -> dict[str, list[int]]:
    """Return what sizes are allowed: one, all up to it, or those of the model it is like."""
    if size is None:
        if "maximum" not in like:
            raise _unknown("the size of the grid", "--size 16,400,400 in voxels, and --fit if smaller ones will do")
        allowed = {key: _three(like[key]) for key in ("multiple", "maximum")}
    else:
        allowed = {"multiple": multiple if fit else size, "maximum": size}
    for name, sizes in allowed.items():
        if any(have < 1 or have % step for have, step in zip(sizes, multiple, strict=True)):
            raise UsageError(
                f"The strides of the network divide multiples of {multiple} voxels only; the grid's {name} would be "
                f"{sizes}. Correct --size or --strides."
            )
    return allowed


def _three(value: Any) -> list[int]:
    return [int(one) for one in value] if isinstance(value, list) else [int(value)] * 3


def _normalised(source: Source) -> str | None:
    """Return the scale of intensities a learner was trained with, None when it is none of ours."""
    if [one["name"] for one in source.transforms] != ["ZNormalization"]:
        return None
    only = source.transforms[0]
    usual = only.get("_masking_method_arg") is None and only.get("channel_wise", True) is True
    return "z_score" if usual else None


def _sequences(stated: Stated, like: Mapping[str, Any], in_channels: int, target: Target) -> dict[str, list[str]]:
    if not target.sequences:
        if in_channels != 1:
            raise ModelError(f"The application gives its network one channel; this one takes {in_channels}.")
        return {}
    names = stated.sequences or like.get("sequences")
    if not names or len(names) != in_channels:
        raise UsageError(
            f"The network takes {in_channels} channels; named are {', '.join(names or []) or 'none'}. Give --sequences "
            "with one name for each channel in order, such as T2w,DWI,ADC."
        )
    absent = stated.may_be_absent or []  # never taken from another model: only training makes it so
    if set(absent) - set(names):
        raise UsageError(f"--may-be-absent names {', '.join(absent)}; the network has {', '.join(names)}. Correct it.")
    return {"sequences": list(names), "may_be_absent": absent}


def provenance(source: Source, difference: float) -> dict[str, Any]:
    """Return where the weights of one network come from, and how closely they were built anew."""
    return {
        "file": source.file,
        "sha256": source.sha256,
        "kind": source.kind,
        "compared_with": "the source network"
        if source.output is not None
        else "the network built anew from its tensors",
        "largest_difference": difference,
    }


def describe_model(
    *,
    name: str,
    version: str,
    members: Sequence[Mapping[str, Any]],
    wanted: Mapping[str, Any],
    target: Target,
    threshold: float,
    network: Mapping[str, Any],
    imported: Sequence[Mapping[str, Any]],
    repeated: bool,
) -> dict[str, Any]:
    """Return the metadata of the model."""
    channels = len(wanted.get("sequences", [])) or 1
    outputs = f"logits of {' and of '.join(target.channels)}"
    return {
        "name": name,
        "version": version,
        "members": list(members),
        "ensemble": "mean_probability",
        "input": dict(wanted),
        "channels": list(target.channels),
        "threshold": threshold,
        "calibration": NOT_EVALUATED,
        "contract": {
            "input": f"float32 (1, {channels}, {', '.join(AXES)}), axes rising to {', '.join(wanted['orientation'])}; "
            f"{WORDS.get(wanted['intensity'], wanted['intensity'])}; 0 outside the image",
            "output": f"float32 (1, {len(target.channels)}, {', '.join(AXES)}): {outputs}"
            + ("; the network has one output, repeated" if repeated else ""),
        },
        "network": dict(network),
        "imported": list(imported),
    }


def card(record: Mapping[str, Any], app: str) -> str:
    """Return a model card for somebody to complete; it says first that nothing was evaluated."""
    rows = {
        "application": app,
        "name and version": f"{record['name']} {record['version']}",
        "network": f"MONAI UNet, {json.dumps(record['network'])}",
        "input": f"{record['contract']['input']}; {json.dumps(record['input'])}",
        "output": record["contract"]["output"],
        "threshold": str(record["threshold"]),
    }
    table = "\n".join(f"| {key} | {value} |" for key, value in rows.items())
    sources = "\n".join(
        f"| `{one['file']}` | `{one['sha256']}` | {one['kind']} | {one['largest_difference']:.1e} "
        f"to {one['compared_with']} |"
        for one in record["imported"]
    )
    return f"""# Model card: {record["name"]}

**{NOT_EVALUATED}**

**{RESEARCH_USE}**

| | |
|---|---|
{table}

## Where the weights come from

| file | SHA-256 | read as | largest difference of the TorchScript copy |
|---|---|---|---|
{sources}

## To complete

* Who trained the weights, on what data, and the licence of both:
* Intended use, and what is out of scope:
* Evaluation on data of this site:
"""
