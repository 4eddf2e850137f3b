"""Train one fold of the vertebral-body network: one command, resumable.

    python -m models.spine.train --data DIR --work DIR --fold N [--device cuda] [--minutes M]

``DIR`` of ``--data`` holds ``cases.csv``; that of ``--work`` keeps ``foldN/checkpoint.pt`` and ``foldN/log.csv``.
Running the command again continues where the checkpoint stands; when every stage is done, or the minutes are over,
it stops.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.nets import UNet
from torch import Tensor, nn

from models.spine.augment import BODY, CORE, Augmenter, Source, source_of
from models.spine.prepare import load_scan, read_cases, split

RECIPE = Path(__file__).parent / "recipe.toml"
CHECKPOINT_EVERY = 50
VALIDATE_EVERY = 300
MULTIPLES = (8, 16, 16)
"""The strides of the network divide these sizes."""


def build_network(options: dict[str, Any]) -> nn.Module:
    """Return the untrained network: (batch, 1, slice, row, column) image -> logits of body and core."""
    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=2,
        channels=options["channels"],
        strides=options["strides"],
        num_res_units=options["residual_units"],
    )


def loss_of(logits: Tensor, target: Tensor, known: Tensor, core_weight: float) -> Tensor:
    """Return soft Jaccard loss plus cross-entropy where labels are known; targets are fractions of a voxel."""
    weights = {BODY: 1.0, CORE: core_weight}
    total = torch.zeros((), device=logits.device)
    for channel, weight in weights.items():
        logit, truth, seen = logits[:, channel], target[:, channel], known[:, 0]
        probability, truth = torch.sigmoid(logit) * seen, truth * seen
        overlap = (probability * truth).sum()
        union = (probability**2).sum() + (truth**2).sum() - overlap
        entropy = F.binary_cross_entropy_with_logits(logit, truth, weight=seen)
        total = total + weight * (1 - (overlap + 1) / (union + 1) + entropy)
    return total


def learning_rate(step: int, stage: dict[str, Any], warm_up: int) -> float:
    """Return the rate at a step of its stage: linear warm-up, flat, then a cosine fall."""
    done, flat = step / stage["steps"], stage["flat_fraction"]
    fall = 1.0 if done <= flat else 0.5 * (1 + math.cos(math.pi * (done - flat) / (1 - flat)))
    return float(stage["learning_rate"] * min(1.0, (step + 1) / max(warm_up, 1)) * max(fall, 0.02))


def on_grid(source: Source, spacing_mm: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Return a whole scan on the network's grid: image, body and known, each (1, 1, slice, row, column)."""
    extent_mm = [n * mm for n, mm in zip(source.channels.shape[2:], source.spacing_mm, strict=True)]
    shape = [math.ceil(e / s / m) * m for e, s, m in zip(extent_mm, spacing_mm, MULTIPLES, strict=True)]
    axes = [((torch.arange(n) - (n - 1) / 2) * s * 2 / e) for n, s, e in zip(shape, spacing_mm, extent_mm, strict=True)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flip(-1)[None]
    sampled = F.grid_sample(source.channels, grid, padding_mode="zeros", align_corners=False)
    inside = (grid.abs() <= 1).all(-1)[:, None]
    return sampled[:, :1], (sampled[:, 1:2] > 0.5).float(), ((sampled[:, 3:] > 0.5) & inside).float()


def validate(network: nn.Module, sources: Sequence[Source], spacing_mm: Sequence[float], device: str) -> float:
    """Return the mean Dice of bodies over whole scans that the fold never trains on."""
    scores = []
    network.eval()
    with torch.inference_mode():
        for source in sources:
            image, body, known = on_grid(source, spacing_mm)
            found = (network(image.to(device))[:, BODY : BODY + 1] > 0).float().cpu() * known
            truth = body * known
            scores.append(float(2 * (found * truth).sum() / (found.sum() + truth.sum()).clamp(min=1)))
    network.train()
    return sum(scores) / len(scores) if scores else math.nan


def train(recipe: dict[str, Any], data: Path, work: Path, fold: int, device: str, minutes: float) -> None:
    """Run the stages of the recipe for one fold from the last checkpoint on."""
    deadline = time.monotonic() + 60 * minutes
    seen, unseen = split(read_cases(data), recipe["folds"]["held_out"], fold)
    sources = [source_of(load_scan(data, case)) for case in seen]
    held_out = [source_of(load_scan(data, case)) for case in unseen if case.kind == "t2w"]
    work = work / f"fold{fold}"
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe["seed"] + fold)
    network = build_network(recipe["network"]).to(device)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe["optimiser"]["weight_decay"])
    at: dict[str, Any] = {"stage": 0, "step": 0, "seconds": 0.0}
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        at = state["at"]

    for number in range(at["stage"], len(recipe["stage"])):
        stage = recipe["stage"][number]
        first = at["step"] if number == at["stage"] else 0
        seed = recipe["seed"] + 1_000_003 * (10 * fold + number) + first
        options = {**recipe["augmentation"], **stage.get("augmentation", {})}
        sampling = {**recipe["sampling"], **stage.get("sampling", {})}
        augmenter = Augmenter(sources, sampling, options, seed)
        if "field_of_view" in stage:
            draws = augmenter.whole(stage["field_of_view"], stage["spacing_mm"], MULTIPLES)
        else:
            draws = augmenter.stream(stage["shapes"], stage["spacing_mm"], stage["batch"])
        losses: list[float] = []
        started = time.monotonic()
        for step in range(first, stage["steps"]):
            rate = learning_rate(step, stage, 0 if number else recipe["optimiser"]["warm_up_steps"])
            losses.append(_step(network, average, optimiser, next(draws), rate, recipe["optimiser"], step, device))
            last = step + 1 == stage["steps"] or time.monotonic() > deadline
            if (step + 1) % CHECKPOINT_EVERY == 0 or last:
                seconds = at["seconds"] + time.monotonic() - started
                at = {"stage": number, "step": step + 1, "seconds": seconds}
                started = time.monotonic()
                _keep(checkpoint, network, average, optimiser, at)
                look = (step + 1) % VALIDATE_EVERY == 0 or last
                dice = validate(average, held_out, stage["spacing_mm"], device) if look else math.nan
                _log(work / "log.csv", number, step + 1, sum(losses) / len(losses), dice, rate, seconds)
                losses = []
            if time.monotonic() > deadline:
                return
        at = {"stage": number + 1, "step": 0, "seconds": at["seconds"]}
        _keep(checkpoint, network, average, optimiser, at)


def _step(
    network: nn.Module,
    average: nn.Module,
    optimiser: torch.optim.Optimizer,
    draw: tuple[Tensor, Tensor, Tensor],
    rate: float,
    options: dict[str, Any],
    step: int,
    device: str,
) -> float:
    """Learn from one crop, move the average of the weights, and return the loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate
    image, target, known = (part.to(device) for part in draw)
    loss = loss_of(network(image), target, known, options["core_weight"])
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    decay = min(options["average_decay"], (step + 1) / (step + 10))
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)
    return float(loss.item())


def _keep(
    path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, at: dict[str, Any]
) -> None:
    state = {"network": network.state_dict(), "average": average.state_dict(), "at": at}
    partial = path.with_suffix(".partial")
    torch.save({**state, "optimiser": optimiser.state_dict()}, partial)
    partial.replace(path)


def _log(path: Path, stage: int, step: int, loss: float, dice: float, rate: float, seconds: float) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(["stage", "step", "loss", "held_out_dice", "learning_rate", "seconds"])
        shown = "" if math.isnan(dice) else f"{dice:.4f}"
        rows.writerow([stage, step, f"{loss:.4f}", shown, f"{rate:.2e}", f"{seconds:.0f}"])


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with cases.csv, levels.csv, vb1, vb2, vb3")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints and logs")
    parser.add_argument("--fold", type=int, required=True, choices=(0, 1, 2))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes")
    options = parser.parse_args()
    recipe = tomllib.loads(RECIPE.read_text())
    train(recipe, options.data, options.work, options.fold, options.device, options.minutes)


if __name__ == "__main__":
    main()
