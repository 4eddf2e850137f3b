"""A folder of a model made of imported networks: all of it, checked, or nothing."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cli.describe_import import card
from cli.read_weights import Source
from cli.unet import (
    Builder,
    Hints,
    Unet,
    below_root,
    describe,
    hints_of,
    multiples,
    out_channels,
    refuse_other_layers,
    root_of,
    strides_of,
)
from cli.unpickle_weights import layers_of
from imaging.model_package import METADATA, load_model_package, sha256_of
from imaging.outcome import ModelError, OutputError, UsageError

CARD = "card.md"
TOLERANCE = 1e-4
"""Largest difference between two runs of the same weights, as a fraction of the largest logit."""
CELLS = ((2, 4, 3), (3, 2, 5))
"""Sizes of the images that networks are traced and compared on, in cells of the deepest level."""


class Adapted(nn.Module):  # type: ignore[misc] # mypy does not see torch
    """A network with the output an application expects."""

    def __init__(self, network: nn.Module, *, softmax: bool, repeat: int) -> None:
        super().__init__()
        self.network = network
        self.softmax = softmax
        self.repeat = repeat

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (batch, channel, ...) for a sigmoid."""
        logits = self.network(image)
        if self.softmax:  # of background and object: its logit is their difference
            logits = logits[:, 1:] - logits[:, :1]
        return logits.repeat(1, self.repeat, 1, 1, 1) if self.repeat > 1 else logits


def build(source: Source, hints: Hints) -> Unet:
    """Return the network of a source with its weights; ModelError when it is another, or not known to be the same."""
    root = root_of(source.state)
    layers = below_root(source.layers or {}, root)
    told = hints_of(layers) if layers else hints
    network = Builder(below_root(source.state, root), told).network()
    if layers:
        refuse_other_layers(layers, layers_of(network))
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise ModelError(f"Finite weights are needed; {source.file} holds others. Training failed: take other weights.")
    return network


def adapt(network: Unet, channels: int, *, softmax: bool, may_repeat: bool) -> Adapted:
    """Return a network with as many outputs as the application expects; UsageError when that cannot be."""
    found = out_channels(network)
    if softmax and found != 2:
        raise UsageError(f"--softmax is for two outputs, background and object; the network has {found}. Leave it out.")
    logits = 1 if softmax else found
    repeat = channels if may_repeat and logits == 1 else 1
    if logits * repeat != channels:
        raise UsageError(
            f"The application expects {channels} output channels, the network has {found}. Give --softmax when they "
            "are background and object, or other weights."
        )
    adapted = Adapted(network, softmax=softmax, repeat=repeat)
    adapted.eval()
    return adapted


def examples(network: Unet) -> list[Tensor]:
    """Return noise of two sizes that the network can take."""
    multiple, noise = multiples(strides_of(network)), torch.Generator().manual_seed(0)
    channels = describe(network)["in_channels"]
    shapes = [[size * step for size, step in zip(cells, multiple, strict=True)] for cells in CELLS]
    return [torch.randn(1, channels, *shape, generator=noise) for shape in shapes]


def write_script(source: Source, network: Unet, adapted: Adapted, path: Path) -> float:
    """Write TorchScript and return the largest difference to the source; ModelError when it is no rounding error."""
    images = examples(network)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # torch would rather have torch.export
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # of a check that images have voxels
            torch.jit.trace(adapted, images[0], check_trace=False).save(str(path))
            script = torch.jit.load(str(path)).eval()
            pairs = [(script(image), adapted(image)) for image in images]
            if source.image is not None and source.output is not None:
                pairs = [(script(source.image), _as(adapted, source.output))]
                refuse_difference(network(source.image), source.output, "The network built anew")
    except RuntimeError as error:
        raise ModelError(
            f"The layers of {source.file} do not fit together: {str(error).strip().splitlines()[-1][:200]} Give the "
            "weights of a MONAI UNet."
        ) from error
    return max(refuse_difference(found, wanted, "TorchScript") for found, wanted in pairs)


def _as(adapted: Adapted, output: Tensor) -> Tensor:
    """Return what an adapted network makes of an output of its network."""
    return Adapted(nn.Identity(), softmax=adapted.softmax, repeat=adapted.repeat)(output)


def refuse_difference(found: Tensor, wanted: Tensor, what: str) -> float:
    """Return the largest difference of two outputs; ModelError when they are not the same network's."""
    if found.shape != wanted.shape:
        raise ModelError(f"{what} gives {tuple(found.shape)}, the source {tuple(wanted.shape)}. Give a MONAI UNet.")
    difference = float((found - wanted).abs().max())
    tolerated = TOLERANCE * max(1.0, float(wanted.abs().max()))
    if not difference <= tolerated:
        raise ModelError(
            f"{what} must give what the source gives; logits differ by {difference:.3g}, tolerated are "
            f"{tolerated:.1g}. Correct --strides and --activation, or trace the network where it was made."
        )
    return difference


def write_model(
    folder: Path,
    networks: Sequence[tuple[Source, Unet, Adapted]],
    record: Callable[[list[dict[str, Any]], list[float]], dict[str, Any]],
    *,
    app: str,
    openvino: bool,
) -> dict[str, Any]:
    """Write weights, metadata and card as a new folder, loaded again before it gets its name.

    record  makes the metadata of the members' entries and of the largest differences

    Raises OutputError when the folder is there already or cannot be written.
    """
    if folder.exists():
        raise OutputError(f"A new folder is needed; {folder} exists. Give another -o, or move it away.")
    stage = folder.parent / f".{folder.name}.import-{os.getpid()}"
    try:
        stage.mkdir(parents=True)
        members, differences = [], []
        for number, (source, network, adapted) in enumerate(networks):
            stem = f"network{number}" if len(networks) > 1 else "model"
            differences.append(write_script(source, network, adapted, stage / f"{stem}.ts"))
            members.append(_member(stage, stem, examples(network) if openvino else []))
        written = record(members, differences)
        (stage / METADATA).write_text(json.dumps(written, indent=2) + "\n")
        (stage / CARD).write_text(card(written, app))
        load_model_package(stage)
        stage.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written ({error.strerror}). Give another -o.") from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return written


def _member(folder: Path, stem: str, images: Sequence[Tensor]) -> dict[str, Any]:
    digest = sha256_of(folder / f"{stem}.ts")
    entry: dict[str, Any] = {"weights": {"file": f"{stem}.ts", "sha256": digest}}
    if not images:
        return entry
    from cli.copy_for_openvino import copy_for_openvino

    files = copy_for_openvino(folder / f"{stem}.ts", images)
    copy = {"file": f"{stem}.xml", "made_from_sha256": digest, "sha256": {one.name: sha256_of(one) for one in files}}
    return {**entry, "openvino": copy}
