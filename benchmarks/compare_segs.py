"""Compare the masks of two DICOM segmentations.

    python benchmarks/compare_segs.py FOLDER FOLDER

Each folder holds one segmentation; the comparison is printed as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom

TOLERANCE_MM = 0.01


def find_seg(folder: Path) -> Path:
    """Return the one DICOM segmentation below a folder; ValueError where there is none, or more than one."""
    found = [path for path in sorted(folder.rglob("*.dcm")) if _modality(path) == "SEG"]
    if len(found) != 1:
        raise ValueError(f"one DICOM segmentation is needed in {folder}, found {len(found)}")
    return found[0]


def compare_segs(first: Path, second: Path) -> dict[str, Any]:
    """Return how the geometry and the voxels of two segmentation files agree, all segments taken together.

    Frames that a file omits count as background. Masks on different grids have no Dice.
    """
    segs = [hd.seg.segread(path) for path in (first, second)]
    one, two = (_volume(seg) for seg in segs)
    series = [seg.ReferencedSeriesSequence[0].SeriesInstanceUID for seg in segs]
    result: dict[str, Any] = {
        "same_series": series[0] == series[1],
        "spacing_mm": [list(volume.spacing) for volume in (one, two)],
        "voxels": [int(np.count_nonzero(volume.array)) for volume in (one, two)],
    }
    offset = _offset(one, two)
    apart_mm = _corners_apart_mm(one, two, offset)
    result |= {"corners_apart_mm": apart_mm, "same_grid": apart_mm < TOLERANCE_MM}
    if result["same_grid"]:
        result |= _agreement(*_on_one_grid(one.array > 0, two.array > 0, offset))
    return result


def _modality(path: Path) -> str:
    return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Modality"]).get("Modality", ""))


def _volume(seg: hd.seg.Segmentation) -> hd.Volume:
    return seg.get_volume(combine_segments=True, skip_overlap_checks=True).to_patient_orientation("HPL")


def _offset(one: hd.Volume, two: hd.Volume) -> npt.NDArray[np.int64]:
    """Return the index in ``one`` that is nearest to the first voxel of ``two``."""
    return np.rint(one.map_reference_to_indices(np.array([two.position]))[0]).astype(np.int64)


def _corners_apart_mm(one: hd.Volume, two: hd.Volume, offset: npt.NDArray[np.int64]) -> float:
    """Return the largest distance between a corner voxel of ``two`` and the voxel of ``one`` under it."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(two.shape) - 1)
    apart = two.map_indices_to_reference(corners) - one.map_indices_to_reference(corners + offset)
    return float(np.linalg.norm(apart, axis=1).max())


def _on_one_grid(
    one: npt.NDArray[np.bool_], two: npt.NDArray[np.bool_], offset: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return both masks on the smallest grid that holds both."""
    first = np.minimum(offset, 0)
    shape = np.maximum(one.shape, offset + two.shape) - first
    placed = []
    for mask, start in ((one, -first), (two, offset - first)):
        whole = np.zeros(shape, bool)
        whole[tuple(slice(at, at + size) for at, size in zip(start, mask.shape, strict=True))] = mask
        placed.append(whole)
    return placed[0], placed[1]


def _agreement(one: npt.NDArray[np.bool_], two: npt.NDArray[np.bool_]) -> dict[str, Any]:
    total = int(np.count_nonzero(one)) + int(np.count_nonzero(two))
    common = int(np.count_nonzero(one & two))
    return {"dice": 2 * common / total if total else 1.0, "different_voxels": total - 2 * common}


if __name__ == "__main__":
    print(json.dumps(compare_segs(*(find_seg(Path(folder)) for folder in sys.argv[1:3]))))
