"""Train one fold of one of the two lung-nodule networks: one command, resumable.

    python -m models.lung_nodule.train --data DIR --work DIR --network classifier --fold N [--minutes M]

``DIR`` of ``--data`` holds ``nodules.csv`` and ``nodules.npz``; that of ``--work`` keeps
``NETWORK/foldN/checkpoint.pt`` and ``log.csv``, and ``classifier/cubes.npz``: delete it when the recipe's crop or
augmentation changes. Running the command again continues after the last whole epoch; when every stage is done, or the
minutes are over, it stops. The last weights count: none is picked by its score on the nodules held out.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from imaging.nodule_crop import CropInput, classifier_crop, crop_input
from models.lung_nodule.augment import draw_box, draw_cubes, turned
from models.lung_nodule.metrics import roc_auc
from models.lung_nodule.networks import Classifier, Outline, build_network
from models.lung_nodule.prepare import Nodule, load_nodules, split

RECIPE = Path(__file__).parent / "recipe.toml"
NETWORKS = ("classifier", "outline")
LOOK_EVERY = 4
"""Epochs between two looks at the nodules held out."""


class Course:
    """What differs between the networks: examples, loss, and the score shown while training."""

    def __init__(self, options: dict[str, Any], nodules: Sequence[Nodule], fold: int, work: Path) -> None:
        self.options, self.work = options, work
        self.seen, self.held_out = split(nodules, fold)
        self.crop = crop_input(options["crop"])
        self.prepare(nodules)

    def prepare(self, nodules: Sequence[Nodule]) -> None:
        """Compute what is the same in every epoch and fold."""

    def batches(self, stage: dict[str, Any], rng: np.random.Generator) -> Iterator[list[Tensor]]:
        """Yield the batches of one epoch: every nodule once."""
        order, size = rng.permutation(len(self.seen)), self.options["optimiser"]["batch"]
        for first in range(0, len(order) - size // 2, size):
            yield self.batch([self.seen[at] for at in order[first : first + size]], stage, rng)

    def batch(self, nodules: list[Nodule], stage: dict[str, Any], rng: np.random.Generator) -> list[Tensor]:
        raise NotImplementedError

    def loss(self, network: nn.Module, batch: list[Tensor]) -> Tensor:
        raise NotImplementedError

    def score(self, network: nn.Module, stage: dict[str, Any]) -> float:
        raise NotImplementedError


class Classifying(Course):
    """Cubes, labels and readings; cross-entropy; area under the ROC curve."""

    def prepare(self, nodules: Sequence[Nodule]) -> None:
        path, options = self.work / "cubes.npz", self.options["augmentation"]
        if not path.exists():
            drawn = {each.key: draw_cubes(each, self.crop, options, list(each.key.encode())) for each in nodules}
            partial = path.with_suffix(".partial.npz")
            np.savez(partial, **{key: cubes.astype(np.float16) for key, cubes in drawn.items()})
            partial.replace(path)
        with np.load(path) as kept:
            self.cubes = {nodule.key: kept[nodule.key] for nodule in self.seen}

    def batch(self, nodules: list[Nodule], stage: dict[str, Any], rng: np.random.Generator) -> list[Tensor]:
        options = self.options["augmentation"]
        cubes = [self.cubes[nodule.key][rng.integers(options["variants"])] for nodule in nodules]
        return [
            turned(tensor(cubes), self.wanted(stage), options, rng),
            torch.tensor([float(nodule.malignant) for nodule in nodules]),
            torch.tensor([nodule.readings for nodule in nodules]),
        ]

    def loss(self, network: nn.Module, batch: list[Tensor]) -> Tensor:
        cubes, malignant, readings = batch
        logits, read = network.learn(cubes)
        weights = self.options["optimiser"]
        entropy = F.binary_cross_entropy_with_logits(
            logits, malignant, pos_weight=torch.tensor(weights["malignant_weight"])
        )
        return entropy + weights["reading_weight"] * F.mse_loss(read, readings)

    def score(self, network: nn.Module, stage: dict[str, Any]) -> float:
        wanted = self.wanted(stage)
        cubes = [classifier_crop(nodule.volume, nodule.region, wanted) for nodule in self.held_out]
        logits = [network(tensor([cube])).mean().item() for cube in cubes]
        return roc_auc(np.array(logits), np.array([nodule.malignant for nodule in self.held_out]))

    def wanted(self, stage: dict[str, Any]) -> CropInput:
        return crop_input({**self.options["crop"], **{key: stage[key] for key in ("spacing_mm", "shape")}})


class Outlining(Course):
    """Boxes about seeds, masks and what of them is known; Dice loss and cross-entropy; Dice."""

    def batch(self, nodules: list[Nodule], stage: dict[str, Any], rng: np.random.Generator) -> list[Tensor]:
        shape = stage["shapes"][rng.integers(len(stage["shapes"]))]
        options = self.options["augmentation"]
        drawn = [draw_box(nodule, self.crop, shape, options, rng) for nodule in nodules]
        return [tensor(parts) for parts in zip(*drawn, strict=True)]

    def loss(self, network: nn.Module, batch: list[Tensor]) -> Tensor:
        image, truth, known = batch
        logits = network(image)
        found, truth = torch.sigmoid(logits) * known, truth * known
        axes = (1, 2, 3, 4)
        dice = (2 * (found * truth).sum(axes) + 1) / (found.sum(axes) + truth.sum(axes) + 1)
        entropy = F.binary_cross_entropy_with_logits(logits, truth, weight=known, reduction="sum") / known.sum()
        return (1 - dice).mean() + 2 * entropy

    def score(self, network: nn.Module, stage: dict[str, Any]) -> float:
        rng = np.random.default_rng(0)
        options = {**self.options["augmentation"], "scale": [1.0, 1.0], "noise_hu": 0.0, "offset_hu": 0.0}
        scores = []
        for nodule in self.held_out:
            box, truth, known = draw_box(nodule, self.crop, self.crop.shape, options, rng)
            found = (network(tensor([box])).numpy()[0, 0] > 0) * known
            truth = (truth > 0.5) * known
            scores.append(2 * (found * truth).sum() / max(1, found.sum() + truth.sum()))
        return float(np.mean(scores))


COURSES = {"classifier": Classifying, "outline": Outlining}


def tensor(arrays: Sequence[np.ndarray]) -> Tensor:
    """Return arrays (slice, row, column) as a batch with one channel, in the memory layout that is fast on a CPU."""
    batch = torch.from_numpy(np.ascontiguousarray(np.stack(arrays)[:, None], np.float32))
    return batch.contiguous(memory_format=torch.channels_last_3d)


def learning_rate(done: float, highest: float) -> float:
    """Return the one-cycle rate at a share of the stage: up over its first fifth, then a cosine fall."""
    rise = min(1.0, 0.1 + 0.9 * done / 0.2)
    fall = 1.0 if done < 0.2 else 0.5 * (1 + math.cos(math.pi * (done - 0.2) / 0.8))
    return highest * rise * max(fall, 0.01)


def train(recipe: dict[str, Any], name: str, data: Path, work: Path, fold: int, minutes: float) -> None:
    """Run the stages of one network for one fold from the last checkpoint on."""
    deadline = time.monotonic() + 60 * minutes
    options = recipe[name]
    (work / name).mkdir(parents=True, exist_ok=True)
    course = COURSES[name](options, load_nodules(data), fold, work / name)
    work = work / name / f"fold{fold}"
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe["seed"] + fold)
    network: Classifier | Outline = build_network(recipe, name).to(memory_format=torch.channels_last_3d)
    average = copy.deepcopy(network).eval()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=options["optimiser"]["weight_decay"])
    at: dict[str, Any] = {"stage": 0, "epoch": 0, "step": 0, "seconds": 0.0}
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        at = state["at"]
    while at["stage"] < len(options["stage"]) and time.monotonic() < deadline:
        started, stage = time.process_time(), options["stage"][at["stage"]]
        rng = np.random.default_rng([recipe["seed"], fold, at["stage"], at["epoch"]])
        torch.manual_seed(int(rng.integers(2**31)))
        steps, losses = math.ceil(len(course.seen) / options["optimiser"]["batch"]), []
        for step, batch in enumerate(course.batches(stage, rng)):
            rate = learning_rate((at["epoch"] + step / steps) / stage["epochs"], stage["learning_rate"])
            loss = course.loss(network.train(), batch)
            learn(network, optimiser, loss, rate)
            at["step"] += 1
            follow(average, network, min(options["optimiser"]["average_decay"], at["step"] / (at["step"] + 10)))
            losses.append(loss.item())
        at["epoch"] += 1
        done = at["epoch"] == stage["epochs"]
        with torch.inference_mode():
            score = course.score(average, stage) if done or at["epoch"] % LOOK_EVERY == 0 else math.nan
        at["seconds"] += time.process_time() - started
        write_log(work / "log.csv", [at["stage"], at["epoch"], at["step"], np.mean(losses), score, rate, at["seconds"]])
        if done:
            at["stage"], at["epoch"] = at["stage"] + 1, 0
        keep(checkpoint, network, average, optimiser, at)


def learn(network: nn.Module, optimiser: torch.optim.Optimizer, loss: Tensor, rate: float) -> None:
    """Take one step down the gradient."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the running average of the weights, and of the batch statistics, towards the network."""
    for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)


def keep(
    path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, at: dict[str, Any]
) -> None:
    """Write the checkpoint, whole or not at all."""
    state = {"network": network.state_dict(), "average": average.state_dict(), "at": at}
    partial = path.with_suffix(".partial")
    torch.save({**state, "optimiser": optimiser.state_dict()}, partial)
    partial.replace(path)


def write_log(path: Path, row: Sequence[float]) -> None:
    """Add a row to the log, and its head when it is new."""
    new = not path.exists()
    stage, epoch, step, loss, score, rate, seconds = row
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(["stage", "epoch", "step", "loss", "held_out_score", "learning_rate", "cpu_seconds"])
        shown = "" if math.isnan(score) else f"{score:.4f}"
        rows.writerow([stage, epoch, step, f"{loss:.4f}", shown, f"{rate:.2e}", f"{seconds:.0f}"])


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with nodules.csv and nodules.npz")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--fold", type=int, required=True, choices=range(5))
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes")
    parser.add_argument("--recipe", type=Path, default=RECIPE)
    options = parser.parse_args()
    recipe = tomllib.loads(options.recipe.read_text())
    train(recipe, options.network, options.data, options.work, options.fold, options.minutes)


if __name__ == "__main__":
    main()
