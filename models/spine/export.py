"""Turn the checkpoints of all folds into what the application loads: TorchScript weights, OpenVINO copies, metadata.

    python -m models.spine.export --work DIR

Writes into this folder, for every fold N: ``foldN.ts``, ``foldN.xml`` and ``foldN.bin``; and ``metadata.json``,
``training_log.csv`` and ``training_curve.png``. All copies of the weights are float32.
"""

from __future__ import annotations

import argparse
import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import torch

from cli.copy_for_openvino import copy_for_openvino
from imaging.model_package import sha256_of
from models.spine.train import RECIPE, build_network

FOLDER = Path(__file__).parent
EXAMPLE_SHAPE, OTHER_SHAPE = (16, 128, 96), (24, 112, 144)
"""Of noise that both copies of the weights are compared on."""
INPUT = {
    "orientation": "LFP",
    "multiple": [8, 16, 16],
    "maximum": [24, 400, 400],
    "intensity": "z_score",
}
"""What holds beside the spacing: axis directions (highdicom's letters), sizes in voxels, grey values."""


def export(work: Path, folder: Path, version: str) -> None:
    """Write the models of all folds below a folder."""
    recipe = tomllib.loads(RECIPE.read_text())
    members, trained = [], []
    for fold in range(len(recipe["folds"]["held_out"])):
        state = torch.load(work / f"fold{fold}" / "checkpoint.pt", weights_only=True, map_location="cpu")
        members.append(export_fold(state, recipe, folder, f"fold{fold}"))
        trained.append({**state["at"], "seconds": round(state["at"]["seconds"])})
    record = describe(recipe, members, trained, version)
    (folder / "metadata.json").write_text(json.dumps(record, indent=2) + "\n")
    join_logs(work, len(members), folder / "training_log.csv")
    plot_curves(folder / "training_log.csv", folder / "training_curve.png")


def export_fold(state: dict[str, Any], recipe: dict[str, Any], folder: Path, stem: str) -> dict[str, Any]:
    """Write one network twice and return its entry in the metadata."""
    network = build_network(recipe["network"])
    network.load_state_dict(state["average"])
    network.eval()
    script = folder / f"{stem}.ts"
    example = torch.rand(1, 1, *EXAMPLE_SHAPE)
    with torch.inference_mode():
        torch.jit.trace(network, example).save(str(script))
    files = copy_for_openvino(script, [example, torch.rand(1, 1, *OTHER_SHAPE)])
    digest = sha256_of(script)
    return {
        "weights": {"file": script.name, "sha256": digest},
        "openvino": {
            "file": f"{stem}.xml",
            "made_from_sha256": digest,
            "sha256": {file.name: sha256_of(file) for file in files},
        },
    }


def describe(
    recipe: dict[str, Any], members: list[dict[str, Any]], trained: list[dict[str, Any]], version: str
) -> dict[str, Any]:
    """Return the metadata: hashes, the contract of input and output, and where the weights come from."""
    return {
        "name": "spine",
        "version": version,
        "members": members,
        "ensemble": "mean_probability",
        "input": {"spacing_mm": recipe["grid"]["spacing_mm"], **INPUT},
        "channels": ["body", "core"],
        "threshold": 0.5,
        "contract": {
            "input": "float32 (1, 1, slice, row, column), rising to left, foot, posterior; the source image minus its "
            "mean, divided by its standard deviation (both over the whole volume), resampled; 0 outside the image; "
            "slices a multiple of 8, rows and columns of 16",
            "output": "float32 (1, 2, slice, row, column): logits of body (marrow of the vertebral bodies down to L5) "
            "and of core (what lies deeper than 4 mm below the edge of its body in the sagittal plane)",
        },
        "network": recipe["network"],
        "trained": trained,
    }


def join_logs(work: Path, folds: int, path: Path) -> None:
    """Write the logs of all folds as one table with a column for the fold."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        for fold in range(folds):
            with (work / f"fold{fold}" / "log.csv").open(newline="") as log:
                head, *body = csv.reader(log)
            if fold == 0:
                rows.writerow(["fold", *head])
            rows.writerows([fold, *row] for row in body)


def plot_curves(log: Path, path: Path) -> None:
    """Draw loss and held-out Dice of every fold over the time of training."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    for fold in sorted({row["fold"] for row in rows}):
        own = [row for row in rows if row["fold"] == fold]
        looked = [row for row in own if row["held_out_dice"]]
        left.plot(
            [float(row["seconds"]) / 60 for row in own], [float(row["loss"]) for row in own], label=f"fold {fold}"
        )
        right.plot([float(row["seconds"]) / 60 for row in looked], [float(row["held_out_dice"]) for row in looked])
    left.set(xlabel="minutes of training", ylabel="loss")
    left.legend()
    right.set(xlabel="minutes of training", ylabel="Dice, held-out T2w scans", ylim=(0.5, 1.0))
    figure.tight_layout()
    figure.savefig(path, dpi=100)


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--version", default="0.1.0")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    export(options.work, options.folder, options.version)


if __name__ == "__main__":
    main()
