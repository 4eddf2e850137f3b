"""`monai-deploy evaluate`: scores of predicted masks against reference masks, case by case.

Two files are one case. In two folders, cases are paired by name, which is

* of a file `NAME.nii.gz`, `NAME.nii` or `NAME.dcm`: NAME;
* of a sub-folder NAME: NAME. It holds, at any depth, exactly one NIfTI file or DICOM Segmentation; everything
  else in it (images, reports) is ignored, and a sub-folder without a mask is no case.

Other files, and names that begin with a dot, are ignored. Two entries of one name in one folder are refused.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING

from imaging.evaluate_masks import MaskScores, concordance, evaluate_masks, limits_of_agreement
from imaging.load_mask import NIFTI_ENDINGS, covering, is_nifti, is_segmentation, load_mask, on_grid_of
from imaging.outcome import ExitCode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Scores = Mapping[str, MaskScores]

SCORE_NAMES = tuple(field.name for field in fields(MaskScores))
COLUMNS = {
    "dice": ("Dice", 4),
    "jaccard": ("Jaccard", 4),
    "hausdorff_mm": ("HD mm", 2),
    "hausdorff95_mm": ("HD95 mm", 2),
    "f2": ("F2", 4),
    "balanced_accuracy": ("Bal.acc.", 4),
    "volume_reference_ml": ("Ref. mL", 2),
    "volume_prediction_ml": ("Pred. mL", 2),
    "volume_difference_ml": ("Diff. mL", 2),
    "volume_difference_percent": ("Diff. %", 2),
}
"""Heading and decimals of each score in the printed table."""
COLUMN_WIDTH = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("references", type=Path, metavar="REFERENCES", help="folder or file of reference masks")
    parser.add_argument("predictions", type=Path, metavar="PREDICTIONS", help="folder or file of predicted masks")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="OUT", help="folder for scores.csv, scores.json and scores.png"
    )
    parser.add_argument(
        "--segment", type=int, metavar="N", help="segment (SEG) or label (NIfTI) to compare; SEG default: 1"
    )
    parser.add_argument("--allow-missing", action="store_true", help="evaluate the pairs, list the rest")


def run(options: argparse.Namespace) -> int:
    """Return 0 when the pairs were evaluated, 2 when the arguments or the files do not allow it."""
    try:
        scores = evaluate_all(options)
        sys.stdout.write(table(scores))
        if options.output is not None:
            write_scores(scores, options.output)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return ExitCode.USAGE
    return ExitCode.DONE


def evaluate_all(options: argparse.Namespace) -> Scores:
    """Return the scores of every pair by the name of its case, or raise ValueError."""
    pairs, unpaired = pair_cases(options.references, options.predictions)
    for line in unpaired:
        sys.stderr.write(f"unpaired: {line}\n")
    if unpaired and not options.allow_missing:
        raise ValueError("Every case needs both masks: add the missing ones or pass --allow-missing")
    return {name: evaluate_case(name, *pair, options.segment) for name, pair in pairs.items()}


def pair_cases(references: Path, predictions: Path) -> tuple[dict[str, tuple[Path, Path]], list[str]]:
    """Return the two masks of each case by its name, and a line for each case that lacks one of them."""
    if references.is_file() and predictions.is_file():
        return {case_name(references): (references, predictions)}, []
    wanted, found = find_cases(references), find_cases(predictions)
    pairs = {name: (wanted[name], found[name]) for name in sorted(wanted.keys() & found.keys())}
    unpaired = [
        f"{name} (no {'prediction' if name in wanted else 'reference'})"
        for name in sorted(wanted.keys() ^ found.keys())
    ]
    if not pairs:
        raise ValueError(
            f"Two folders with masks of the same names are needed; {references} has {len(wanted)} and "
            f"{predictions} {len(found)} cases, none in common: rename one of each pair"
        )
    return pairs, unpaired


def find_cases(folder: Path) -> dict[str, Path]:
    """Return the mask file of each case in a folder, by the rule in the head of this module."""
    if not folder.is_dir():
        raise ValueError(f"Two files or two folders are needed, {folder} is not a folder")
    cases: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()):
        mask = _mask_of(entry)
        if mask is None:
            continue
        name = case_name(entry)
        if name in cases:
            raise ValueError(f"One mask per case is needed, {folder} has more of {name}: remove one")
        cases[name] = mask
    return cases


def case_name(path: Path) -> str:
    """Return the name of a sub-folder, or the name of a file without the ending of a mask."""
    if path.is_file():
        for ending in (*NIFTI_ENDINGS, ".dcm"):
            if path.name.lower().endswith(ending):
                return path.name[: -len(ending)]
    return path.name


def _mask_of(entry: Path) -> Path | None:
    if entry.name.startswith("."):
        return None
    if entry.is_file():
        return entry if is_nifti(entry) or entry.suffix.lower() == ".dcm" else None
    masks = [path for path in sorted(entry.rglob("*")) if path.is_file() and _is_mask(path)]
    if len(masks) > 1:
        listed = ", ".join(path.name for path in masks[:5])
        raise ValueError(f"One mask per case is needed, {entry} has {len(masks)}: {listed}")
    return masks[0] if masks else None


def _is_mask(path: Path) -> bool:
    return not path.name.startswith(".") and (is_nifti(path) or is_segmentation(path))


def evaluate_case(name: str, reference_file: Path, prediction_file: Path, segment: int | None) -> MaskScores:
    """Return the scores of one case on the grid of its reference, widened where the prediction exceeds it."""
    try:
        prediction = load_mask(prediction_file, segment_number=segment)
        reference = covering(load_mask(reference_file, segment_number=segment), prediction)
        predicted = on_grid_of(prediction, reference)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not reference.array.any() and not predicted.array.any():
        sys.stderr.write(f"note: both masks of {name} are empty\n")
    return evaluate_masks(reference.array > 0, predicted.array > 0, reference.spacing)


def summarize(scores: Scores) -> dict[str, dict[str, float]]:
    """Return mean, SD (over n - 1), min, max and the number n of defined values, of each score."""
    summary: dict[str, dict[str, float]] = {"mean": {}, "sd": {}, "min": {}, "max": {}, "n": {}}
    for score in SCORE_NAMES:
        values = defined(scores, score)
        summary["mean"][score] = statistics.fmean(values) if values else math.nan
        summary["sd"][score] = statistics.stdev(values) if len(values) > 1 else math.nan
        summary["min"][score] = min(values, default=math.nan)
        summary["max"][score] = max(values, default=math.nan)
        summary["n"][score] = len(values)
    return summary


def defined(scores: Scores, score: str) -> list[float]:
    """Return the values of one score in the order of the cases, without those that are nan."""
    values = (getattr(case, score) for case in scores.values())
    return [value for value in values if not math.isnan(value)]


def table(scores: Scores) -> str:
    """Return the scores as text of fixed width: a row for each case, then the summary and the agreement."""
    width = max(len(name) for name in (*scores, "case", "mean"))
    heading = f"{'case':<{width}}" + "".join(f"{title:>{COLUMN_WIDTH}}" for title, _ in COLUMNS.values())
    rule = "-" * len(heading)
    cases = [_row(name, asdict(case), width) for name, case in scores.items()]
    summary = [_row(name, values, width) for name, values in summarize(scores).items()]
    volumes = _volumes(scores)
    lower, mean, upper = limits_of_agreement(*volumes)
    agreement = (
        f"volume, prediction - reference: mean {mean:.2f} mL, "
        f"limits of agreement {lower:.2f} to {upper:.2f} mL; concordance {concordance(*volumes):.4f}"
    )
    return "\n".join([heading, rule, *cases, rule, *summary, rule, agreement, ""])


def _row(name: str, values: Mapping[str, float], width: int) -> str:
    decimals = {score: 0 if name == "n" else places for score, (_, places) in COLUMNS.items()}
    cells = (f"{values[score]:>{COLUMN_WIDTH}.{decimals[score]}f}" for score in COLUMNS)
    return f"{name:<{width}}{''.join(cells)}"


def _volumes(scores: Scores) -> tuple[list[float], list[float]]:
    return defined(scores, "volume_reference_ml"), defined(scores, "volume_prediction_ml")


def write_scores(scores: Scores, folder: Path) -> None:
    """Write scores.csv and scores.json, and scores.png where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.csv").open("w", encoding="utf-8", newline="") as file:
        file.write(as_csv(scores))
    (folder / "scores.json").write_text(as_json(scores), encoding="utf-8")
    try:
        plot_scores(scores, folder / "scores.png")
    except ModuleNotFoundError:
        sys.stderr.write("plot skipped: pip install matplotlib\n")


def as_csv(scores: Scores) -> str:
    """Return one line per case; a score that is not defined is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", *SCORE_NAMES])
    for name, case in scores.items():
        writer.writerow([name, *_nan_to_none(asdict(case)).values()])
    return text.getvalue()


def as_json(scores: Scores) -> str:
    """Return cases, summary and agreement of the volumes; a number that is not defined is null."""
    volumes = _volumes(scores)
    lower, mean, upper = limits_of_agreement(*volumes)
    agreement = {
        "concordance": concordance(*volumes),
        "mean_difference_ml": mean,
        "lower_limit_ml": lower,
        "upper_limit_ml": upper,
    }
    document = {
        "cases": {name: _nan_to_none(asdict(case)) for name, case in scores.items()},
        "summary": {name: _nan_to_none(values) for name, values in summarize(scores).items()},
        "volume_agreement": _nan_to_none(agreement),
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _nan_to_none(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def plot_scores(scores: Scores, path: Path) -> None:
    """Write a PNG: Dice and 95 % Hausdorff of each case in box plots, the volumes as Bland and Altman do."""
    from matplotlib.figure import Figure  # only here, for it is optional; a Figure alone draws with Agg

    figure = Figure(figsize=(12, 4.5), layout="constrained")
    dice, distance, volume = figure.subplots(1, 3, width_ratios=(1, 1, 2))
    _draw_box(dice, defined(scores, "dice"), "Dice")
    _draw_box(distance, defined(scores, "hausdorff95_mm"), "95 % Hausdorff distance (mm)")
    _draw_bland_altman(volume, *_volumes(scores))
    figure.savefig(path, dpi=150)


def _draw_box(axes: Axes, values: Sequence[float], title: str) -> None:
    axes.boxplot(values, positions=[0], widths=0.5, showfliers=False)
    places = [0.12 * ((index % 5) - 2) / 2 for index in range(len(values))]
    axes.plot(places, values, "o", markersize=5, alpha=0.6)
    axes.set(title=title, xticks=[0], xticklabels=[f"n = {len(values)}"], xlim=(-0.6, 0.6))


def _draw_bland_altman(axes: Axes, references: Sequence[float], predictions: Sequence[float]) -> None:
    pairs = list(zip(references, predictions, strict=True))
    means = [(reference + prediction) / 2 for reference, prediction in pairs]
    axes.plot(means, [prediction - reference for reference, prediction in pairs], "o", alpha=0.6)
    lower, mean, upper = limits_of_agreement(references, predictions)
    lines = (("mean + 1.96 SD", upper, "--"), ("mean", mean, "-"), ("mean - 1.96 SD", lower, "--"))
    for name, height, style in lines:
        if not math.isnan(height):
            axes.axhline(height, linestyle=style, color="0.3", linewidth=1)
            axes.annotate(
                f"{name}: {height:.2f} mL",
                (1, height),
                xycoords=("axes fraction", "data"),
                xytext=(-4, 3),
                textcoords="offset points",
                horizontalalignment="right",
            )
    axes.set(
        title=f"Volume, n = {len(pairs)}",
        xlabel="mean of reference and prediction (mL)",
        ylabel="prediction - reference (mL)",
    )
