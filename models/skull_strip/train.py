"""Train the skull-stripping network from label maps alone: one command, resumable.

    python -m models.skull_strip.train --label-maps DIR --work DIR [--device cuda] [--minutes M]

``DIR`` of ``--work`` keeps the prepared heads, the checkpoint, ``log.csv`` and the curve. Running the command
again continues where the checkpoint stands; when every stage is done, or the minutes are over, it stops.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
import tomllib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from monai.networks.nets import UNet
from torch import Tensor, nn

from models.skull_strip.synthesize import Head, Synthesizer, load_head, phantom_head

RECIPE = Path(__file__).parent / "recipe.toml"
CHECKPOINT_EVERY = 100
VALIDATION_CASES = 8


def build_network(options: dict[str, Any]) -> nn.Module:
    """Return the untrained network: (batch, 1, slice, row, column) image in 0 to 1 -> logits of the same shape."""
    return UNet(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        channels=options["channels"],
        strides=[2] * (len(options["channels"]) - 1),
        num_res_units=options["residual_units"],
    )


def loss_of(logits: Tensor, target: Tensor) -> Tensor:
    """Return soft Jaccard loss plus cross-entropy; the target is a fraction of brain."""
    probability = torch.sigmoid(logits)
    overlap = (probability * target).sum()
    union = (probability**2).sum() + (target**2).sum() - overlap
    return 1 - (overlap + 1) / (union + 1) + F.binary_cross_entropy_with_logits(logits, target)


def dice_of(logits: Tensor, target: Tensor) -> float:
    """Return the Dice coefficient at a threshold of one half."""
    found, truth = logits > 0, target > 0.5
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp(min=1))


def prepare_heads(label_maps: Path, work: Path) -> list[Head]:
    """Return the phantom and all heads of a folder, from the cache in ``work`` when it is there."""
    heads = [phantom_head()]
    for path in sorted(label_maps.glob("*.nii.gz")):
        cached = work / "heads" / f"{path.name}.pt"
        if not cached.exists():
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.save(vars(load_head(path)), cached)
        heads.append(Head(**torch.load(cached, weights_only=True)))
    if len(heads) == 1:
        raise SystemExit(f"no *.nii.gz label map in {label_maps}: give the folder of the SynthSeg training maps")
    return heads


def learning_rate(step: int, stage: dict[str, Any], warm_up: int) -> float:
    """Return the rate at a step of its stage: linear warm-up, flat, cosine over the last two thirds."""
    done = step / stage["steps"]
    fall = 1.0 if done < 1 / 3 else 0.5 * (1 + math.cos(math.pi * (done - 1 / 3) * 1.5))
    return float(stage["learning_rate"] * min(1.0, (step + 1) / warm_up) * max(fall, 0.01))


def validate(network: nn.Module, heads: list[Head], recipe: dict[str, Any], spacing_mm: float, device: str) -> float:
    """Return the mean Dice on fixed draws from the heads that are never trained on."""
    synthesizer = Synthesizer(heads, {**recipe["synthesis"], "phantom_fraction": 0.0}, seed=1, device=device)
    shape = [16 * round(size_mm / spacing_mm / 16) for size_mm in (192, 224, 192)]
    network.eval()
    with torch.inference_mode():
        pairs = (synthesizer.draw(shape, spacing_mm) for _ in range(VALIDATION_CASES))
        scores = [dice_of(network(image), target) for image, target in pairs]
    network.train()
    return sum(scores) / len(scores)


def train(recipe: dict[str, Any], label_maps: Path, work: Path, device: str, minutes: float) -> None:
    """Run the stages of the recipe from the last checkpoint on."""
    deadline = time.monotonic() + 60 * minutes
    heads = prepare_heads(label_maps, work)
    held_out = [head for head in heads if head.name in recipe["held_out_maps"]]
    trained_on = [head for head in heads if head.name not in recipe["held_out_maps"]]
    torch.manual_seed(recipe["seed"])
    network = build_network(recipe["network"]).to(device)
    average = copy.deepcopy(network)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=recipe["optimiser"]["weight_decay"])
    at = {"stage": 0, "step": 0, "seconds": 0.0}
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
        seed = recipe["seed"] + 1_000_003 * number + first
        options = {**recipe["synthesis"], **stage.get("synthesis", {})}
        draws = Synthesizer(trained_on, options, seed, device).stream(stage["shapes"], stage["spacing_mm"])
        losses: list[float] = []
        started = time.monotonic()
        for step in range(first, stage["steps"]):
            rate = learning_rate(step, stage, recipe["optimiser"]["warm_up_steps"])
            for group in optimiser.param_groups:
                group["lr"] = rate
            image, target = next(draws)
            loss = loss_of(network(image), target)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            decay = min(recipe["optimiser"]["average_decay"], (step + 1) / (step + 10))
            with torch.no_grad():
                for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
                    kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)
            losses.append(loss.item())
            over = time.monotonic() > deadline
            if (step + 1) % CHECKPOINT_EVERY == 0 or step + 1 == stage["steps"] or over:
                seconds = at["seconds"] + time.monotonic() - started
                at = {"stage": number, "step": step + 1, "seconds": seconds}
                started = time.monotonic()
                dice = validate(average, held_out, recipe, stage["spacing_mm"], device) if held_out else math.nan
                _keep(checkpoint, network, average, optimiser, at)
                _log(work / "log.csv", number, step + 1, sum(losses) / len(losses), dice, rate, seconds)
                losses = []
            if over:
                return
        at = {"stage": number + 1, "step": 0, "seconds": at["seconds"]}
        _keep(checkpoint, network, average, optimiser, at)


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
        rows.writerow([stage, step, f"{loss:.4f}", f"{dice:.4f}", f"{rate:.2e}", f"{seconds:.0f}"])


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--label-maps", type=Path, required=True, help="folder of the 20 SynthSeg label maps")
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoint, log and prepared heads")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes")
    options = parser.parse_args()
    recipe = tomllib.loads(RECIPE.read_text())
    train(recipe, options.label_maps, options.work, options.device, options.minutes)


if __name__ == "__main__":
    main()
