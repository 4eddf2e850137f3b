"""Train the cervical tumour network: one command, resumable, the same for synthetic and for real cases.

    python -m models.cervical_tumor.train --data DIR [--validation DIR] --work DIR [--device cuda]
    python -m models.cervical_tumor.train --data DIR --work DIR --weights model.ts --first-stage 5

``DIR`` of ``--data`` holds a folder for each case, see prepare.py; without ``--validation`` every fifth case is kept
for it. ``DIR`` of ``--work`` keeps the cache, ``checkpoint.pt`` and ``log.csv``. Running the command again continues
where the checkpoint stands; when every stage is done, or the minutes are over, it stops. With ``--weights`` it starts
from a TorchScript file of this network, with ``--first-stage`` at a later stage of the recipe.
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
from torch import Tensor, nn
from torch.utils.data import DataLoader

from models.cervical_tumor.augment import Views
from models.cervical_tumor.prepare import SEQUENCES, Prepared, cached, split

RECIPE = Path(__file__).parent / "recipe.toml"
CHECKPOINT_EVERY = 20


def build_network(options: dict[str, Any]) -> nn.Module:
    """Return the untrained network: (batch, sequence, slice, row, column) -> logits of tumour, one channel."""
    from monai.networks.nets import UNet  # slow to import, and not there where only the application runs

    return UNet(
        spatial_dims=3,
        in_channels=len(SEQUENCES),
        out_channels=1,
        channels=options["channels"],
        strides=options["strides"],
        num_res_units=options["residual_units"],
    )


def groups_of(network: nn.Module, last_factor: float) -> list[dict[str, Any]]:
    """Return the parameters for the optimiser: those of the last convolution learn faster by a factor.

    MONAI's U-Net ends in instance normalisation of one channel and a convolution from one channel to one. Background is
    hardly below 0 before it, so logits of surely no tumour depend on these 28 numbers, which have a long way to go.
    """
    *inner, weight, bias = network.parameters()
    return [{"params": inner, "factor": 1.0}, {"params": [weight, bias], "factor": last_factor, "weight_decay": 0.0}]


def loss_of(logits: Tensor, mask: Tensor) -> Tensor:
    """Return soft Dice loss, with squares in the denominator, plus cross-entropy."""
    probability = torch.sigmoid(logits)
    overlap = (probability * mask).sum()
    dice = (2 * overlap + 1) / ((probability**2).sum() + (mask**2).sum() + 1)
    return 1 - dice + F.binary_cross_entropy_with_logits(logits, mask)


def learning_rate(step: int, stage: dict[str, Any], warm_up: int) -> float:
    """Return the rate at a step of its stage: linear warm-up, flat, then a cosine fall."""
    done, flat = step / stage["steps"], stage["flat_fraction"]
    fall = 1.0 if done <= flat else 0.5 * (1 + math.cos(math.pi * (done - flat) / (1 - flat)))
    return float(stage["learning_rate"] * min(1.0, (step + 1) / max(warm_up, 1)) * max(fall, 0.02))


def narrow(device: str, options: dict[str, Any]) -> torch.autocast:
    """Return the context in which the network computes in bfloat16, if the recipe says so, its weights staying float32.

    On CPUs with instructions for it (AMX) a step takes less than half as long.
    """
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=options["bfloat16"])


def validate(network: nn.Module, cases: Sequence[Prepared], device: str, options: dict[str, Any]) -> float:
    """Return the mean Dice over whole cases with a tumour, on the network's grid."""
    scores = []
    network.eval()
    with torch.inference_mode(), narrow(device, options):
        for case in cases:
            image = torch.tensor(case.image, dtype=torch.float32, device=device)[None]
            found, truth = (network(image)[0, 0] > 0).cpu(), torch.tensor(case.mask) > 0
            scores.append(float(2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp(min=1)))
    network.train()
    return sum(scores) / len(scores) if scores else math.nan


def train(
    recipe: dict[str, Any],
    data: Path,
    work: Path,
    *,
    validation: Path | None = None,
    weights: Path | None = None,
    first_stage: int = 0,
    device: str = "cpu",
    minutes: float = math.inf,
    workers: int = 0,
) -> None:
    """Run the stages of the recipe from the last checkpoint on, or else from the first stage, counted from 0."""
    deadline = time.monotonic() + 60 * minutes
    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe["seed"])
    network = build_network(recipe["network"]).to(device)
    if weights:
        network.load_state_dict(torch.jit.load(str(weights), map_location=device).state_dict())
    average = copy.deepcopy(network)
    options = recipe["optimiser"]
    optimiser = torch.optim.AdamW(groups_of(network, options["last_factor"]), weight_decay=options["weight_decay"])
    at: dict[str, Any] = {"stage": first_stage, "step": 0, "seconds": _seconds_of(work / "log.csv")}
    checkpoint = work / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True, map_location=device)
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        at = state["at"]

    for number in range(at["stage"], len(recipe["stage"])):
        stage = recipe["stage"][number]
        seen, unseen = _cases(data, validation, work / "cache", stage["spacing_mm"])
        held_out = [case for case in unseen if case.mask.any()][: options["validate_cases"]]
        first = at["step"] if number == at["stage"] else 0
        seed = recipe["seed"] + 1_000_003 * number + first
        views = Views(seen, stage, {**recipe["augmentation"], **stage.get("augmentation", {})}, seed)
        draws = iter(DataLoader(views, batch_size=stage["batch"], num_workers=workers))
        losses: list[float] = []
        started = time.monotonic()
        for step in range(first, stage["steps"]):
            rate = learning_rate(step, stage, options["warm_up_steps"] if number == first_stage else 0)
            image, mask = (part.to(device) for part in next(draws))
            with narrow(device, options):
                logits = network(image)
            loss = loss_of(logits.float(), mask)
            losses.append(float(loss.item()))
            learn(loss, network, optimiser, rate)
            follow(average, network, min(options["average_decay"], 1 if number else (step + 1) / (step + 10)))
            last = step + 1 == stage["steps"] or time.monotonic() > deadline
            if (step + 1) % CHECKPOINT_EVERY == 0 or last:
                seconds = at["seconds"] + time.monotonic() - started
                at = {"stage": number, "step": step + 1, "seconds": seconds}
                started = time.monotonic()
                _keep(checkpoint, network, average, optimiser, at)
                look = (step + 1) % options["validate_every"] == 0 or last
                dice = validate(average, held_out, device, options) if look else math.nan
                _log(work / "log.csv", number, step + 1, sum(losses) / len(losses), dice, rate, seconds)
                losses = []
            if time.monotonic() > deadline:
                return
        at = {"stage": number + 1, "step": 0, "seconds": at["seconds"]}
        _keep(checkpoint, network, average, optimiser, at)


def _cases(
    data: Path, validation: Path | None, cache: Path, spacing_mm: float
) -> tuple[list[Prepared], list[Prepared]]:
    """Return cases to train on and to validate on."""
    cases = cached(data, cache, spacing_mm)
    return (cases, cached(validation, cache, spacing_mm)) if validation else split(cases)


def learn(loss: Tensor, network: nn.Module, optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Move the weights down the slope of a loss."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("factor", 1.0)
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()


def follow(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the running average of the weights towards the weights, keeping so much of it."""
    with torch.no_grad():
        for kept, new in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
            kept.lerp_(new, 1 - decay) if kept.is_floating_point() else kept.copy_(new)


def _keep(
    path: Path, network: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer, at: dict[str, Any]
) -> None:
    state = {"network": network.state_dict(), "average": average.state_dict(), "at": at}
    partial = path.with_suffix(".partial")
    torch.save({**state, "optimiser": optimiser.state_dict()}, partial)
    partial.replace(path)


def _seconds_of(log: Path) -> float:
    """Return the time that a log counts so far: a run from given weights goes on with the log of those."""
    if not log.exists():
        return 0.0
    with log.open(newline="") as file:
        return max((float(row["seconds"]) for row in csv.DictReader(file)), default=0.0)


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
    parser.add_argument("--data", type=Path, required=True, help="folder of cases to train on")
    parser.add_argument("--validation", type=Path, help="folder of other cases; else every fifth one")
    parser.add_argument("--work", type=Path, required=True, help="folder for cache, checkpoint and log")
    parser.add_argument("--weights", type=Path, help="TorchScript weights to start from, of this recipe")
    parser.add_argument("--first-stage", type=int, default=0, help="stage to start at (%(default)s), counted from 0")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so many minutes")
    parser.add_argument("--workers", type=int, default=0, help="processes that draw views")
    options = parser.parse_args()
    train(
        tomllib.loads(RECIPE.read_text()),
        options.data,
        options.work,
        validation=options.validation,
        weights=options.weights,
        first_stage=options.first_stage,
        device=options.device,
        minutes=options.minutes,
        workers=options.workers,
    )


if __name__ == "__main__":
    main()
