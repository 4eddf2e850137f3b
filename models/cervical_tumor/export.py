"""Turn a checkpoint into what the application loads: TorchScript weights, their OpenVINO copy and metadata.json.

    python -m models.cervical_tumor.export --work DIR [--trained-on "one sentence"]

Writes into this folder: ``model.ts``, ``model.xml`` and ``model.bin``, ``metadata.json``, ``training_log.csv`` and
``training_curve.png``. Both copies of the weights are float32.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import torch

from cli.copy_for_openvino import copy_for_openvino
from imaging.model_package import sha256_of
from models.cervical_tumor.prepare import SEQUENCES, wanted_input
from models.cervical_tumor.train import RECIPE, build_network

FOLDER = Path(__file__).parent
EXAMPLE_SHAPE, OTHER_SHAPE = (64, 96, 96), (80, 112, 96)
"""Of noise that both copies of the weights are compared on."""
TRAINED_ON = "These weights are trained on synthetic pelvises only; they prove the pipeline, not the diagnosis."


def export(work: Path, folder: Path, version: str, trained_on: str, weights: str = "average") -> None:
    """Write the model of a checkpoint below a folder: its running average of the weights, or the last "network"."""
    recipe = tomllib.loads(RECIPE.read_text())
    network = build_network(recipe["network"])
    state = torch.load(work / "checkpoint.pt", weights_only=True, map_location="cpu")
    network.load_state_dict(state[weights])
    network.eval()
    with torch.inference_mode():
        torch.jit.trace(network, torch.rand(1, len(SEQUENCES), *EXAMPLE_SHAPE)).save(str(folder / "model.ts"))
    noise = torch.Generator().manual_seed(0)
    images = [torch.rand(1, len(SEQUENCES), *shape, generator=noise) for shape in (EXAMPLE_SHAPE, OTHER_SHAPE)]
    copy_for_openvino(folder / "model.ts", images)
    record = describe(folder, recipe, state["at"], version, trained_on)
    (folder / "metadata.json").write_text(json.dumps(record, indent=2) + "\n")
    shutil.copy(work / "log.csv", folder / "training_log.csv")
    plot_curve(folder / "training_log.csv", folder / "training_curve.png")


def describe(folder: Path, recipe: dict[str, Any], at: dict[str, Any], version: str, trained_on: str) -> dict[str, Any]:
    """Return the metadata: hashes, the contract of input and output, and where the weights come from."""
    wanted = wanted_input(recipe["grid"]["spacing_mm"])
    digest = sha256_of(folder / "model.ts")
    return {
        "name": "cervical_tumor",
        "version": version,
        "weights": {"file": "model.ts", "sha256": digest},
        "openvino": {
            "file": "model.xml",
            "made_from_sha256": digest,
            "sha256": {name: sha256_of(folder / name) for name in ("model.xml", "model.bin")},
        },
        "input": {
            "spacing_mm": list(wanted.spacing_mm),
            "orientation": wanted.orientation,
            "multiple": list(wanted.multiple),
            "maximum": list(wanted.maximum),
            "intensity": wanted.intensity,
            "sequences": list(wanted.sequences),
            "may_be_absent": recipe["grid"]["may_be_absent"],
        },
        "channels": ["tumour"],
        "threshold": 0.5,
        "calibration": trained_on,
        "contract": {
            "input": "float32 (1, 3, slice, row, column), rising to head, posterior, left; the channels are T2w, "
            "diffusion of the highest b-value and ADC, aligned to T2w, each minus its mean, divided by its standard "
            "deviation, both over the voxels it has; 0 where it has none, and 0 throughout where the sequence is "
            "missing; each axis a multiple of 16",
            "output": "float32 (1, 1, slice, row, column): logits of tumour",
        },
        "network": recipe["network"],
        "trained": {"stage": at["stage"], "step": at["step"], "seconds": round(at["seconds"])},
    }


def plot_curve(log: Path, path: Path) -> None:
    """Draw loss and validation Dice over the time of training."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    looked = [row for row in rows if row["held_out_dice"]]
    figure, left = plt.subplots(figsize=(7, 3.5))
    left.plot([float(row["seconds"]) / 60 for row in rows], [float(row["loss"]) for row in rows])
    left.set(xlabel="minutes of training", ylabel="loss (blue)")
    right = left.twinx()
    right.plot([float(row["seconds"]) / 60 for row in looked], [float(row["held_out_dice"]) for row in looked], "o-C1")
    right.set(ylabel="Dice on validation cases (orange)", ylim=(0, 1))
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--weights", choices=("average", "network"), default="average", help="running average, or last")
    parser.add_argument("--trained-on", default=TRAINED_ON, help="how far the weights can be trusted, for every report")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    export(options.work, options.folder, options.version, options.trained_on, options.weights)


if __name__ == "__main__":
    main()
