"""Score the shipped networks on the patients that each of them never saw.

    python -m models.lung_nodule.evaluate --data DIR

Writes ``evaluation.json``, ``classifier/reliability.png`` and the tables of ``card.md`` beside this file. Every number
is of single networks on their held-out fold; the shipped ensemble, which has seen every nodule, has no test here.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom import Volume

from imaging.model_package import load_model_package
from imaging.nodule_crop import CropInput, load_crop_input, outline_crop, outline_region
from imaging.region import Region
from models.lung_nodule.baseline import held_out_scores
from models.lung_nodule.calibrate import RAW, Predict, cross_fitted, held_out_logits, members, probabilities
from models.lung_nodule.metrics import Bools, Numbers, calibration_error, confusion, interval, reliability, roc_auc
from models.lung_nodule.networks import READINGS
from models.lung_nodule.prepare import Nodule, load_nodules

FOLDER = Path(__file__).parent
BANDS_MM = ((0, 6), (6, 10), (10, 20), (20, 99))
FEWEST = 5
"""A band with fewer nodules of one label has no area under the curve."""
LEAST_MM = 5.0
"""The aim for outlines is stated for nodules of at least this diameter."""
SEED_JITTER_MM = 2.0
THRESHOLDS = (0.3, 0.4, 0.5, 0.6)
OFFSETS_MM = (0.0, 2.0, 4.0, 6.0)
EVERY = 4
"""Every so manyth nodule is outlined again from seeds at a set distance."""
AIMS = {"auc": 0.95, "accuracy": 0.88, "ece": 0.05, "dice": 0.80}
RATES = ("accuracy", "precision", "recall")
MARK, END = "<!-- tables of evaluate.py -->", "<!-- end of tables -->"


def evaluate(data: Path, folder: Path) -> dict[str, Any]:
    """Return everything that ``evaluation.json`` holds."""
    nodules = load_nodules(data)
    outlined, found = outlines(nodules, folder / "outline")
    networks, wanted = members(folder / "classifier"), load_crop_input(folder / "classifier")
    moved = json.loads((folder / "classifier" / "metadata.json").read_text())["bias_moved_by"]
    logits = held_out_logits(networks, wanted, nodules, [nodule.region for nodule in nodules]) - moved
    automatic = [region if region is not None else nodule.region for region, nodule in zip(found, nodules, strict=True)]
    classified = classification(nodules, logits)
    write_reliability(classified["all"]["reliability"], folder / "classifier" / "reliability.png")
    path_logits = held_out_logits(networks, wanted, nodules, automatic) - moved
    return {
        "sha256": {name: load_model_package(folder / name).sha256 for name in ("classifier", "outline")},
        "nodules": len(nodules),
        "patients": len({nodule.patient for nodule in nodules}),
        "classifier": classified,
        "classifier_on_outlines": {
            "readers_mask_where_no_outline": sum(region is None for region in found),
            **classification(nodules, path_logits, fitted_on=logits),
        },
        "baselines": baselines(nodules),
        "outline": outlined,
    }


def baselines(nodules: Sequence[Nodule]) -> dict[str, Any]:
    """Return the area under the curve of regressions on diameter, and on what the readers said beside malignancy."""
    malignant, folds, clear = (
        np.array([getattr(nodule, name) for nodule in nodules]) for name in ("malignant", "fold", "clear")
    )
    diameter = np.log([[nodule.diameter_mm] for nodule in nodules])
    readings = np.array([nodule.readings for nodule in nodules])[:, [name != "Malignancy" for name in READINGS]]
    sets = {"diameter": diameter, "diameter_and_readings": np.column_stack([diameter, readings])}
    scores = {name: held_out_scores(features, malignant, folds) for name, features in sets.items()}
    return {
        name: {"all": roc_auc(each, malignant), "clear_votes": roc_auc(each[clear], malignant[clear])}
        for name, each in scores.items()
    }


def classification(nodules: Sequence[Nodule], logits: Numbers, fitted_on: Numbers | None = None) -> dict[str, Any]:
    """Return the figures of the classifier before its bias was moved, of all nodules and of those with clear votes.

    fitted_on  logits that calibration is fitted on, when they are not those that are scored
    """
    malignant = np.array([nodule.malignant for nodule in nodules])
    folds = np.array([nodule.fold for nodule in nodules])
    calibrated = cross_fitted(logits, malignant, folds, fitted_on=fitted_on)
    temperature = cross_fitted(logits, malignant, folds, fitted_on=fitted_on, with_offset=False)
    clear = np.array([nodule.clear for nodule in nodules])
    raw = probabilities(logits, RAW)
    result: dict[str, Any] = {
        name: {
            **figures([nodule for nodule, kept in zip(nodules, chosen, strict=True) if kept], calibrated[chosen]),
            "ece_raw": calibration_error(raw[chosen], malignant[chosen]),
            "ece_temperature_alone": calibration_error(temperature[chosen], malignant[chosen]),
        }
        for name, chosen in (("all", np.ones(len(nodules), bool)), ("clear_votes", clear))
    }
    result["folds_auc"] = [roc_auc(logits[folds == fold], malignant[folds == fold]) for fold in np.unique(folds)]
    result["by_size"] = by_size(nodules, calibrated)
    result["patients"] = by_patient(nodules, calibrated)
    return result


def figures(nodules: Sequence[Nodule], probability: Numbers) -> dict[str, Any]:
    """Return the figures of calibrated probabilities, those of size alone, and the difference, with intervals."""
    malignant = np.array([nodule.malignant for nodule in nodules])
    patients = [nodule.patient for nodule in nodules]
    diameter = np.array([nodule.diameter_mm for nodule in nodules])
    volume = np.array([nodule.volume_ml for nodule in nodules])

    def gain(at: Any) -> float:
        return roc_auc(probability[at], malignant[at]) - roc_auc(diameter[at], malignant[at])

    return {
        "n": len(nodules),
        "malignant": int(malignant.sum()),
        "auc": roc_auc(probability, malignant),
        "auc_95": interval(patients, lambda at: roc_auc(probability[at], malignant[at])),
        **confusion(probability, malignant),
        "accuracy_95": interval(patients, lambda at: confusion(probability[at], malignant[at])["accuracy"]),
        "recall_95": interval(patients, lambda at: confusion(probability[at], malignant[at])["recall"]),
        "precision_95": interval(patients, lambda at: confusion(probability[at], malignant[at])["precision"]),
        "auc_diameter_alone": roc_auc(diameter, malignant),
        "auc_diameter_alone_95": interval(patients, lambda at: roc_auc(diameter[at], malignant[at])),
        "auc_volume_alone": roc_auc(volume, malignant),
        "auc_gain_over_diameter": roc_auc(probability, malignant) - roc_auc(diameter, malignant),
        "auc_gain_over_diameter_95": interval(patients, gain),
        "ece": calibration_error(probability, malignant),
        "reliability": reliability(probability, malignant),
    }


def by_size(nodules: Sequence[Nodule], probability: Numbers) -> list[dict[str, Any]]:
    """Return a row for each band of diameter, with the area under the curve of diameter within the band beside it."""
    malignant = np.array([nodule.malignant for nodule in nodules])
    diameter = np.array([nodule.diameter_mm for nodule in nodules])
    rows = []
    for low, high in BANDS_MM:
        here = (diameter >= low) & (diameter < high)
        enough = FEWEST <= malignant[here].sum() <= here.sum() - FEWEST
        rows.append(
            {
                "from_mm": low,
                "to_mm": high,
                "n": int(here.sum()),
                "malignant": int(malignant[here].sum()),
                "auc": roc_auc(probability[here], malignant[here]) if enough else math.nan,
                "auc_diameter_alone": roc_auc(diameter[here], malignant[here]) if enough else math.nan,
                **confusion(probability[here], malignant[here]),
                "mean_probability": float(probability[here].mean()),
            }
        )
    return rows


def by_patient(nodules: Sequence[Nodule], probability: Numbers) -> dict[str, Any]:
    """Return figures of patients, who are malignant when any of their nodules is, by the label and by the network."""
    names = sorted({nodule.patient for nodule in nodules})
    own = [[at for at, nodule in enumerate(nodules) if nodule.patient == name] for name in names]
    highest = np.array([probability[at].max() for at in own])
    malignant = np.array([any(nodules[index].malignant for index in at) for at in own])
    return {
        "n": len(names),
        "malignant": int(malignant.sum()),
        "auc": roc_auc(highest, malignant),
        **confusion(highest, malignant),
    }


def outlines(nodules: Sequence[Nodule], folder: Path) -> tuple[dict[str, Any], list[Region | None]]:
    """Return the figures of the outlines and the outlines, each from a seed near the centroid of the readers' mask."""
    networks, wanted = members(folder), load_crop_input(folder)
    rng = np.random.default_rng(0)
    threshold = load_model_package(folder).threshold
    seeds = [seed_near(nodule, float(rng.uniform(0, SEED_JITTER_MM)), rng) for nodule in nodules]
    boxes = [logits_at(each, networks[each.fold], wanted, seed) for each, seed in zip(nodules, seeds, strict=True)]

    def cut_at(level: float) -> list[Region | None]:
        return [
            outline_region(box, nodule.volume.get_geometry(), seed, threshold=level)
            for nodule, box, seed in zip(nodules, boxes, seeds, strict=True)
        ]

    found = cut_at(threshold)
    dice = overlaps(nodules, found)
    diameter = np.array([nodule.diameter_mm for nodule in nodules])
    cut = np.array([nodule.cut for nodule in nodules])
    large = diameter >= LEAST_MM
    groups = {"all": large | True, "from_5_mm": large, "whole_from_5_mm": large & ~cut, "cut_from_5_mm": large & cut}
    groups |= {f"{low}_to_{high}_mm": (diameter >= low) & (diameter < high) for low, high in BANDS_MM}
    result: dict[str, Any] = {
        "seed_jitter_mm": SEED_JITTER_MM,
        "threshold": threshold,
        "thresholds": [
            {"threshold": level, **spread(nodules, regions, overlaps(nodules, regions), large)}
            for level, regions in ((level, cut_at(level)) for level in THRESHOLDS)
        ],
        "groups": {name: spread(nodules, found, dice, chosen) for name, chosen in groups.items()},
    }
    result["from_5_mm_dice_95"] = interval(
        [nodule.patient for nodule, kept in zip(nodules, large, strict=True) if kept],
        lambda at: float(dice[large][at].mean()),
    )
    some = [nodule for nodule in nodules if nodule.diameter_mm >= LEAST_MM][::EVERY]
    result["seed_offset"] = [{"mm": mm, **at_offset(some, networks, wanted, mm, threshold)} for mm in OFFSETS_MM]
    return result, found


def at_offset(
    nodules: Sequence[Nodule], networks: Sequence[Predict], wanted: CropInput, mm: float, threshold: float
) -> dict[str, Any]:
    """Return the figures of outlines from seeds at a distance from the centroid, inside the nodule or not."""
    rng = np.random.default_rng(1)
    found = []
    for nodule in nodules:
        seed = seed_near(nodule, mm, rng)
        logits = logits_at(nodule, networks[nodule.fold], wanted, seed)
        found.append(outline_region(logits, nodule.volume.get_geometry(), seed, threshold=threshold))
    return spread(nodules, found, overlaps(nodules, found), np.ones(len(nodules), bool))


def seed_near(nodule: Nodule, mm: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return a point in LPS mm so far from the centroid of the mask in a random direction, kept inside the crop."""
    centroid = np.argwhere(nodule.region.mask).mean(axis=0) + nodule.region.start
    direction = rng.normal(size=3)
    step = direction / np.linalg.norm(direction) * mm / np.array(nodule.volume.spacing)
    at = np.clip(centroid + step, 0, np.array(nodule.volume.shape) - 1)
    x, y, z = nodule.volume.map_indices_to_reference(at[None])[0]
    return float(x), float(y), float(z)


def logits_at(nodule: Nodule, network: Predict, wanted: CropInput, seed: tuple[float, float, float]) -> Volume:
    """Return what a network says of the box about a seed."""
    box = outline_crop(nodule.volume, seed, wanted)
    return box.with_array(network(box.array)[0])


def overlaps(nodules: Sequence[Nodule], found: Sequence[Region | None]) -> Numbers:
    """Return the Dice of each outline."""
    return np.array([overlap(nodule, region) for nodule, region in zip(nodules, found, strict=True)])


def overlap(nodule: Nodule, region: Region | None) -> float:
    """Return the Dice of an outline with the readers' mask, on the voxels of the crop; 0 when there is none."""
    if region is None:
        return 0.0
    shape = nodule.volume.shape
    shared = np.count_nonzero(nodule.region.within(shape) & region.within(shape))
    return float(2 * shared / (nodule.region.voxels + region.voxels))


def spread(
    nodules: Sequence[Nodule], found: Sequence[Region | None], dice: Numbers, chosen: Bools
) -> dict[str, float | int]:
    """Return mean, spread and failures of the Dice of some nodules, and how far volumes are off."""
    scores = dice[chosen]
    off = [
        100 * (region.voxels / nodule.region.voxels - 1)
        for nodule, region, kept in zip(nodules, found, chosen, strict=True)
        if kept and region is not None
    ]
    return {
        "n": int(chosen.sum()),
        "none": int(sum(region is None for region, kept in zip(found, chosen, strict=True) if kept)),
        "dice": float(scores.mean()),
        "dice_sd": float(scores.std(ddof=1)),
        "dice_median": float(np.median(scores)),
        "dice_5th_percentile": float(np.percentile(scores, 5)),
        "below_half": int((scores < 0.5).sum()),
        "volume_off_percent_median": float(np.median(off)),
        "volume_off_percent_median_absolute": float(np.median(np.abs(off))),
    }


def write_reliability(bins: Sequence[dict[str, float]], path: Path) -> None:
    """Draw the share of malignant nodules over their mean probability."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(4.2, 4))
    axes.plot([0, 1], [0, 1], color="grey", linewidth=1)
    axes.plot([each["probability"] for each in bins], [each["malignant"] for each in bins], marker="o")
    for each in bins:
        axes.annotate(str(each["n"]), (each["probability"], each["malignant"]), (5, -9), textcoords="offset points")
    axes.set(
        xlabel="mean probability of malignancy", ylabel="share labelled malignant", title="held out, n beside the dots"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def tables(evaluation: dict[str, Any]) -> str:
    """Return the tables of the card, in Markdown."""
    return "\n".join([*_classifier_table(evaluation), *_size_table(evaluation), *_outline_tables(evaluation)])


def _classifier_table(evaluation: dict[str, Any]) -> list[str]:
    head = ["", "all labels", "clear votes", "all labels, outlines of the network"]
    columns = [evaluation["classifier"]["all"], evaluation["classifier"]["clear_votes"]]
    columns.append(evaluation["classifier_on_outlines"]["all"])

    def row(name: str, key: str) -> str:
        cells = [f"{each[key]:.3f}" + (_range(each[f"{key}_95"]) if f"{key}_95" in each else "") for each in columns]
        return f"| {name} | " + " | ".join(cells) + " |"

    clear, patients = columns[1], evaluation["classifier"]["patients"]
    reached = [
        f"ROC AUC {clear['auc']:.3f} ({_versus(clear['auc'] >= AIMS['auc'])} the aim of {AIMS['auc']})",
        f"accuracy {clear['accuracy']:.3f} ({_versus(clear['accuracy'] >= AIMS['accuracy'])} {AIMS['accuracy']})",
        f"ECE of all labels {columns[0]['ece']:.3f} ({_versus(columns[0]['ece'] <= AIMS['ece'])} {AIMS['ece']})",
    ]
    return [
        "Classifier, readers' masks unless said otherwise; 95 % intervals by drawing patients again:",
        "",
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        "| nodules (malignant) | " + " | ".join(f"{each['n']} ({each['malignant']})" for each in columns) + " |",
        row("ROC AUC", "auc"),
        row("ROC AUC of diameter alone", "auc_diameter_alone"),
        row("ROC AUC of volume alone", "auc_volume_alone"),
        row("gain over diameter", "auc_gain_over_diameter"),
        row("accuracy at probability 0.5", "accuracy"),
        row("precision", "precision"),
        row("recall", "recall"),
        row("specificity", "specificity"),
        row("ECE, temperature and offset fitted on the other folds", "ece"),
        row("ECE, temperature alone", "ece_temperature_alone"),
        row("ECE before", "ece_raw"),
        "",
        "Of clear votes: " + ", ".join(reached) + ".",
        "",
        f"Patients (malignant when any nodule is; {patients['malignant']} of {patients['n']}): ROC AUC "
        f"{patients['auc']:.3f}, accuracy {patients['accuracy']:.3f}, precision {patients['precision']:.3f}, recall "
        f"{patients['recall']:.3f}.",
        "",
        "How much there is to learn: logistic regressions on the same folds reach an AUC of "
        f"{_pair(evaluation['baselines']['diameter'])} (all labels and clear votes) from diameter alone, and of "
        f"{_pair(evaluation['baselines']['diameter_and_readings'])} from diameter and the readers' own scores of "
        "shape, margin, texture and calcification, which no network gets.",
        "",
    ]


def _size_table(evaluation: dict[str, Any]) -> list[str]:
    return [
        "By diameter, all labels:",
        "",
        "| mm | n (malignant) | ROC AUC | of diameter alone | accuracy | precision | recall | mean probability |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row['from_mm']} to {row['to_mm']} | {row['n']} ({row['malignant']}) | "
            + " | ".join(_or_dash(row[key]) for key in ("auc", "auc_diameter_alone", *RATES, "mean_probability"))
            + " |"
            for row in evaluation["classifier"]["by_size"]
        ),
        "",
    ]


def _outline_tables(evaluation: dict[str, Any]) -> list[str]:
    scores = evaluation["outline"]
    names = {
        "from_5_mm": "5 mm and more",
        "whole_from_5_mm": "... mask inside the crop",
        "cut_from_5_mm": "... mask touches the first or last slice of the crop",
        "all": "all",
        **{f"{low}_to_{high}_mm": f"{low} to {high} mm" for low, high in BANDS_MM},
    }
    dice = scores["groups"]["from_5_mm"]["dice"]
    return [
        f"Outline, from seeds up to {scores['seed_jitter_mm']:g} mm from the centroid:",
        "",
        "| nodules | n | Dice (SD) | median | 5th percentile | below 0.5 | none | volume, median % off |",
        "|---|---|---|---|---|---|---|---|",
        *(_outline_row(name, scores["groups"][key]) for key, name in names.items()),
        "",
        f"Nodules of 5 mm and more: mean Dice {dice:.3f}{_range(scores['from_5_mm_dice_95'])}, "
        f"{_versus(dice >= AIMS['dice'])} the aim of {AIMS['dice']:.2f}.",
        "",
        f"The same, cut at other probabilities ({scores['threshold']:g} is used):",
        "",
        "| cut at | n | Dice (SD) | median | 5th percentile | below 0.5 | none | volume, median % off |",
        "|---|---|---|---|---|---|---|---|",
        *(_outline_row(f"{row['threshold']:g}", row) for row in scores["thresholds"]),
        "",
        f"The same for every {EVERY}th nodule of 5 mm and more, from seeds at a set distance from the centroid, in or "
        "outside the nodule:",
        "",
        "| seed off by | n | Dice (SD) | median | 5th percentile | below 0.5 | none | volume, median % off |",
        "|---|---|---|---|---|---|---|---|",
        *(_outline_row(f"{row['mm']:g} mm", row) for row in scores["seed_offset"]),
    ]


def _outline_row(name: str, row: dict[str, Any]) -> str:
    return (
        f"| {name} | {row['n']} | {row['dice']:.3f} ({row['dice_sd']:.3f}) | {row['dice_median']:.3f} | "
        f"{row['dice_5th_percentile']:.3f} | {row['below_half']} | {row['none']} | "
        f"{row['volume_off_percent_median']:+.0f} |"
    )


def _or_dash(figure: float) -> str:
    return "-" if math.isnan(figure) else f"{figure:.3f}"


def _range(ends: Sequence[float]) -> str:
    return f" ({ends[0]:.3f} to {ends[1]:.3f})"


def _pair(figure: dict[str, float]) -> str:
    return f"{figure['all']:.3f} and {figure['clear_votes']:.3f}"


def _versus(reached: bool) -> str:
    return "reaches" if reached else "**misses**"


def without_nan(value: Any) -> Any:
    """Return figures with null where nothing could be computed: JSON knows no nan."""
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def write_card(path: Path, text: str) -> None:
    """Put the tables between their marks in the card."""
    before, rest = path.read_text().split(MARK)
    path.write_text(f"{before}{MARK}\n\n{text}\n\n{END}{rest.split(END)[1]}")


def main() -> None:
    """Parse the command line and evaluate."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with nodules.csv and nodules.npz")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="folder of the models")
    options = parser.parse_args()
    evaluation = evaluate(options.data, options.folder)
    (options.folder / "evaluation.json").write_text(json.dumps(without_nan(evaluation), indent=2) + "\n")
    write_card(options.folder / "card.md", tables(evaluation))


if __name__ == "__main__":
    main()
