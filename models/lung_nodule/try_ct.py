"""Run both networks at seed points of a CT series, to look at what they do on a whole image.

    python -m models.lung_nodule.try_ct --dicom DIR --seed X Y Z [--seed X Y Z ...]

``DIR`` holds one CT series; seeds are LPS mm. Prints a line for each seed. A look, not an evaluation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from highdicom import Volume

from imaging.classify_crop import probability_of
from imaging.ensemble import mean_logits
from imaging.load_study import load_study
from imaging.model_package import load_model_package
from imaging.nodule_crop import Point, classifier_crop, load_crop_input, outline_crop, outline_region
from imaging.resolve_study import resolve_study
from imaging.to_volume import to_volume
from models.lung_nodule.calibrate import members

FOLDER = Path(__file__).parent


def lines(volume: Volume, seeds: Iterable[Point], folder: Path = FOLDER) -> Iterable[str]:
    """Yield a sentence for each seed."""
    outliners, box_input = members(folder / "outline"), load_crop_input(folder / "outline")
    classifiers, cube_input = members(folder / "classifier"), load_crop_input(folder / "classifier")
    temperature = load_model_package(folder / "classifier").temperature
    for seed in seeds:
        box = outline_crop(volume, seed, box_input)
        logits = box.with_array(mean_logits([predict(box.array)[0] for predict in outliners]))
        region = outline_region(logits, volume.get_geometry(), seed)
        at = " ".join(f"{mm:.0f}" for mm in seed)
        if region is None:
            yield f"{at}: nothing to outline"
            continue
        extent_mm = np.array(region.mask.shape) * volume.spacing
        cube = classifier_crop(volume, region, cube_input)
        chance = probability_of([predict(cube) for predict in classifiers], temperature)
        yield (
            f"{at}: {region.voxels * np.prod(volume.spacing) / 1000:.2f} ml, "
            f"{' x '.join(f'{mm:.1f}' for mm in extent_mm)} mm (slice, row, column), "
            f"mean {volume.array[region.box][region.mask].mean():.0f} HU, probability of malignancy {chance:.2f}"
        )


def main() -> None:
    """Parse the command line and look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dicom", type=Path, required=True, help="folder of one CT series")
    parser.add_argument("--seed", type=float, nargs=3, action="append", required=True, metavar=("X", "Y", "Z"))
    options = parser.parse_args()
    (resolved, *_) = resolve_study(load_study(options.dicom))
    volume = to_volume(resolved.stack).volume
    sys.stdout.writelines(f"{line}\n" for line in lines(volume, [tuple(seed) for seed in options.seed]))


if __name__ == "__main__":
    main()
