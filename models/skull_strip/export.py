"""Turn a checkpoint into what the application loads: TorchScript weights, their OpenVINO copy and metadata.json.

    python -m models.skull_strip.export --work DIR
    python -m models.skull_strip.export --copy       # only the OpenVINO copy, of the weights there are

Writes into this folder: ``model.ts``, ``model.xml`` and ``model.bin``, ``metadata.json``, ``training_log.csv`` and
``training_curve.png``. Both copies of the weights are float32.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import shutil
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from openvino import opset13 as ops

from imaging.model_package import sha256_of
from models.skull_strip.train import RECIPE, build_network

FOLDER = Path(__file__).parent
EXAMPLE_SHAPE = (96, 112, 96)
OTHER_SHAPE = (80, 96, 112)
LARGE = 10_000
"""Voxels of a channel, on the example's grid, from which averaging in one go costs digits."""
TOLERANCE = 1e-3
"""Largest difference of a logit between TorchScript and OpenVINO on noise, where logits are of the order of 10."""


def export(work: Path, folder: Path, version: str) -> None:
    """Write the model of a checkpoint below a folder."""
    recipe = tomllib.loads(RECIPE.read_text())
    network = build_network(recipe["network"])
    state = torch.load(work / "checkpoint.pt", weights_only=True, map_location="cpu")
    network.load_state_dict(state["average"])
    network.eval()
    example = torch.rand(1, 1, *EXAMPLE_SHAPE)
    with torch.inference_mode():
        torch.jit.trace(network, example).save(str(folder / "model.ts"))
    copy_for_openvino(folder)
    compare(folder)
    (folder / "metadata.json").write_text(json.dumps(describe(folder, recipe, state["at"], version), indent=2) + "\n")
    shutil.copy(work / "log.csv", folder / "training_log.csv")
    plot_curve(folder / "training_log.csv", folder / "training_curve.png")


def copy_for_openvino(folder: Path) -> None:
    """Write the OpenVINO copy of the TorchScript file in a folder."""
    frozen = torch.jit.freeze(torch.jit.load(str(folder / "model.ts")).eval())
    copy = openvino.convert_model(frozen, example_input=torch.rand(1, 1, *EXAMPLE_SHAPE))
    copy.reshape([1, 1, *EXAMPLE_SHAPE])
    large = [each for each in normalisations(copy) if math.prod(each.get_output_shape(0)[2:]) > LARGE]
    copy.reshape([1, 1, -1, -1, -1])
    average_exactly(large)
    copy.validate_nodes_and_infer_types()
    openvino.save_model(copy, folder / "model.xml", compress_to_fp16=False)


def renew_copy(folder: Path) -> None:
    """Write the OpenVINO copy of the weights in a folder again, and its hashes into the metadata."""
    copy_for_openvino(folder)
    compare(folder)
    path = folder / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "openvino": describe_copy(folder)}, indent=2) + "\n")


def normalisations(model: openvino.Model) -> list[openvino.Node]:
    """Return the instance normalisations of a model."""
    return [operation for operation in model.get_ops() if operation.get_type_name() == "MVN"]


def average_exactly(normalisations: list[openvino.Node]) -> None:
    """Replace instance normalisations by operations that lose no digits.

    OpenVINO averages a million float32 values in one go there, which moves logits by hundredths. Averaged along one
    axis after the other they agree with those of torch. Each operation more makes every start slower, so only those of
    large grids are replaced.
    """
    for operation in normalisations:
        image, epsilon = operation.input_value(0), np.float32(operation.get_attributes()["eps"])
        centred = ops.subtract(image, _mean_of(image))
        variance = _mean_of(ops.multiply(centred, centred).output(0))
        result = ops.divide(centred, ops.sqrt(ops.add(variance, ops.constant(epsilon))))
        for reader in operation.output(0).get_target_inputs():
            reader.replace_source_output(result.output(0))


def _mean_of(values: openvino.Output) -> openvino.Node:
    """Return the mean of each channel, (1, channels, 1, 1, 1); keeping every other axis stops OpenVINO from merging."""
    along_columns = ops.reduce_mean(values, _axis(4), keep_dims=True)
    along_rows = ops.reduce_mean(along_columns, _axis(3), keep_dims=False)
    along_slices = ops.reduce_mean(along_rows, _axis(2), keep_dims=True)
    return ops.unsqueeze(along_slices, _axis(4))


def _axis(number: int) -> openvino.Node:
    return ops.constant(np.array([number], np.int64))


def compare(folder: Path) -> None:
    """Raise ValueError when the two copies of the weights disagree on a grid they were not exported with."""
    image = torch.rand(1, 1, *OTHER_SHAPE, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        reference = torch.jit.load(str(folder / "model.ts"))(image).numpy()
    compiled = openvino.compile_model(folder / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    difference = float(np.abs(compiled(image.numpy())[0] - reference).max())
    if difference > TOLERANCE:
        raise ValueError(f"OpenVINO and TorchScript differ by {difference:.4f}, at most {TOLERANCE} is tolerated")


def describe(folder: Path, recipe: dict[str, Any], at: dict[str, Any], version: str) -> dict[str, Any]:
    """Return the metadata: hashes, the contract of input and output, and where the weights come from."""
    return {
        "name": "skull_strip",
        "version": version,
        "weights": {"file": "model.ts", "sha256": sha256_of(folder / "model.ts")},
        "openvino": describe_copy(folder),
        "input": {"spacing_mm": recipe["grid"]["spacing_mm"], "multiple": 16, "maximum": 144, "margin_mm": 10.0},
        "threshold": 0.5,
        "contract": {
            "input": "float32 (1, 1, slice, row, column), rising to head, posterior, left; 0.5th to 99.5th percentile "
            "of the image scaled to 0..1 and clipped; 0 outside the image; air wider than the margin left out; each "
            "axis a multiple of 16",
            "output": "float32 of the same shape: logits of brain",
        },
        "network": recipe["network"],
        "trained": {"stage": at["stage"], "step": at["step"], "seconds": round(at["seconds"])},
    }


def describe_copy(folder: Path) -> dict[str, Any]:
    """Return the metadata of the OpenVINO copy: its hashes, and of which weights it was made."""
    return {
        "file": "model.xml",
        "made_from_sha256": sha256_of(folder / "model.ts"),
        "sha256": {name: sha256_of(folder / name) for name in ("model.xml", "model.bin")},
    }


def plot_curve(log: Path, path: Path) -> None:
    """Draw loss and held-out Dice over the steps of all stages."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with log.open() as file:
        rows = list(csv.DictReader(file))
    minutes = [float(row["seconds"]) / 60 for row in rows]
    figure, left = plt.subplots(figsize=(7, 3.5))
    left.plot(minutes, [float(row["loss"]) for row in rows], color="tab:blue")
    left.set(xlabel="minutes of training", ylabel="loss (blue)")
    right = left.twinx()
    right.plot(minutes, [float(row["held_out_dice"]) for row in rows], color="tab:orange")
    right.set(ylabel="Dice on held-out synthetic heads (orange)")
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--work", type=Path, help="folder of the checkpoint")
    source.add_argument("--copy", action="store_true", help="only make the OpenVINO copy again")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--version", default="0.1.0")
    options = parser.parse_args()
    if options.copy:
        renew_copy(options.folder)
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    export(options.work, options.folder, options.version)


if __name__ == "__main__":
    main()
