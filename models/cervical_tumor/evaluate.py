"""Measure the model on synthetic cases it never saw, and on a real study; write evaluation.json and the card's tables.

    python -m models.cervical_tumor.evaluate --data DIR/test [--study DICOM_DIR --study-name NAME]

Every case goes the way of the application: alignment, preparation, network, choice of the primary tumour, mask on
the T2w grid. Scores compare that mask with the reference there. Real cases in the same folders are scored alike.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.evaluate_masks import evaluate_masks, limits_of_agreement
from imaging.find_tumour import TumourObjects, find_tumour
from imaging.infer_openvino import openvino_predictor
from imaging.model_package import ModelPackage, load_model_package
from imaging.prepare_sequences import prepare_volumes
from imaging.restore_mask import restore_mask
from imaging.sliding_window import Predict
from models.cervical_tumor.prepare import SEQUENCES, Images, find_cases, load_case, without_channels

FOLDER = Path(__file__).parent
RECIPE = FOLDER / "recipe.toml"
MARKS = ("<!-- tables of evaluate.py -->", "<!-- end of tables -->")
"""What stands around the tables in the card."""
FOUND_JACCARD = 0.1
"""A tumour is found when the primary object overlaps it by at least this much, intersection over union."""
SIZES_ML = ((0.0, 5.0), (5.0, 20.0), (20.0, math.inf))
WAYS: Mapping[str, tuple[tuple[str, ...], bool]] = {
    "T2w, DWI, ADC": (("T2w", "DWI", "ADC"), False),
    "T2w alone": (("T2w",), False),
    "T2w, DWI, ADC, full grid": (("T2w", "DWI", "ADC"), True),
}
"""The sequences the network gets, and whether the grid is padded to its largest size."""
FULL_GRID_CASES = 4
"""The full grid takes long: it is compared on so many cases."""
ALL, FULL = "T2w, DWI, ADC", "T2w, DWI, ADC, full grid"

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Result:
    """What the application would report of one case."""

    mask: Volume  # on the T2w grid
    objects: TumourObjects
    seconds: float  # preparation and network


def segment(images: Images, model: ModelPackage, predict: Predict, *, full_grid: bool = False) -> Result:
    """Return the primary tumour on the T2w grid."""
    t2w = images["T2w"]
    if t2w is None:
        raise ValueError("the T2w sequence is needed")
    began = time.perf_counter()
    wanted = replace(model.input, may_be_absent=SEQUENCES[1:])  # what it cannot do without is measured as well
    image = prepare_volumes(images, wanted, full_grid=full_grid)
    logits = without_channels(image).with_array(predict(np.moveaxis(image.array, -1, 0))[0])
    objects = find_tumour(logits, model.threshold, t2w.get_geometry())
    if objects.primary is None:
        mask = t2w.with_array(np.zeros(t2w.shape, bool))
    else:
        mask = restore_mask(objects.primary, t2w, threshold=model.threshold)
    return Result(mask, objects, time.perf_counter() - began)


def icc_2_1(ratings: npt.ArrayLike) -> float:
    """Return the intraclass correlation ICC(2,1): raters drawn at random, single values, absolute agreement.

    ratings  (case, rater)

    Shrout and Fleiss, Psychological Bulletin 1979;86:420-428. It is nan for fewer than two cases, and where nothing
    varies. Their example:

    >>> judged = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    >>> round(icc_2_1(judged), 2)
    0.29
    """
    values = np.asarray(ratings, float)
    cases, raters = values.shape
    if cases < 2:
        return math.nan
    mean = values.mean()
    between_cases = raters * ((values.mean(axis=1) - mean) ** 2).sum() / (cases - 1)
    between_raters = cases * ((values.mean(axis=0) - mean) ** 2).sum() / (raters - 1)
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0, keepdims=True) + mean
    error = (rest**2).sum() / ((cases - 1) * (raters - 1))
    total = between_cases + (raters - 1) * error + raters * (between_raters - error) / cases
    return float((between_cases - error) / total) if total else math.nan


def score(reference: Mask, result: Result) -> dict[str, Any]:
    """Return the scores of one case on the T2w grid; a distance is None where nothing was found."""
    scores = evaluate_masks(reference, result.mask.array, result.mask.spacing)
    return {
        "reference_ml": round(scores.volume_reference_ml, 3),
        "found_ml": round(scores.volume_prediction_ml, 3),
        "dice": round(scores.dice, 4),
        "jaccard": round(scores.jaccard, 4),
        "hausdorff_mm": _number(scores.hausdorff_mm),
        "hausdorff95_mm": _number(scores.hausdorff95_mm),
        "objects": len(result.objects.objects),
        "largest_other_ml": round(max((one.volume_ml for one in result.objects.others), default=0.0), 3),
        "seconds": round(result.seconds, 2),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)


def evaluate_case(
    folder: Path, model: ModelPackage, predict: Predict, ways: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the scores of one case with each choice of sequences."""
    images, mask = load_case(folder)
    reference = np.asarray(mask.array > 0)
    scores = {}
    for way in ways:
        names, full_grid = WAYS[way]
        given = {name: images.get(name) for name in names}
        scores[way] = score(reference, segment(given, model, predict, full_grid=full_grid))
    return scores


def summarise(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the statistics over cases; those of overlap and volume over the cases with a tumour."""
    tumours = [row for row in rows if row["reference_ml"] > 0]
    free = [row for row in rows if row["reference_ml"] == 0]
    dice = [row["dice"] for row in tumours]
    reference, found = ([row[name] for row in tumours] for name in ("reference_ml", "found_ml"))
    low, bias, high = limits_of_agreement(reference, found)
    quartiles = np.percentile(dice, (25, 50, 75)).round(4).tolist() if dice else [math.nan] * 3
    return {
        "tumours": len(tumours),
        "dice_median": quartiles[1],
        "dice_quartiles": [quartiles[0], quartiles[2]],
        "dice_mean": round(float(np.mean(dice)), 4) if dice else math.nan,
        "dice_worst": min(dice, default=math.nan),
        "hausdorff_mm_median": _median(tumours, "hausdorff_mm"),
        "hausdorff95_mm_median": _median(tumours, "hausdorff95_mm"),
        "found": sum(row["jaccard"] >= FOUND_JACCARD for row in tumours),
        "icc_2_1": round(icc_2_1(np.stack([reference, found], axis=1)), 4),
        "volume_bias_ml": round(bias, 3),
        "volume_limits_ml": [round(low, 3), round(high, 3)],
        "with_other_objects": sum(row["objects"] > 1 for row in rows),
        "without_tumour": len(free),
        "without_tumour_but_marked": sum(row["found_ml"] > 0 for row in free),
        "seconds_median": round(float(np.median([row["seconds"] for row in rows])), 2),
    }


def _median(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    values = [row[name] for row in rows if row[name] is not None]
    return round(float(np.median(values)), 2) if values else math.nan


def by_size(cases: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the statistics of all sequences for each range of tumour volumes."""
    rows = [scores[ALL] for scores in cases.values() if scores[ALL]["reference_ml"] > 0]
    groups = {
        f"{low:g} mL and more" if math.isinf(high) else f"{low:g} to {high:g} mL": [
            row for row in rows if low <= row["reference_ml"] < high
        ]
        for low, high in SIZES_ML
    }
    return {name: summarise(group) for name, group in groups.items() if group}


def agreement_of_grids(cases: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return how far Dice and volume on the full grid differ from those on the default grid."""
    pairs = [(scores[ALL], scores[FULL]) for scores in cases.values() if FULL in scores]
    return {
        "cases": len(pairs),
        "largest_dice_difference": round(max(abs(a["dice"] - b["dice"]) for a, b in pairs), 4),
        "largest_volume_difference_ml": round(max(abs(a["found_ml"] - b["found_ml"]) for a, b in pairs), 3),
    }


def load_study_images(study: Path) -> Images:
    """Return the sequences of a DICOM study as the application chooses and aligns them."""
    from imaging.align_sequences import align_sequences
    from imaging.geometry import STRICT
    from imaging.load_study import load_study
    from imaging.pelvic_sequences import resolve_pelvis

    aligned = align_sequences(resolve_pelvis(load_study(study)), register=False, policy=STRICT)
    return {"T2w": aligned.source.volume, "DWI": aligned.dwi, "ADC": aligned.adc}


def look_at_study(study: Path, model: ModelPackage, predict: Predict) -> dict[str, Any]:
    """Return what the model makes of a real study without a cervix: its objects, the primary one first."""
    images = load_study_images(study)
    found = {}
    for way, (names, full_grid) in WAYS.items():
        objects = segment({name: images[name] for name in names}, model, predict, full_grid=full_grid).objects.objects
        found[way] = {
            "specks": sum(one.speck for one in objects),
            "objects": [
                {"volume_ml": round(one.volume_ml, 2), "mean_activation": round(one.mean_activation, 3)}
                for one in objects
                if not one.speck
            ],
        }
    return found


def score_sample(model: ModelPackage, predict: Predict) -> dict[str, Any]:
    """Return the scores of the application's embedded sample, which is DICOM and drawn by other code."""
    from imaging.write_pelvic_sample import expected_tumour, write_pelvic_study

    with tempfile.TemporaryDirectory() as folder:
        images = load_study_images(write_pelvic_study(Path(folder)))
    scores = {}
    for way, (names, full_grid) in WAYS.items():
        result = segment({name: images[name] for name in names}, model, predict, full_grid=full_grid)
        scores[way] = score(expected_tumour(), result)
    return scores


def evaluate(data: Path, folder: Path) -> dict[str, Any]:
    """Return the scores of all cases of a folder, and statistics over them."""
    model = load_model_package(folder)
    predict = _predictor(model)
    cases = {}
    for number, path in enumerate(find_cases(data)):
        ways = [way for way in WAYS if way != FULL or number < FULL_GRID_CASES]
        cases[path.name] = evaluate_case(path, model, predict, ways)
    return {
        "sha256": model.sha256,
        "summary": {way: summarise([scores[way] for scores in cases.values() if way in scores]) for way in WAYS},
        "by_size": by_size(cases),
        "grids": agreement_of_grids(cases),
        "sample": score_sample(model, predict),
        "cases": cases,
    }


def _predictor(model: ModelPackage) -> Predict:
    copy = model.members[0].openvino
    if copy is None:
        raise ValueError("the OpenVINO copy of the weights is needed: run models.cervical_tumor.export")
    return openvino_predictor(copy)


def tables_of(found: Mapping[str, Any]) -> str:
    """Return the tables of the card: by sequences, by size, by how volumes agree."""
    head = (
        "n | median Dice (quartiles) | mean | worst | HD95, mm | HD, mm | found |\n|---|---|---|---|---|---|---|---|\n"
    )
    text = ""
    for title, rows in (("sequences", found["summary"]), ("tumour", found["by_size"])):
        text += f"| {title} | {head}"
        text += "".join(
            f"| {name} | {row['tumours']} | {row['dice_median']:.2f} ({row['dice_quartiles'][0]:.2f} to "
            f"{row['dice_quartiles'][1]:.2f}) | {row['dice_mean']:.2f} | {row['dice_worst']:.2f} "
            f"| {row['hausdorff95_mm_median']:.1f} | {row['hausdorff_mm_median']:.1f} "
            f"| {row['found']} of {row['tumours']} |\n"
            for name, row in rows.items()
        )
        text += "\n"
    text += (
        "| sequences | ICC(2,1) of the volume | bias (limits of agreement), mL | cases with other objects "
        "| marked without a tumour |\n|---|---|---|---|---|\n"
    )
    text += "".join(
        f"| {name} | {row['icc_2_1']:.2f} | {row['volume_bias_ml']:+.2f} ({row['volume_limits_ml'][0]:.2f} to "
        f"{row['volume_limits_ml'][1]:.2f}) | {row['with_other_objects']} of {row['tumours'] + row['without_tumour']} "
        f"| {row['without_tumour_but_marked']} of {row['without_tumour']} |\n"
        for name, row in found["summary"].items()
    )
    grids, sample = found["grids"], found["sample"]
    return (
        f"{text}\nThe full grid of 144 x 304 x 304 differs from the default one, as large as the T2w field of view "
        f"needs, by at most {grids['largest_dice_difference']:.3f} in Dice and "
        f"{grids['largest_volume_difference_ml']:.2f} mL ({grids['cases']} cases).\n\n"
        "The application's embedded sample, written as DICOM by other code, has a tumour of "
        f"{sample[ALL]['reference_ml']:.1f} mL: found with a Dice of {sample[ALL]['dice']:.2f}, "
        f"{sample[ALL]['found_ml']:.1f} mL; on T2w alone {sample['T2w alone']['dice']:.2f}.\n"
    )


def study_text(name: str, found: Mapping[str, Any]) -> str:
    """Return what the model made of a real study, as text for the card."""
    rows = "".join(
        f"| {way} | {len(seen['objects'])} | {_listed(seen['objects'])} | {seen['specks']} |\n"
        for way, seen in found.items()
    )
    head = "| sequences | objects | volume (mean activation), the primary one first | specks below 0.1 mL |\n"
    return f"{name}:\n\n{head}|---|---|---|---|\n{rows}"


def _listed(objects: Sequence[Mapping[str, float]], most: int = 6) -> str:
    shown = [f"{one['volume_ml']:.2f} mL ({one['mean_activation']:.2f})" for one in objects[:most]]
    return ", ".join(shown + ["and more"] * (len(objects) > most)) or "none"


def progress_of(record: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """Return a sentence on how much of the recipe the weights have seen."""
    steps, at = [stage["steps"] for stage in recipe["stage"]], record["trained"]
    done = sum(steps[: at["stage"]]) + at["step"]
    state = "at its end" if done == sum(steps) else "**the recipe was not run to its end**"
    return (
        f"The weights were taken after {done} of {sum(steps)} steps, {at['seconds'] / 60:.0f} minutes on two CPU cores "
        f"that other work shared: {state}.\n"
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
    parser.add_argument("--data", type=Path, required=True, help="folder of cases that were not trained on")
    parser.add_argument("--study", type=Path, help="DICOM folder of a real study without a cervix")
    parser.add_argument("--study-name", default="A real study without a cervix", help="what the card calls it")
    parser.add_argument("--model", type=Path, default=FOLDER, help="folder of the exported model")
    options = parser.parse_args()
    found = evaluate(options.data, options.model)
    text = tables_of(found)
    if options.study:
        model = load_model_package(options.model)
        found["study"] = look_at_study(options.study, model, _predictor(model))
        text += "\n" + study_text(options.study_name, found["study"])
    (options.model / "evaluation.json").write_text(json.dumps(found, indent=2) + "\n")
    if (options.model / "card.md").is_file():
        record = json.loads((options.model / "metadata.json").read_text())
        progress = progress_of(record, tomllib.loads(RECIPE.read_text()))
        fill_card(options.model / "card.md", f"{progress}\n{text}")
    print(json.dumps({**found, "cases": "see evaluation.json"}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
