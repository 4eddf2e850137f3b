"""Free-response figures of the candidate finder: sensitivity at so many false candidates per scan.

    python benchmarks/find_nodules.py [--ct FOLDER] [--crops nodules.npz] [--scans 12]

A first table gives sensitivity at so many false candidates per scan, a second one that of each operating point of the
application with a cap on the candidates, as it has one.

Nothing here is a clinical figure. Synthetic: phantoms with nodules at random places. Semi-synthetic, where a chest CT
and crops of real nodules with masks are given: the crops are put into the CT at random places of its lungs; what the CT
itself shows, nodules of its own included, counts as false. A nodule counts as found when a candidate lies within its
radius.
"""

from __future__ import annotations

import argparse
import csv
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from highdicom import Volume
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from imaging.chest_phantom import LEFT_LUNG, RIGHT_LUNG, Nodule
from imaging.find_nodules import OPERATING_POINTS, OperatingPoint, find_nodules
from imaging.load_study import load_study
from imaging.lung_mask import LungMask, lung_mask
from imaging.mark import Mark
from imaging.split_series import split_series
from imaging.to_volume import to_volume
from imaging.write_chest_sample import LUNG_CT, series_affine, series_hu

EVERYTHING = OperatingPoint(min_score=0.0)
AT_MOST = (10, 20)
"""Caps on the candidates of a scan, the first one that of the application unless told otherwise."""
FALSE_PER_SCAN = (1, 2, 4, 8, 16)
APART_MM = 45.0
PER_SCAN = 8


@dataclass(frozen=True)
class Truth:
    """A nodule that was put into a scan."""

    centre_mm: tuple[float, float, float]
    diameter_mm: float
    kind: str = ""


@dataclass(frozen=True)
class Scan:
    """One scan with the nodules that were put in, and what was found."""

    truths: tuple[Truth, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Crop:
    """A real nodule: HU and mask, (x, y, z) to the left, back and head."""

    key: str
    hu: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    spacing_mm: npt.NDArray[np.float64]
    diameter_mm: float


def phantom_scans(count: int, rng: np.random.Generator) -> Iterator[Scan]:
    """Yield what is found in phantoms with nodules of 4 to 28 mm at random places, some beyond the pleura in part."""
    for seed in range(count):
        nodules = tuple(_random_nodules(rng))
        volume = Volume(series_hu(LUNG_CT, seed, nodules), series_affine(), "PATIENT")
        truths = tuple(Truth(one.centre_mm, 2 * one.reach_mm) for one in nodules)
        yield Scan(truths, find_nodules(volume, lung_mask(volume), point=EVERYTHING, at_most=200))


def _random_nodules(rng: np.random.Generator) -> Iterator[Nodule]:
    made: list[Nodule] = []
    while len(made) < PER_SCAN:
        radius = float(2 * 7 ** rng.uniform())
        lung = (RIGHT_LUNG, LEFT_LUNG)[int(rng.integers(2))]
        place = np.array(lung.centre_mm) + rng.uniform(-1, 1, 3) * lung.semi_axes_mm
        depth = -float(lung.distance_mm(*(np.array([value], np.float32) for value in place))[0])
        medial = abs(place[0]) < 45
        if depth < 0.3 * radius or medial or any(np.linalg.norm(place - one.centre_mm) < APART_MM for one in made):
            continue
        x, y, z = (float(value) for value in place)
        flat = radius * rng.uniform(0.6, 1.0, 2)
        nodule = Nodule(
            name="random", centre_mm=(x, y, z), semi_axes_mm=(radius, float(flat[0]), float(flat[1])),
            turn_deg=float(rng.uniform(0, 180)), hu=float(rng.choice([40.0, 40.0, 20.0, -450.0])),
            in_lung=depth > radius,
        )  # fmt: skip
        made.append(nodule)
        yield nodule


def load_ct(folder: Path) -> Volume:
    """Return the volume of the longest series below a folder."""
    series = max(load_study(folder).series, key=lambda one: len(one.instances))
    return to_volume(split_series(series)[0]).volume


def load_crops(path: Path) -> list[Crop]:
    """Return the crops with the diameters of the table beside them."""
    arrays = np.load(path)
    with path.with_suffix(".csv").open(newline="") as table:
        return [
            Crop(
                row["nodule_key"],
                arrays[f"img/{row['nodule_key']}"].astype(np.float32),
                arrays[f"mask/{row['nodule_key']}"] > 0,
                np.array([float(row[f"spacing_{axis}"]) for axis in "xyz"]),
                float(row["diameter_mm"]),
            )
            for row in csv.DictReader(table)
        ]


def inserted_scans(ct: Volume, crops: Sequence[Crop], count: int, rng: np.random.Generator) -> Iterator[Scan]:
    """Yield what is found in copies of a CT with crops put in."""
    lungs = lung_mask(ct)
    deep = depth_mm(ct, lungs)
    for _ in range(count):
        hu = ct.array.copy()
        chosen = [crops[int(at)] for at in rng.choice(len(crops), PER_SCAN, replace=False)]
        truths = tuple(put_in(ct.with_array(hu), deep, chosen, rng))
        scan = ct.with_array(hu)
        yield Scan(truths, find_nodules(scan, lung_mask(scan), point=EVERYTHING, at_most=200))


def depth_mm(ct: Volume, lungs: LungMask) -> npt.NDArray[np.float32]:
    """Return how deep in a lung the voxels of air lie, 0 elsewhere; every other row and column alone is filled in."""
    inside = lungs.mask.array[:, ::2, ::2]
    sampling = np.array(ct.spacing) * (1, 2, 2)
    deep = np.zeros(ct.shape, np.float32)
    deep[:, ::2, ::2] = ndimage.distance_transform_edt(inside, sampling=sampling)
    deep[ct.array > -600] = 0
    return deep


def put_in(
    ct: Volume, deep: npt.NDArray[np.float32], crops: Sequence[Crop], rng: np.random.Generator
) -> Iterator[Truth]:
    """Put crops into a CT, in place, at random places of the lungs that hold air; every third against the pleura."""
    places: list[npt.NDArray[np.float64]] = []
    for number, crop in enumerate(crops):
        radius = crop.diameter_mm / 2
        low, high = (0.5 * radius, radius) if number % 3 == 0 else (radius + 1, 60.0)
        fits = np.argwhere((deep > low) & (deep < high))
        for _ in range(200):
            index = fits[int(rng.integers(len(fits)))]
            place = ct.map_indices_to_reference(index[None].astype(float))[0]
            if all(np.linalg.norm(place - other) > APART_MM for other in places):
                break
        else:
            continue
        places.append(place)
        _blend(ct, crop, place)
        x, y, z = (float(value) for value in place)
        yield Truth((x, y, z), crop.diameter_mm, "pleura" if number % 3 == 0 else "inside")


def _blend(ct: Volume, crop: Crop, place_mm: npt.NDArray[np.float64]) -> None:
    """Put the crop's mask, with soft edges, over the CT; what is denser in the CT stays in the edge."""
    middle = np.argwhere(crop.mask).mean(axis=0)
    reach = np.array(crop.mask.shape) * crop.spacing_mm / 2 + 4
    at = ct.map_reference_to_indices(place_mm[None])[0]
    half = np.abs(np.linalg.inv(ct.affine[:3, :3])) @ reach
    box = tuple(
        slice(max(int(a - h), 0), min(int(a + h) + 2, size)) for a, h, size in zip(at, half, ct.shape, strict=True)
    )
    index = np.stack(np.meshgrid(*[np.arange(part.start, part.stop) for part in box], indexing="ij"), axis=-1)
    mm = index @ ct.affine[:3, :3].T + ct.affine[:3, 3] - place_mm
    source = np.moveaxis(mm / crop.spacing_mm + middle, -1, 0)
    # a thick slice is a mean over its thickness
    blur = [max(0.35 * (thick / own - 1), 0) for thick, own in zip(_extent(ct), crop.spacing_mm, strict=True)]
    hu = np.where(crop.mask, crop.hu, ndimage.grey_dilation(np.where(crop.mask, crop.hu, -1100), 3))
    soft = ndimage.gaussian_filter(np.pad(crop.mask, 2).astype(np.float32), [b + 0.5 for b in blur])
    hu = ndimage.gaussian_filter(np.pad(hu, 2, mode="edge"), blur)
    weight = ndimage.map_coordinates(soft, source + 2, order=1, mode="constant")
    value = ndimage.map_coordinates(hu, source + 2, order=1, mode="nearest")
    part = ct.array[box]
    value = np.where(weight > 0.5, value, np.maximum(value, part))
    part += weight * (value - part)


def _extent(ct: Volume) -> npt.NDArray[np.float64]:
    """Return the size of a voxel along x, y and z."""
    return np.abs(ct.affine[:3, :3]).max(axis=1)


def hits(scan: Scan) -> list[tuple[Truth, float | None]]:
    """Return for each nodule the best score of a candidate within its radius."""
    found = []
    for truth in scan.truths:
        scores = [mark.score or 0.0 for mark in scan.marks if _within(mark, truth)]
        found.append((truth, max(scores, default=None)))
    return found


def false_scores(scan: Scan) -> list[float]:
    """Return the scores of the candidates that lie in no nodule."""
    return [mark.score or 0.0 for mark in scan.marks if not any(_within(mark, truth) for truth in scan.truths)]


def _within(mark: Mark, truth: Truth) -> bool:
    return bool(np.linalg.norm(np.subtract(mark.centre_mm, truth.centre_mm)) <= max(truth.diameter_mm / 2, 2.0))


def print_table(title: str, scans: Sequence[Scan]) -> None:
    """Print sensitivity at each number of false candidates, for nodules by size."""
    found = [hit for scan in scans for hit in hits(scan)]
    false = np.sort([score for scan in scans for score in false_scores(scan)])[::-1]
    print(f"\n{title}: {len(scans)} scans, {len(found)} nodules, {len(false) / len(scans):.1f} candidates of score > 0 "
          "per scan that are none")  # fmt: skip
    groups = {
        ">= 6 mm": [one for one in found if one[0].diameter_mm >= 6],
        "4 to 6 mm": [one for one in found if 4 <= one[0].diameter_mm < 6],
        "6 to 10 mm": [one for one in found if 6 <= one[0].diameter_mm < 10],
        "10 to 20 mm": [one for one in found if 10 <= one[0].diameter_mm < 20],
        ">= 20 mm": [one for one in found if one[0].diameter_mm >= 20],
        ">= 6 mm, pleura": [one for one in found if one[0].diameter_mm >= 6 and one[0].kind == "pleura"],
    }
    print("| nodules | n | " + " | ".join(f"{at} false" for at in FALSE_PER_SCAN) + " | any |")
    print("|---" * (len(FALSE_PER_SCAN) + 3) + "|")
    for name, group in groups.items():
        if group:
            cells = [f"{_sensitivity(group, _score_at(false, at * len(scans))):.2f}" for at in FALSE_PER_SCAN]
            print(f"| {name} | {len(group)} | " + " | ".join(cells) + f" | {_sensitivity(group, 0.0):.2f} |")
    print("score: " + ", ".join(f"{_score_at(false, at * len(scans)):.2f}" for at in FALSE_PER_SCAN))
    print_points(scans)


def print_points(scans: Sequence[Scan]) -> None:
    """Print sensitivity and false candidates at each operating point."""
    print("\n| operating point | score | at most | >= 6 mm | 4 to 6 mm | false per scan |\n|---|---|---|---|---|---|")
    for name, point in OPERATING_POINTS.items():
        for cap in AT_MOST:
            kept = [_kept(scan, point.min_score, cap) for scan in scans]
            found = [hit for scan in kept for hit in hits(scan)]
            large = [one for one in found if one[0].diameter_mm >= 6]
            small = [one for one in found if 4 <= one[0].diameter_mm < 6]
            false = float(np.mean([len(false_scores(scan)) for scan in kept]))
            print(f"| {name} | {point.min_score:g} | {cap} | {_sensitivity(large, 0.0):.2f} | "
                  f"{_sensitivity(small, 0.0):.2f} | {false:.1f} |")  # fmt: skip


def _kept(scan: Scan, min_score: float, at_most: int) -> Scan:
    """Return a scan with what an operating point leaves of its candidates."""
    return Scan(scan.truths, tuple(mark for mark in scan.marks if (mark.score or 0.0) >= min_score)[:at_most])


def _score_at(false: npt.NDArray[np.float64], count: int) -> float:
    """Return the score above which so many candidates are false."""
    return float(false[count]) if count < len(false) else 0.0


def _sensitivity(group: Sequence[tuple[Truth, float | None]], above: float) -> float:
    return float(np.mean([score is not None and score > above for _, score in group]))


def main() -> None:
    """Run both kinds of scan and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ct", type=Path, help="folder with a chest CT")
    parser.add_argument("--crops", type=Path, help="nodules.npz with nodules.csv beside it")
    parser.add_argument("--scans", type=int, default=12, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print_table("Synthetic (phantoms)", list(phantom_scans(options.scans, rng)))
    if options.ct is None:
        return
    ct = load_ct(options.ct)
    started = time.process_time()
    lungs = lung_mask(ct)
    masked = time.process_time()
    marks = find_nodules(ct, lungs, at_most=200)
    print(
        f"\nThe CT itself, {ct.shape}: lung mask {masked - started:.1f} CPU s, finder "
        f"{time.process_time() - masked:.1f} CPU s, {len(marks)} candidates at the default operating point"
    )
    for mark in marks[:10]:
        print("  ", [round(value, 1) for value in mark.centre_mm], f"{mark.diameter_mm:.1f} mm, score {mark.score:.2f}")
    if options.crops is not None:
        crops = load_crops(options.crops)
        print_table("Semi-synthetic (real nodules put into one real CT)",
                    list(inserted_scans(ct, crops, options.scans, rng)))  # fmt: skip
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
