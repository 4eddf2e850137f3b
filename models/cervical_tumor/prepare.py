"""Cases as the network sees them: synthetic ones and real ones alike.

    python -m models.cervical_tumor.prepare --data DIR --cache DIR

A case is a folder, one for each patient, with the tumour outlined on the T2w grid in ``mask.nii.gz`` and either

* ``t2w.nii.gz`` and, where they exist, ``dwi.nii.gz`` (the highest b-value) and ``adc.nii.gz`` (1e-6 mm2/s), each on
  its own grid of the same patient coordinates; or
* a folder ``dicom`` with the study: the rules of the application find the series and the unit of the ADC.

Diffusion and ADC are brought onto the T2w grid, and all onto the network's grid, by the functions the application
uses. The cache holds one array for each case and voxel size, so that training does not do that again.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from highdicom import Volume

from imaging.align_sequences import align
from imaging.load_mask import load_mask, on_grid_of
from imaging.model_package import ModelInput
from imaging.prepare_sequences import prepare_volumes

RECIPE = Path(__file__).parent / "recipe.toml"
SEQUENCES = ("T2w", "DWI", "ADC")
MULTIPLE = 16
"""The strides of the network divide each size."""
MAXIMUM_MM = (100.8, 212.8, 212.8)
"""Of the largest grid, 144 x 304 x 304 at 0.7 mm."""

Images = Mapping[str, Volume | None]


@dataclass(frozen=True)
class Prepared:
    """A case on the network's grid."""

    name: str
    image: npt.NDArray[np.float16]  # (sequence, slice, row, column), normalised; 0 where there is none
    mask: npt.NDArray[np.uint8]  # (slice, row, column)


def wanted_input(spacing_mm: float) -> ModelInput:
    """Return what the network expects, at a voxel size that may be coarser than that of the application."""
    maximum = tuple(int(mm / spacing_mm / MULTIPLE + 0.999) * MULTIPLE for mm in MAXIMUM_MM)
    return ModelInput(
        spacing_mm=(spacing_mm,) * 3,
        multiple=(MULTIPLE,) * 3,
        maximum=(maximum[0], maximum[1], maximum[2]),
        intensity="z_score",
        sequences=SEQUENCES,
        may_be_absent=SEQUENCES[1:],
    )


def find_cases(data: Path) -> list[Path]:
    """Return the case folders below a folder, by name; ValueError when there is none."""
    cases = sorted(mask.parent for mask in data.glob("*/mask.nii.gz"))
    if not cases:
        raise ValueError(f"{data} must hold a folder with mask.nii.gz for each case, found none")
    return cases


def load_case(folder: Path) -> tuple[Images, Volume]:
    """Return the sequences of a case on its T2w grid, None for one that is missing, and its mask there."""
    images = _from_dicom(folder / "dicom") if (folder / "dicom").is_dir() else _from_nifti(folder)
    t2w = images["T2w"]
    if t2w is None:
        raise ValueError(f"{folder} must hold t2w.nii.gz or a folder dicom")
    return images, on_grid_of(load_mask(folder / "mask.nii.gz"), t2w)


def _from_nifti(folder: Path) -> Images:
    found = {name: folder / f"{name.lower()}.nii.gz" for name in SEQUENCES}
    volumes = {name: read_nifti(path) for name, path in found.items() if path.is_file()}
    t2w = volumes.get("T2w")
    if t2w is None:
        return {"T2w": None}
    return {name: align(volume, t2w) if name != "T2w" else volume for name, volume in volumes.items()}


def _from_dicom(folder: Path) -> Images:
    from imaging.align_sequences import align_sequences
    from imaging.geometry import STRICT
    from imaging.load_study import load_study
    from imaging.pelvic_sequences import resolve_pelvis

    aligned = align_sequences(resolve_pelvis(load_study(folder), allow_missing=True), register=False, policy=STRICT)
    return {"T2w": aligned.source.volume, "DWI": aligned.dwi, "ADC": aligned.adc}


def prepare_case(name: str, images: Images, mask: Volume, spacing_mm: float) -> Prepared:
    """Return a case on the network's grid; a voxel is tumour when the voxel of the mask nearest to it is."""
    image = prepare_volumes(images, wanted_input(spacing_mm))
    target = on_grid_of(mask.with_array((mask.array > 0).astype(np.uint8)), without_channels(image))
    channels = np.moveaxis(image.array, -1, 0).astype(np.float16)
    return Prepared(name, np.ascontiguousarray(channels), np.ascontiguousarray(target.array))


def without_channels(image: Volume) -> Volume:
    """Return the first channel of an image, (slice, row, column)."""
    return Volume(image.array[..., 0], image.affine, "PATIENT", frame_of_reference_uid=image.frame_of_reference_uid)


def cached(data: Path, cache: Path, spacing_mm: float) -> list[Prepared]:
    """Return all cases of a folder at a voxel size; arrays are read when needed. What the cache lacks is added."""
    fill(data, cache, [spacing_mm])
    return [_read(folder.name, cache, spacing_mm) for folder in find_cases(data)]


def fill(data: Path, cache: Path, spacings_mm: Sequence[float]) -> None:
    """Add what the cache lacks of the cases of a folder at some voxel sizes."""
    for folder in find_cases(data):
        missing = [mm for mm in spacings_mm if not _files(folder.name, cache, mm)[0].is_file()]
        if missing:
            images, mask = load_case(folder)
            for spacing_mm in missing:
                _write(prepare_case(folder.name, images, mask, spacing_mm), cache, spacing_mm)


def _files(name: str, cache: Path, spacing_mm: float) -> tuple[Path, Path]:
    place = cache / f"{spacing_mm:g}mm"
    return place / f"{name}_image.npy", place / f"{name}_mask.npy"


def _write(case: Prepared, cache: Path, spacing_mm: float) -> None:
    image, mask = _files(case.name, cache, spacing_mm)
    image.parent.mkdir(parents=True, exist_ok=True)
    np.save(mask, case.mask)
    partial = image.with_suffix(".partial.npy")
    np.save(partial, case.image)
    partial.replace(image)


def _read(name: str, cache: Path, spacing_mm: float) -> Prepared:
    image, mask = _files(name, cache, spacing_mm)
    return Prepared(name, np.load(image, mmap_mode="r"), np.load(mask, mmap_mode="r"))


def split(cases: Sequence[Prepared], every: int = 5) -> tuple[list[Prepared], list[Prepared]]:
    """Return cases to train on and every fifth to validate on; one folder for each patient keeps patients apart."""
    return [case for at, case in enumerate(cases) if at % every], list(cases[::every])


def read_nifti(path: Path) -> Volume:
    """Return an image as a float32 volume in LPS mm, (slice, row, column)."""
    import SimpleITK as sitk  # noqa: N813

    image: Any = sitk.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = (np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing()))[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).astype(np.float32), affine, "PATIENT")


def write_nifti(volume: Volume, path: Path) -> None:
    """Write a volume with its position."""
    import SimpleITK as sitk  # noqa: N813

    image: Any = sitk.GetImageFromArray(volume.array)
    image.SetOrigin([float(mm) for mm in volume.position])
    image.SetSpacing([float(mm) for mm in volume.spacing[::-1]])
    image.SetDirection(np.asarray(volume.direction)[:, ::-1].ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=1)


def main() -> None:
    """Parse the command line and fill the cache."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of case folders")
    parser.add_argument("--cache", type=Path, required=True, help="folder to write")
    options = parser.parse_args()
    recipe = tomllib.loads(RECIPE.read_text())
    spacings_mm = sorted({stage["spacing_mm"] for stage in recipe["stage"]})
    fill(options.data, options.cache, spacings_mm)
    for case in cached(options.data, options.cache, spacings_mm[0]):
        tumour_ml = case.mask.sum() * spacings_mm[0] ** 3 / 1000
        print(f"{case.name} at {spacings_mm[0]:g} mm: {case.image.shape}, {tumour_ml:.1f} mL")  # noqa: T201


if __name__ == "__main__":
    main()
