"""Studies as large as clinics send them, of the suite's phantoms: synthetic, no persons. Whole studies, not one series.

python benchmarks/large_inputs.py chest|head_256|head_320|lumbar|pelvis FOLDER
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from imaging import write_chest_sample as chest  # noqa: E402  run as a script from anywhere
from imaging import write_lumbar_sample as lumbar  # noqa: E402
from imaging import write_pelvic_sample as pelvis  # noqa: E402
from imaging.write_sample import write_head_study  # noqa: E402

ONE_PLACE = (1, 1, 1)
"""Places in a voxel at which the pelvis is looked up: partial volume costs minutes here and changes no cost."""


def write_chest(folder: Path) -> Path:
    """Two reconstructions, for lung and for soft tissue, of 600 slices of 512 x 512, 0.6 mm apart, and a scout."""
    fine = {"shape": (600, 512, 512), "spacing_mm": (0.6, 0.68, 0.68)}
    lung = replace(chest.LUNG_CT, description="synthetic chest 0.6 mm lung (phantom)", **fine)
    scout, thick = chest.OTHERS
    soft = replace(thick, description="synthetic chest 0.6 mm soft (phantom)", **fine)
    return chest.write_chest_study(folder, series=(scout, soft, lung))


def write_head_256(folder: Path) -> Path:
    """T1w, 256 slices of 256 x 256, 0.9 mm."""
    return write_head_study(folder, shape=(256, 256, 256), spacing_mm=(0.9, 0.9, 0.9))


def write_head_320(folder: Path) -> Path:
    """T1w, 320 slices of 320 x 320, 0.7 mm."""
    return write_head_study(folder, shape=(320, 320, 320), spacing_mm=(0.7, 0.7, 0.7))


def write_lumbar(folder: Path) -> Path:
    """Sagittal T2w, T1w and STIR of 25 slices of 640 x 640, 3.3 x 0.47 x 0.47 mm; axial T2w, 40 of 512 x 512."""
    fine = {"shape": (25, 640, 640), "spacing_mm": (3.3, 0.46875, 0.46875), "thickness_mm": 3.0}
    localizer, t1w, stir, axial = lumbar.OTHERS
    across = replace(axial, shape=(40, 512, 512), spacing_mm=(4.4, 0.39, 0.39))
    sagittal = (replace(series, **fine) for series in (lumbar.SAGITTAL_T2W, t1w, stir))
    return lumbar.write_lumbar_study(folder, series=(localizer, across, *sagittal))


def write_pelvis(folder: Path) -> Path:
    """Axial T2w of 40 slices of 640 x 640; DWI of four b-values and ADC, 40 of 256 x 256; sagittal T2w, dynamic T1w."""
    localizer, sagittal, large, dynamic = pelvis.OTHERS
    series = (
        replace(pelvis.AXIAL_T2W, shape=(40, 640, 640), spacing_mm=(3.3, 0.35, 0.35)),
        replace(pelvis.DWI, shape=(40, 256, 256), spacing_mm=(4.4, 1.1, 1.1)),
        replace(pelvis.ADC, shape=(40, 256, 256), spacing_mm=(4.4, 1.1, 1.1)),
        localizer,
        replace(sagittal, shape=(30, 512, 512), spacing_mm=(4.4, 0.5, 0.5)),
        replace(large, shape=(40, 384, 384), spacing_mm=(6.0, 0.9, 0.9)),
        replace(dynamic, shape=(60, 256, 256), spacing_mm=(2.5, 1.2, 1.2), thickness_mm=2.5),
    )
    return pelvis.write_pelvic_study(folder, series=tuple(replace(one, samples=ONE_PLACE) for one in series))


WRITERS: dict[str, Callable[[Path], Path]] = {
    "chest": write_chest,
    "head_256": write_head_256,
    "head_320": write_head_320,
    "lumbar": write_lumbar,
    "pelvis": write_pelvis,
}


if __name__ == "__main__":
    print(WRITERS[sys.argv[1]](Path(sys.argv[2])))
