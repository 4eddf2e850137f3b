"""Measure the model on real scans with masks and on the recipe's stress set; write evaluation.json.

    python -m models.skull_strip.evaluate --masked DIR --label-maps DIR --work DIR

``--masked`` holds pairs ``*_T1W.nii.gz`` and ``*_brainmask.nii.gz``. The stress set is drawn from the label maps
that were held out of training: rotation within +-30 degrees, strong bias field, 4 mm slices, noise.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from highdicom import Volume

from imaging.crop_air import crop_air
from imaging.evaluate_masks import evaluate_masks
from imaging.infer_openvino import openvino_predictor
from imaging.keep_largest import keep_largest
from imaging.load_mask import load_mask
from imaging.model_package import ModelPackage, load_model_package
from imaging.prepare_image import prepare_image
from imaging.restore_mask import restore_mask
from imaging.sliding_window import Predict
from models.skull_strip.synthesize import Synthesizer
from models.skull_strip.train import RECIPE, prepare_heads

FOLDER = Path(__file__).parent
STRESS_CASES = 24
STRESS_SHAPE = (96, 112, 96)
STRESS = {
    "phantom_fraction": 0.0, "t1w_fraction": 1.0, "rotation_deg": 30.0, "scale": [0.9, 1.1], "shear": 0.0,
    "translation_mm": 8.0, "bias_log": 0.6, "noise": 0.1, "slice_mm": 4.0, "cropped_fraction": 0.0,
}  # fmt: skip


def load_image(path: Path) -> Volume:
    """Return a NIfTI image as a float32 volume in LPS mm, (slice, row, column)."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3)[:, ::-1] * np.array(image.GetSpacing())[::-1]
    affine[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).astype(np.float32), affine, "PATIENT")


def segment(volume: Volume, model: ModelPackage, predict: Predict) -> np.ndarray:
    """Return the mask the application would make, (slice, row, column) bool."""
    image = prepare_image(volume, model.input)
    logits = image.with_array(predict(image.array)[0])
    return keep_largest(restore_mask(logits, volume, threshold=model.threshold).array)


def evaluate_masked(folder: Path, model: ModelPackage, predict: Predict) -> dict[str, Any]:
    """Return the scores of every scan with a mask."""
    scores = {}
    for path in sorted(folder.glob("*_T1W.nii.gz")):
        reference = load_mask(path.with_name(path.name.replace("_T1W", "_brainmask"))).array > 0
        volume = load_image(path)
        mask = segment(volume, model, predict)
        found = asdict(evaluate_masks(reference, mask, tuple(volume.spacing)))
        scores[path.name] = {name: round(value, 4) for name, value in found.items()}
    return scores


def evaluate_stress(label_maps: Path, work: Path, model: ModelPackage, predict: Predict) -> dict[str, Any]:
    """Return the Dice of every case of the stress set, and the worst."""
    recipe = tomllib.loads(RECIPE.read_text())
    heads = [head for head in prepare_heads(label_maps, work) if head.name in recipe["held_out_maps"]]
    draws = Synthesizer(heads, {**recipe["synthesis"], **STRESS}, seed=7)
    wanted = model.input
    dice = []
    for _ in range(STRESS_CASES):
        image, target = draws.draw(STRESS_SHAPE, wanted.spacing_mm[0])
        head = Volume(image[0, 0].numpy(), np.diag([*wanted.spacing_mm, 1]), "PATIENT")
        seen = head if wanted.margin_mm is None else crop_air(head, wanted.margin_mm, wanted.multiple)
        logits = seen.with_array(predict(seen.array)[0])
        mask = keep_largest(restore_mask(logits, head, threshold=model.threshold).array)
        truth = target[0, 0].numpy() > 0.5
        dice.append(round(float(2 * (mask & truth).sum() / (mask.sum() + truth.sum())), 4))
    return {"cases": STRESS_CASES, "mean_dice": round(float(np.mean(dice)), 4), "worst_dice": min(dice), "dice": dice}


def compare_backends(folder: Path, model: ModelPackage, predict: Predict) -> dict[str, int]:
    """Return for each scan the voxels in which the masks of OpenVINO and TorchScript differ."""
    network = torch.jit.load(str(model.members[0].torchscript)).eval()

    def reference(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(np.ascontiguousarray(image))[None, None])[0].numpy())

    volumes = {path.name: load_image(path) for path in sorted(folder.glob("*_T1W.nii.gz"))}
    return {
        name: int(np.count_nonzero(segment(volume, model, predict) != segment(volume, model, reference)))
        for name, volume in volumes.items()
    }


def main() -> None:
    """Parse the command line, measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--masked", type=Path, required=True)
    parser.add_argument("--label-maps", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=FOLDER)
    options = parser.parse_args()
    model = load_model_package(options.model)
    copy = model.members[0].openvino
    if copy is None:
        raise SystemExit("the model has no OpenVINO copy: run models.skull_strip.export")
    predict = openvino_predictor(copy)
    found = {
        "masked": evaluate_masked(options.masked, model, predict),
        "backends_differ_in_voxels": compare_backends(options.masked, model, predict),
        "stress": evaluate_stress(options.label_maps, options.work, model, predict),
    }
    text = json.dumps({"sha256": model.sha256, **found}, indent=2) + "\n"
    (options.model / "evaluation.json").write_text(text)
    print(text)  # noqa: T201


if __name__ == "__main__":
    main()
