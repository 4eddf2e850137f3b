"""Draw the contour of a brain mask on one axial slice: python docs/draw_result.py STUDY OUT/seg.dcm PICTURE [FRACTION].

FRACTION of the brain's height at which the slice lies, from 0 (lowest) to 1; keep it above the eyes.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from imaging.load_mask import load_mask, on_grid_of
from imaging.load_study import load_study
from imaging.to_volume import to_volume


def main(study: str, seg: str, picture: str, fraction: str = "0.6") -> None:
    """Write the picture."""
    mask = load_mask(Path(seg))
    uid = str(mask.frame_of_reference_uid)
    series = [found for found in load_study(Path(study)).series if str(found.header.FrameOfReferenceUID) == uid]
    volume = to_volume(max(series, key=lambda found: len(found.instances))).volume
    on_source = volume.with_array(on_grid_of(mask, volume).array)
    image, brain = (v.to_patient_orientation("HPL") for v in (volume, on_source))
    heights = np.flatnonzero(brain.array.any(axis=(1, 2)))
    at = int(heights[0] + float(fraction) * (heights[-1] - heights[0]))
    figure, axes = plt.subplots(figsize=(4, 4.6))
    axes.imshow(image.array[at], cmap="gray", aspect=image.spacing[1] / image.spacing[2])
    axes.contour(brain.array[at], [0.5], colors="orange", linewidths=1)
    axes.set_axis_off()
    axes.set_title("Research use only", fontsize=8)
    figure.tight_layout(pad=0.2)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
