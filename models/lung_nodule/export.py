"""Turn the checkpoints of all folds into what the application loads: TorchScript, OpenVINO copies, metadata.

    python -m models.lung_nodule.export --data DIR --work DIR

Writes into the folders ``classifier`` and ``outline`` beside this file, for every fold N: ``foldN.ts``, ``foldN.xml``
and ``foldN.bin``; and ``metadata.json``, ``training_log.csv`` and ``training_curve.png``. All copies are float32. The
calibration of the classifier is fitted here.
"""

from __future__ import annotations

import argparse
import csv
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from torch import nn

from imaging.model_package import sha256_of
from imaging.nodule_crop import crop_input
from models.lung_nodule.calibrate import Floats, Predict, cross_fitted, fit, held_out_logits
from models.lung_nodule.metrics import calibration_error
from models.lung_nodule.networks import build_network
from models.lung_nodule.prepare import load_nodules
from models.lung_nodule.train import NETWORKS, RECIPE

FOLDER = Path(__file__).parent
TOLERANCE = 1e-3
"""Largest difference of a logit between TorchScript and OpenVINO on noise."""
CONTRACTS = {
    "classifier": {
        "input": "float32 (1, 1, slice, row, column), rising to head, posterior, left: the cube of "
        "imaging.nodule_crop.classifier_crop as 'crop' describes it; HU window to 0..1, 0 outside the dilated mask",
        "output": "float32 (1, 1, slice, row, column): evidence of malignancy, a class activation map with the extent "
        "of the input; its mean is the logit, the mean of the members' logits that of the ensemble; divided by "
        "'temperature' it is the logit of the probability",
    },
    "outline": {
        "input": "float32 (1, 1, slice, row, column), rising to head, posterior, left: the box of "
        "imaging.nodule_crop.outline_crop about a seed as 'crop' describes it; HU window to 0..1",
        "output": "float32 (1, 1, slice, row, column): logits of the nodule that the seed at the centre lies in",
    },
}
CHANNELS = {"classifier": ["evidence"], "outline": ["nodule"]}
ENSEMBLES = {"classifier": "mean_logit", "outline": "mean_probability"}


def export(name: str, data: Path, work: Path, folder: Path, version: str) -> None:
    """Write one model, the networks of all folds, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = tomllib.loads(RECIPE.read_text())
    networks, trained = [], []
    for fold in range(recipe["folds"]):
        state = torch.load(work / name / f"fold{fold}" / "checkpoint.pt", weights_only=True)
        network = build_network(recipe, name)
        network.load_state_dict(state["average"])
        networks.append(network.eval().requires_grad_(False))
        trained.append({**state["at"], "seconds": round(state["at"]["seconds"])})
    calibration = calibrate(data, recipe, networks) if name == "classifier" else {}
    shape = tuple(recipe[name]["crop"]["shape"])
    entries = [export_network(network, shape, folder, f"fold{fold}") for fold, network in enumerate(networks)]
    record = {**describe(name, recipe, entries, trained, version), **calibration}
    (folder / "metadata.json").write_text(json.dumps(record, indent=2) + "\n")
    join_logs(work / name, len(entries), folder / "training_log.csv")
    plot_curves(folder / "training_log.csv", folder / "training_curve.png", SCORES[name])


def calibrate(data: Path, recipe: dict[str, Any], networks: Sequence[nn.Module]) -> dict[str, Any]:
    """Move the bias of the classifiers, and return what the metadata say of their calibration.

    Both are fitted on the nodules that each network had not seen.
    """
    nodules, wanted = load_nodules(data), crop_input(recipe["classifier"]["crop"])
    regions = [nodule.region for nodule in nodules]
    logits = held_out_logits([predictor(network) for network in networks], wanted, nodules, regions)
    malignant, folds = (np.array([getattr(nodule, name) for nodule in nodules]) for name in ("malignant", "fold"))
    error = calibration_error(cross_fitted(logits, malignant, folds), malignant)
    found = fit(logits, malignant)
    for network in networks:
        network.place_head.bias -= found.offset
    return {
        "temperature": found.temperature,
        "bias_moved_by": -found.offset,
        "calibration": f"Calibrated on {len(nodules)} nodules of LIDC-IDRI held out fold by fold: expected calibration "
        f"error {error:.3f} of single networks; that of their mean, which is given, is not known. The label was the "
        "agreement of radiologists' votes, not histology; at another site, or with another share of malignant "
        "nodules, the probability is not calibrated.",
    }


def predictor(network: nn.Module) -> Predict:
    """Return a network as a function of a (slice, row, column) array."""

    def predict(array: Floats) -> Floats:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(array)[None, None])[0].numpy())

    return predict


def export_network(network: nn.Module, shape: tuple[int, ...], folder: Path, stem: str) -> dict[str, Any]:
    """Write one network twice and return its entry in the metadata; ValueError when the copies disagree."""
    script, example = folder / f"{stem}.ts", torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.jit.trace(network, example).save(str(script))
    loaded = torch.jit.load(str(script)).eval()
    converted = openvino.convert_model(torch.jit.freeze(loaded), example_input=example)
    converted.reshape([1, 1, *shape])
    openvino.save_model(converted, folder / f"{stem}.xml", compress_to_fp16=False)
    compiled = openvino.compile_model(folder / f"{stem}.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.inference_mode():
        difference = float(np.abs(compiled(example.numpy())[0] - loaded(example).numpy()).max())
    if difference > TOLERANCE:
        raise ValueError(f"{stem}: OpenVINO and TorchScript differ by {difference:.4f}, tolerated are {TOLERANCE}")
    digest = sha256_of(script)
    return {
        "weights": {"file": script.name, "sha256": digest},
        "openvino": {
            "file": f"{stem}.xml",
            "made_from_sha256": digest,
            "sha256": {file: sha256_of(folder / file) for file in (f"{stem}.xml", f"{stem}.bin")},
        },
    }


def describe(
    name: str, recipe: dict[str, Any], entries: list[dict[str, Any]], trained: list[dict[str, Any]], version: str
) -> dict[str, Any]:
    """Return the metadata: hashes, the contract of input and output, and where the weights come from."""
    crop = recipe[name]["crop"]
    return {
        "name": f"lung_nodule_{name}",
        "version": version,
        "members": entries,
        "ensemble": ENSEMBLES[name],
        "input": {
            "spacing_mm": crop["spacing_mm"],
            "orientation": "HPL",
            "multiple": crop["shape"],
            "maximum": crop["shape"],
            "intensity": "hu_window",
        },
        "crop": crop,
        "channels": CHANNELS[name],
        "threshold": 0.5,
        "contract": CONTRACTS[name],
        "network": recipe[name]["network"],
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


SCORES = {"classifier": "ROC AUC, patients held out", "outline": "Dice, patients held out"}


def plot_curves(log: Path, path: Path, score: str) -> None:
    """Draw loss and held-out score of every fold over the steps of training."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5))
    for fold in sorted({row["fold"] for row in rows}):
        own = [row for row in rows if row["fold"] == fold]
        looked = [row for row in own if row["held_out_score"]]
        left.plot([int(row["step"]) for row in own], [float(row["loss"]) for row in own], label=f"fold {fold}")
        right.plot([int(row["step"]) for row in looked], [float(row["held_out_score"]) for row in looked], marker=".")
    left.set(xlabel="step", ylabel="loss")
    left.legend()
    right.set(xlabel="step", ylabel=score)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def main() -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with nodules.csv and nodules.npz")
    parser.add_argument("--work", type=Path, required=True, help="folder of the checkpoints")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder to write")
    parser.add_argument("--version", default="0.1.0")
    options = parser.parse_args()
    for name in NETWORKS:
        export(name, options.data, options.work, options.folder / name, options.version)


if __name__ == "__main__":
    main()
