"""Synthetic cases: what scanners would show of procedural pelvises, as folders of NIfTI files that look like real ones.

    python -m models.cervical_tumor.synthesize --out DIR/train --cases 48 --first 1000
    python -m models.cervical_tumor.synthesize --out DIR/validation --cases 12 --first 2000
    python -m models.cervical_tumor.synthesize --out DIR/test --cases 24 --first 3000

Each case folder holds ``t2w.nii.gz``, ``dwi.nii.gz`` (the highest b-value), ``adc.nii.gz`` (1e-6 mm2/s),
``mask.nii.gz`` (the tumour on the T2w grid) and ``case.json``. T2w and diffusion are acquired on grids of their own,
oblique to each other. Diffusion moves and bends between the acquisitions, is distorted and brightened along its phase
encoding direction near gas, and has the noise of every b-value; the ADC is fitted to these noisy images. No acquired
image is used. Equal numbers give equal cases.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from highdicom import Volume, VolumeGeometry
from scipy import ndimage
from scipy.spatial.transform import Rotation

from imaging.pelvic_phantom import Pelvis, Tissue, draw_pelvis, label_pelvis
from imaging.pelvic_signals import TissueTable, draw_tissues, dwi_signal, t2w_signal
from imaging.resample import resample
from models.cervical_tumor.prepare import write_nifti

RECIPE = Path(__file__).parent / "recipe.toml"
WITHOUT_TUMOUR = 10
"""One case in so many has no tumour."""
SLICES_WITHIN = (-1 / 3, 0.0, 1 / 3)
"""Where a thick slice is sampled, in its thickness."""

Array = npt.NDArray[np.float32]
Limits = Sequence[float]


@dataclass(frozen=True)
class Drawn:
    """A pelvis on a fine grid with the axes of its T2w series."""

    labels: Volume  # Tissue, uint8
    table: TissueTable
    lesion: Array  # from 0 to 1: how far a place of the tumour is necrotic
    texture: Array  # about 0: logarithm of the signal's unevenness
    other_texture: Array  # of the diffusion coefficient
    shading: Array  # of the coils, about 1


def tumour_ml(number: int, limits_ml: Limits) -> float:
    """Return the volume of the tumour of a case: none in one of ten, else spread evenly over the logarithm.

    Limits of 0 mL mean that no case has one.
    """
    if number % WITHOUT_TUMOUR == WITHOUT_TUMOUR - 1 or max(limits_ml) == 0:
        return 0.0
    share = (number * 0.6180339887) % 1  # golden ratio: any run of numbers covers the range
    low, high = (math.log(limit) for limit in limits_ml)
    return math.exp(low + share * (high - low))


def synthesize(number: int, options: Mapping[str, Any]) -> tuple[dict[str, Volume], dict[str, Any]]:
    """Return the images of a case by name, each on its own grid, and what is known of it."""
    rng = np.random.default_rng([number, 8])
    wanted_ml = tumour_ml(number, options["tumour_ml"])
    pelvis = draw_pelvis(number, tumour_ml=wanted_ml)
    grid = t2w_grid(rng, options["t2w"])
    drawn = draw(pelvis, draw_tissues(number), grid, rng, options)
    tumour = drawn.labels.with_array((drawn.labels.array == Tissue.TUMOUR).astype(np.float32))
    mask = resample(tumour, grid)
    mask = mask.with_array((mask.array >= 0.5).astype(np.uint8))
    t2w = acquire_t2w(drawn, grid, rng, options["t2w"])
    dwi, adc, facts = acquire_diffusion(drawn, grid, rng, options["dwi"])
    volume_ml = float(mask.array.sum()) * math.prod(grid.spacing) / 1000
    known = {"number": number, "tumour_ml": wanted_ml, "mask_ml": round(volume_ml, 3), **facts}
    return {"t2w": t2w, "dwi": dwi, "adc": adc, "mask": mask}, known


# -- where ---------------------------------------------------------------------------------------------------------


def t2w_grid(rng: np.random.Generator, options: Mapping[str, Any]) -> VolumeGeometry:
    """Return the grid of a small field of view across the cervix, tilted as axial-oblique series are."""
    turn = rng.normal(0, options["turn_deg_sd"], 3)
    step = rng.uniform(*options["pixel_mm"])
    thick = rng.uniform(*options["slice_mm"]) * (1 + rng.uniform(*options["gap"]))
    view_mm = rng.uniform(*options["view_mm"])
    size = math.ceil(view_mm / step / 2) * 2
    slices = math.ceil(rng.uniform(*options["height_mm"]) / thick)
    centre = rng.normal(0, options["centre_mm_sd"], 3) + options["centre_mm"]
    return grid_about(centre, turn, (slices, size, size), (thick, step, step))


def dwi_grid(
    rng: np.random.Generator, t2w: VolumeGeometry, centre_mm: npt.NDArray[np.float64], options: Mapping[str, Any]
) -> VolumeGeometry:
    """Return a grid that is parallel to the T2w series, or axial, or anything near; it may be smaller or larger."""
    own = Rotation.from_matrix(np.asarray(t2w.direction)[:, ::-1]).as_euler("xyz", degrees=True)
    turn = [own, np.zeros(3), own + rng.normal(0, 4, 3)][rng.integers(3)]
    step = rng.uniform(*options["pixel_mm"])
    thick = rng.uniform(*options["slice_mm"])
    size = math.ceil(rng.uniform(*options["view_mm"]) / step / 2) * 2
    slices = math.ceil(rng.uniform(*options["height_mm"]) / thick)
    return grid_about(centre_mm + rng.normal(0, 4, 3), turn, (slices, size, size), (thick, step, step))


def grid_about(
    centre_mm: npt.ArrayLike, turn_deg: npt.ArrayLike, shape: tuple[int, int, int], spacing_mm: Limits
) -> VolumeGeometry:
    """Return an axial grid around a point, turned about the left, posterior and head axes."""
    columns_first = Rotation.from_euler("xyz", turn_deg, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3] = columns_first[:, ::-1] * np.array(spacing_mm)
    affine[:3, 3] = np.asarray(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return VolumeGeometry(affine, shape, "PATIENT")


def middle_mm(grid: VolumeGeometry) -> npt.NDArray[np.float64]:
    """Return the position of the middle of a grid."""
    return np.asarray(grid.map_indices_to_reference((np.array([grid.shape]) - 1) / 2)[0])


def draw(
    pelvis: Pelvis,
    table: TissueTable,
    grid: VolumeGeometry,
    rng: np.random.Generator,
    options: Mapping[str, Any],
) -> Drawn:
    """Return the pelvis on a fine grid around that of the T2w series, and how uneven its tissues are."""
    fine_mm = np.array(options["fine_mm"])
    extent_mm = np.array(grid.shape) * np.array(grid.spacing) + 2 * options["margin_mm"]
    slices, rows, columns = (int(size) for size in np.ceil(extent_mm / fine_mm))
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(grid.direction) * fine_mm
    affine[:3, 3] = middle_mm(grid) - affine[:3, :3] @ ((np.array((slices, rows, columns)) - 1) / 2)
    labels = np.empty((slices, rows, columns), np.uint8)
    j, i = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    for k in range(slices):
        index = np.stack([np.full_like(i, k), j, i], -1)
        labels[k] = label_pelvis(pelvis, index @ affine[:3, :3].T + affine[:3, 3])
    shape = labels.shape
    texture = smooth_noise(rng, shape, 40) * 0.5 + smooth_noise(rng, shape, 14)
    necrosis = np.clip(smooth_noise(rng, shape, 22) - rng.uniform(*options["necrosis_from"]), 0, 1)
    shading = np.exp(smooth_noise(rng, shape, 3) * rng.uniform(0, options["shading_log"]))
    return Drawn(
        labels=Volume(labels, affine, "PATIENT"),
        table=table,
        lesion=np.where(labels == Tissue.TUMOUR, necrosis, 0).astype(np.float32),
        texture=texture * np.float32(rng.uniform(*options["texture_log"])),
        other_texture=smooth_noise(rng, shape, 26) * np.float32(rng.uniform(*options["texture_log"])),
        shading=shading.astype(np.float32),
    )


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], points: int) -> Array:
    """Return noise of about unit deviation that has so many independent points along the longest axis."""
    longest = max(shape)
    coarse = rng.normal(size=[max(2, round(points * n / longest)) + 1 for n in shape]).astype(np.float32)
    fine = F.interpolate(torch.from_numpy(coarse)[None, None], size=tuple(shape), mode="trilinear", align_corners=True)
    return np.asarray(fine[0, 0].numpy() * np.float32(1.5))


# -- T2w -----------------------------------------------------------------------------------------------------------


def acquire_t2w(drawn: Drawn, grid: VolumeGeometry, rng: np.random.Generator, options: Mapping[str, Any]) -> Volume:
    """Return a T2w series: thick slices, coil shading, noise of a magnitude image."""
    echo_ms, repetition_ms = rng.uniform(*options["echo_ms"]), rng.uniform(*options["repetition_ms"])
    signals = t2w_signal(drawn.table, repetition_ms=repetition_ms, echo_ms=echo_ms)
    fluid = float(signals[Tissue.CANAL])
    fine = signals[drawn.labels.array]
    fine += drawn.lesion * (fluid - fine) * np.float32(0.8)
    fine *= np.exp(drawn.texture) * drawn.shading
    fine = ndimage.uniform_filter1d(fine, max(1, round(grid.spacing[0] / drawn.labels.spacing[0])), axis=0)
    image = resample(drawn.labels.with_array(fine), grid).array
    noise = float(signals[Tissue.MUSCLE]) / rng.uniform(*options["signal_to_noise"])
    return scaled(grid, rician(image, noise, rng), rng)


# -- diffusion -----------------------------------------------------------------------------------------------------


def acquire_diffusion(
    drawn: Drawn, t2w: VolumeGeometry, rng: np.random.Generator, options: Mapping[str, Any]
) -> tuple[Volume, Volume, dict[str, Any]]:
    """Return the images of the highest b-value, the ADC fitted to all of them, and how they were acquired."""
    grid = dwi_grid(rng, t2w, middle_mm(t2w), options)
    b_values = [float(b) for b in options["b_values"][rng.integers(len(options["b_values"]))]]
    echo_ms = rng.uniform(*options["echo_ms"])
    where, gain, facts = distorted(drawn, grid, rng, options)
    blur = [0.0, *(0.42 * step / fine for step, fine in zip(grid.spacing[1:], drawn.labels.spacing[1:], strict=True))]
    free = np.exp(drawn.other_texture)
    reference = float(dwi_signal(drawn.table, 0.0, echo_ms=echo_ms)[Tissue.MYOMETRIUM])
    noise = reference / rng.uniform(*options["signal_to_noise"])
    images = []
    for b in b_values:
        plain = dwi_signal(drawn.table, 0.0, echo_ms=echo_ms)[drawn.labels.array]
        adc = drawn.table.adc_um2_per_s[drawn.labels.array] * free
        adc += drawn.lesion * (np.float32(2200) - adc) * np.float32(0.7)
        fine = plain * np.exp(-np.float32(b * 1e-6) * adc) * np.exp(drawn.texture) * drawn.shading
        fine = ndimage.gaussian_filter(fine, blur, truncate=2.5)
        image = sampled(fine, where) * gain
        images.append(rician(image, noise / (math.sqrt(4) if b >= 300 else 1), rng))  # high b-values are averaged
    adc_map = fit_adc(images, b_values)
    if rng.random() < options["masked_fraction"]:
        adc_map[images[0] < 3 * noise] = 0
    dwi = scaled(grid, images[-1], rng)
    adc = Volume(adc_map.round().astype(np.int16), grid.affine, "PATIENT")
    return dwi, adc, {"b_values": b_values, **facts}


def distorted(
    drawn: Drawn, grid: VolumeGeometry, rng: np.random.Generator, options: Mapping[str, Any]
) -> tuple[Array, Array, dict[str, Any]]:
    """Return where in the fine grid each sample of a slice comes from, (3, part, slice, row, column), and its gain.

    The patient has moved since the T2w series, organs have bent, and echo-planar images are stretched along the phase
    encoding direction: where they are squeezed together they are brighter.
    """
    parts = len(SLICES_WITHIN)
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij")).astype(np.float32)
    moved_mm = rng.normal(0, options["moved_mm_sd"], 3)
    bent_mm = [smooth_noise(rng, grid.shape, 3) * rng.uniform(0, options["bent_mm"]) for _ in range(3)]
    to_fine = np.linalg.inv(drawn.labels.affine) @ grid.affine
    phase = 1 if rng.random() < 0.7 else 2
    fine = _to(to_fine, index)
    stretch_mm = stretch(drawn, fine, rng, options)
    gain = np.clip(1 + np.gradient(stretch_mm, axis=phase) / grid.spacing[phase], 0.2, 3).astype(np.float32)
    index[phase] += stretch_mm / np.float32(grid.spacing[phase])
    shift = (np.array(bent_mm) + moved_mm[:, None, None, None]) / np.array(drawn.labels.spacing)[:, None, None, None]
    where = np.empty((3, parts, *grid.shape), np.float32)
    for part, within in enumerate(SLICES_WITHIN):
        slices = index.copy()
        slices[0] += within
        where[:, part] = _to(to_fine, slices) + shift
    facts = {"phase": ("row", "column")[phase - 1], "moved_mm": [round(float(mm), 2) for mm in moved_mm]}
    return where, gain, {**facts, "stretch_mm": round(float(np.abs(stretch_mm).max()), 2)}


def stretch(drawn: Drawn, fine: Array, rng: np.random.Generator, options: Mapping[str, Any]) -> Array:
    """Return by how many mm echo-planar images are displaced: near gas, and smoothly anywhere."""
    every = (3, 4, 4)
    gas = np.isin(drawn.labels.array[::3, ::4, ::4], (Tissue.GAS, Tissue.AIR)).astype(np.float32)
    spacing = np.array(drawn.labels.spacing) * every
    near = ndimage.gaussian_filter(gas, 9 / spacing) - ndimage.gaussian_filter(gas, 22 / spacing)
    at = fine / np.array(every, np.float32)[:, None, None, None]
    field = ndimage.map_coordinates(near, at, order=1, mode="nearest")
    anywhere = smooth_noise(rng, field.shape, 4) * rng.uniform(0, options["stretch_mm"] / 3)
    return np.asarray(rng.choice([-1, 1]) * rng.uniform(0, 5 * options["stretch_mm"]) * field + anywhere, np.float32)


def _to(affine: npt.NDArray[np.float64], index: Array) -> Array:
    turned = np.tensordot(affine[:3, :3].astype(np.float32), index, axes=1)
    return np.asarray(turned + affine[:3, 3].astype(np.float32)[:, None, None, None])


def sampled(fine: Array, where: Array) -> Array:
    """Return the mean of a fine image over the parts of each slice."""
    parts = [ndimage.map_coordinates(fine, where[:, part], order=1, mode="nearest") for part in range(where.shape[1])]
    return np.mean(parts, axis=0, dtype=np.float32)


def fit_adc(images: Sequence[Array], b_values: Sequence[float]) -> Array:
    """Return the mono-exponential ADC in 1e-6 mm2/s: least squares on the logarithm, clipped to 0..4000.

    >>> image = 100 * np.exp(-np.array([[[0.0, 50.0, 800.0]]]).T * 1e-3)
    >>> fit_adc(list(image), [0.0, 50.0, 800.0]).round().ravel().tolist()
    [1000.0]
    """
    logs = np.log(np.maximum(np.stack(images), 1e-6))
    b = np.array(b_values) - np.mean(b_values)
    slope = np.tensordot(b, logs, axes=1) / np.sum(b**2)
    return np.asarray(np.clip(-1e6 * slope, 0, 4000), np.float32)


# -- as a scanner stores it ----------------------------------------------------------------------------------------


def rician(image: Array, noise: float, rng: np.random.Generator) -> Array:
    """Return the magnitude of a signal with complex noise."""
    real = image + np.float32(noise) * rng.standard_normal(image.shape, np.float32)
    return np.asarray(np.hypot(real, np.float32(noise) * rng.standard_normal(image.shape, np.float32)))


def scaled(grid: VolumeGeometry, image: Array, rng: np.random.Generator) -> Volume:
    """Return an image in whole numbers; what 1 means differs from scanner to scanner. None is 0: 0 is outside."""
    top = float(np.percentile(image, 99.5)) or 1.0
    values = np.clip(image * (rng.uniform(300, 2000) / top), 1, 32767)
    return Volume(values.round().astype(np.int16), grid.affine, "PATIENT")


def write_case(number: int, folder: Path, options: Mapping[str, Any]) -> None:
    """Write the images of a case, complete or not at all."""
    if (folder / "case.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    volumes, known = synthesize(number, options)
    for name, volume in volumes.items():
        write_nifti(volume, folder / f"{name}.nii.gz")
    (folder / "case.json").write_text(json.dumps(known, indent=2) + "\n")


def main() -> None:
    """Parse the command line and write cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write cases into")
    parser.add_argument("--cases", type=int, required=True)
    parser.add_argument("--first", type=int, required=True, help="number of the first case: equal numbers, equal cases")
    parser.add_argument(
        "--tumour-ml", type=float, nargs=2, help="least and largest tumour, not the recipe's; 0 0: none"
    )
    options = parser.parse_args()
    recipe = tomllib.loads(RECIPE.read_text())
    if options.tumour_ml:
        recipe["synthesis"]["tumour_ml"] = options.tumour_ml
    for number in range(options.first, options.first + options.cases):
        began = time.perf_counter()
        write_case(number, options.out / f"pelvis_{number}", recipe["synthesis"])
        print(f"pelvis_{number}: {time.perf_counter() - began:.1f} s", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
