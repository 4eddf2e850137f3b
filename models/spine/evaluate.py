"""Cross-validate the model on the shared spine set; write evaluation.json and the tables of the card.

    python -m models.spine.evaluate --data DIR

Every scan is predicted only by the network whose fold held its patient group out. Scores are given on the published
grid (4.4 x 0.78 x 0.78 mm, 16 x 400 x 400) and on the grid of the source image. Where bodies are visible but not
labelled (cranial to the uppermost label) nothing is scored.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume, VolumeGeometry
from scipy import ndimage

from imaging.evaluate_masks import evaluate_masks
from imaging.resample import resample
from imaging.restore_mask import restore_mask
from models.spine.prepare import Case, Scan, load_scan, read_cases, split

FOLDER = Path(__file__).parent
RECIPE = FOLDER / "recipe.toml"
PUBLISHED_SPACING_MM, PUBLISHED_SHAPE = (4.4, 0.78, 0.78), (16, 400, 400)
SMALL_FRACTION = 0.2
"""Objects of at most this fraction of the mean body are removed, as published."""
MARKS = ("<!-- tables of evaluate.py -->", "<!-- end of tables -->")
"""What stands around the tables in the card."""
AIM_DICE, AIM_FOUND = 0.92, 0.95
SPECK_ML = 2.0
"""Objects below this do not take part in that mean."""

Labels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Network = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""From an image (slice, row, column) to the logits of body and core, (2, slice, row, column)."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Bodies of one scan."""

    bodies: int
    found: int
    false: int
    unlabelled: int  # found where bodies are visible but not labelled


def openvino_network(path: Path) -> Network:
    """Return the OpenVINO copy of a network, float32 throughout."""
    import openvino

    compiled = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda image: np.asarray(compiled(image[None, None])[0][0], np.float32)


def torch_network(path: Path) -> Network:
    """Return the TorchScript network, the reference."""
    import torch

    script = torch.jit.load(str(path)).eval()

    def predict(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(script(torch.from_numpy(image)[None, None])[0].numpy())

    return predict


def volume_of(scan: Scan, array: npt.NDArray[Any]) -> Volume:
    """Return an array of a scan as a volume in LPS mm, its axes rising to left, foot, posterior."""
    k, j, i = scan.spacing_mm
    affine = np.array([[k, 0, 0, 0], [0, 0, i, 0], [0, -j, 0, 0], [0, 0, 0, 1]], float)
    return Volume(array, affine, "PATIENT")


def grid_around(source: Volume, spacing_mm: Sequence[float], shape: Sequence[int]) -> VolumeGeometry:
    """Return a grid of a shape around the middle of a volume whose axes rise to left, foot, posterior."""
    affine = np.eye(4)
    affine[:3, :3] = source.direction * np.array(spacing_mm)
    centre = source.map_indices_to_reference((np.array([source.shape]) - 1) / 2)[0]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return VolumeGeometry(affine, tuple(shape), "PATIENT")


def network_grid(source: Volume, wanted: dict[str, Any]) -> VolumeGeometry:
    """Return the grid of the network around a volume: sizes rounded up to a multiple, within the maximum."""
    extent_mm = np.array(source.shape) * np.array(source.spacing)
    sizes = zip(extent_mm, wanted["spacing_mm"], wanted["multiple"], wanted["maximum"], strict=True)
    shape = [min(math.ceil(extent / mm / multiple - 1e-6) * multiple, most) for extent, mm, multiple, most in sizes]
    return grid_around(source, wanted["spacing_mm"], shape)


def logits_of(source: Volume, wanted: dict[str, Any], network: Network) -> tuple[Volume, Volume]:
    """Return the logits of body and core on the network's grid."""
    values = source.array.astype(np.float32)
    scaled = source.with_array((values - values.mean()) / max(float(values.std()), 1e-6))
    image = resample(scaled, network_grid(source, wanted))
    body, core = network(np.ascontiguousarray(image.array))
    return image.with_array(body), image.with_array(core)


def separate(body: Mask, core: Mask, spacing_mm: Sequence[float]) -> npt.NDArray[np.int32]:
    """Return the objects of a mask: each voxel belongs to the nearest core within its connected component.

    A component without a core is one object. Small objects are removed.
    """
    parts, number = ndimage.label(body)
    seeds, seed_count = ndimage.label(core & body)
    objects = np.zeros(body.shape, np.int32)
    for part, box in enumerate(ndimage.find_objects(parts), start=1):
        here = parts[box] == part
        own = np.where(here, seeds[box], 0)
        if len(np.unique(own[own > 0])) > 1:
            nearest = ndimage.distance_transform_edt(own == 0, spacing_mm, return_distances=False, return_indices=True)
            own = own[tuple(nearest)]
            objects[box][here] = own[here]
        else:
            objects[box][here] = own.max() or seed_count + part
    sizes = np.bincount(objects.ravel(), minlength=seed_count + number + 1)
    sizes[0] = 0
    speck = SPECK_ML * 1000 / math.prod(spacing_mm)
    bodies = sizes[sizes >= speck]
    limit = SMALL_FRACTION * bodies.mean() if bodies.size else math.inf
    objects[(sizes <= limit)[objects]] = 0
    return objects


def count_bodies(labels: Labels, known: Mask, objects: npt.NDArray[np.int32]) -> Counts:
    """Return how many bodies were found, and how many objects are none.

    A body is found when one object covers more than half of it and more than half of that object, where labels are
    known, lies in it; so two bodies in one object are not both found. An object is false when less than half of it,
    where labels are known, lies in any body.
    """
    numbers = np.unique(labels[labels > 0])
    found, false, unlabelled = 0, 0, 0
    for number in np.unique(objects[objects > 0]):
        here = objects == number
        inside = np.bincount(labels[here & known], minlength=256)
        size = int(inside.sum())
        if size < 0.5 * np.count_nonzero(here):
            unlabelled += 1
        elif inside[1:].sum() < 0.5 * size:
            false += 1
        best = int(inside[1:].argmax()) + 1
        found += bool(inside[best] > 0.5 * size and inside[best] > 0.5 * np.count_nonzero(labels == best))
    return Counts(bodies=len(numbers), found=found, false=false, unlabelled=unlabelled)


def score(labels: Labels, known: Mask, body: Mask, core: Mask, spacing_mm: Sequence[float]) -> dict[str, float]:
    """Return all scores of one scan on one grid."""
    objects = separate(body, core, spacing_mm)
    masks = evaluate_masks((labels > 0) & known, (objects > 0) & known, spacing_mm)
    counts = count_bodies(labels, known, objects)
    plain = count_bodies(labels, known, separate(body, np.zeros_like(core), spacing_mm))
    return {
        "dice": round(masks.dice, 4),
        "hausdorff95_mm": round(masks.hausdorff95_mm, 2),
        "hausdorff_mm": round(masks.hausdorff_mm, 2),
        "volume_percent": round(masks.volume_difference_percent, 2),
        "bodies": counts.bodies,
        "found": counts.found,
        "found_without_core": plain.found,
        "false": counts.false,
        "unlabelled": counts.unlabelled,
    }


def labels_on(scan: Scan, grid: VolumeGeometry) -> tuple[Labels, Mask]:
    """Return labels (half a voxel or more) and the known region of a scan on another grid."""
    best, labels = np.full(grid.shape, 0.0, np.float32), np.zeros(grid.shape, np.uint8)
    total = np.zeros(grid.shape, np.float32)
    for number in np.unique(scan.labels[scan.labels > 0]):
        share = resample(volume_of(scan, (scan.labels == number).astype(np.float32)), grid).array
        labels[share > best] = number
        best, total = np.maximum(best, share), total + share
    labels[total < 0.5] = 0
    known = resample(volume_of(scan, scan.known.astype(np.float32)), grid).array > 0.5
    return labels, np.asarray(known | (labels > 0))


def evaluate_scan(scan: Scan, wanted: dict[str, Any], network: Network, reference: Network | None) -> dict[str, Any]:
    """Return the scores of one scan on both grids and the seconds of the network with its resampling.

    With a reference network, also the voxels of the source grid in which the two masks differ.
    """
    source = volume_of(scan, scan.image)
    began = time.perf_counter()
    body, core = logits_of(source, wanted, network)
    seconds = time.perf_counter() - began
    published = grid_around(source, PUBLISHED_SPACING_MM, PUBLISHED_SHAPE)
    labels, known = labels_on(scan, published)
    view = Volume(labels, published.affine, "PATIENT")
    masks = [restore_mask(logits, view).array for logits in (body, core)]
    own = [restore_mask(logits, source).array for logits in (body, core)]
    scores = {
        "published_grid": score(labels, known, masks[0], masks[1], PUBLISHED_SPACING_MM),
        "source_grid": score(scan.labels, scan.known, own[0], own[1], scan.spacing_mm),
        "seconds": round(seconds, 2),
    }
    if reference is None:
        return scores
    other = restore_mask(logits_of(source, wanted, reference)[0], source).array
    return {**scores, "backends_differ_in_voxels": int(np.count_nonzero(other != own[0]))}


def summarise(scans: Sequence[dict[str, Any]], grid: str) -> dict[str, Any]:
    """Return means over scans and sums over bodies on one of the grids."""
    rows = [scan[grid] for scan in scans]
    dice = [row["dice"] for row in rows]
    return {
        "scans": len(rows),
        "dice_mean": round(float(np.mean(dice)), 4),
        "dice_sd": round(float(np.std(dice)), 4),
        "dice_worst": min(dice),
        "hausdorff95_mm_mean": round(float(np.mean([row["hausdorff95_mm"] for row in rows])), 2),
        "hausdorff_mm_mean": round(float(np.mean([row["hausdorff_mm"] for row in rows])), 2),
        "volume_percent_mean": round(float(np.mean([row["volume_percent"] for row in rows])), 2),
        **{name: sum(row[name] for row in rows) for name in ("bodies", "found", "found_without_core", "false")},
    }


def groups_of(scans: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Return the scans of each table row."""
    rows = list(scans.items())
    return {
        "T2w": [scan for _, scan in rows if scan["kind"] == "t2w"],
        "T2w VB2": [scan for name, scan in rows if scan["kind"] == "t2w" and name.startswith("VB2")],
        "T2w VB1": [scan for name, scan in rows if scan["kind"] == "t2w" and name.startswith("VB1")],
        "T1w and TIRM VB1": [scan for _, scan in rows if scan["kind"] == "t1w_or_tirm"],
        "water-fat VB3": [scan for _, scan in rows if scan["kind"] == "water_fat"],
    }


def cross_validate(data: Path, folder: Path) -> dict[str, Any]:
    """Return the scores of every scan by the network that never saw its patient group."""
    held_out = tomllib.loads(RECIPE.read_text())["folds"]["held_out"]
    record = json.loads((folder / "metadata.json").read_text())
    cases = read_cases(data)
    scans: dict[str, dict[str, Any]] = {}
    for fold, member in enumerate(record["members"]):
        network = openvino_network(folder / member["openvino"]["file"])
        script = torch_network(folder / member["weights"]["file"])
        unseen: Sequence[Case] = split(cases, held_out, fold)[1]
        for case in unseen:
            reference = script if case == next(one for one in unseen if one.kind == "t2w") else None
            scores = evaluate_scan(load_scan(data, case), record["input"], network, reference)
            scans[case.case_id] = {"kind": case.kind, "fold": fold, **scores}
    groups = {name: rows for name, rows in groups_of(scans).items() if rows}
    return {
        "sha256": [member["weights"]["sha256"] for member in record["members"]],
        **{
            grid: {name: summarise(rows, grid) for name, rows in groups.items()}
            for grid in ("published_grid", "source_grid")
        },
        "scans": dict(sorted(scans.items())),
    }


def tables_of(found: dict[str, Any]) -> str:
    """Return the tables of the card: one row per kind of scan, one table per grid."""
    head = (
        "| scans | n | Dice (SD) | worst | HD95, mm | HD, mm | volume, % | bodies found | without core | false |\n"
        "|---|---|---|---|---|---|---|---|---|---|\n"
    )
    names = {"published_grid": "On the published grid (4.4 x 0.78 x 0.78 mm)", "source_grid": "On the source grid"}
    text = ""
    for grid, title in names.items():
        rows = "".join(
            f"| {name} | {row['scans']} | {row['dice_mean']:.3f} ({row['dice_sd']:.3f}) | {row['dice_worst']:.3f} "
            f"| {row['hausdorff95_mm_mean']:.1f} | {row['hausdorff_mm_mean']:.1f} | {row['volume_percent_mean']:+.1f} "
            f"| {row['found']} of {row['bodies']} | {row['found_without_core']} | {row['false']} |\n"
            for name, row in found[grid].items()
        )
        text += f"{title}:\n\n{head}{rows}\n"
    return text


def verdict_of(found: dict[str, Any]) -> str:
    """Return a sentence on the T2w scans of the published grid against the aims."""
    row = found["published_grid"]["T2w"]
    share = row["found"] / row["bodies"]
    reached = row["dice_mean"] >= AIM_DICE and share >= AIM_FOUND and row["false"] == 0
    false = "1 false body" if row["false"] == 1 else f"{row['false']} false bodies"
    return (
        f"T2w scans on the published grid: mean Dice {row['dice_mean']:.3f} (aim {AIM_DICE}), {share:.1%} of the "
        f"bodies found (aim {AIM_FOUND:.0%}), {false} (aim 0). "
        f"**The aims are {'reached' if reached else 'not reached'}.**\n"
    )


def progress_of(record: dict[str, Any], recipe: dict[str, Any]) -> str:
    """Return a sentence on how much of the recipe the weights have seen."""
    steps = [stage["steps"] for stage in recipe["stage"]]
    done = [sum(steps[: at["stage"]]) + at["step"] for at in record["trained"]]
    minutes = ", ".join(f"{at['seconds'] / 60:.0f}" for at in record["trained"])
    state = "at its end" if min(done) == sum(steps) else "**the recipe was not run to its end**"
    counts = ", ".join(str(count) for count in done)
    return (
        f"The weights were taken after {counts} of {sum(steps)} steps (folds 0, 1, 2; {minutes} minutes, the three at "
        f"a time on two CPU cores that other work shared): {state}.\n"
    )


def fill_card(card: Path, text: str) -> None:
    """Replace what stands between the two marks of a card."""
    before, _, rest = card.read_text().partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    if not after:
        raise ValueError(f"{card} needs the marks {MARKS[0]} and {MARKS[1]} around its tables")
    card.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{after}")


def main() -> None:
    """Parse the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with cases.csv, levels.csv, vb1, vb2, vb3")
    parser.add_argument("--model", type=Path, default=FOLDER, help="folder of the exported model")
    options = parser.parse_args()
    found = cross_validate(options.data, options.model)
    (options.model / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n")
    if (options.model / "card.md").is_file():
        record = json.loads((options.model / "metadata.json").read_text())
        progress = progress_of(record, tomllib.loads(RECIPE.read_text()))
        fill_card(options.model / "card.md", f"{progress}\n{tables_of(found)}{verdict_of(found)}")
    print(json.dumps({**found, "scans": "see evaluation.json"}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
