"""Draw the vertebral bodies on the middle sagittal slice: python docs/draw_spine.py SERIES OUT/seg.dcm PICTURE."""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import segread

from imaging.load_study import load_study
from imaging.split_series import split_series
from imaging.to_volume import to_volume


def main(series: str, path: str, picture: str) -> None:
    """Write the picture; each body has its recommended display colour."""
    seg = segread(Path(path))
    (stack,) = split_series(load_study(Path(series)).series[0])
    volume = to_volume(stack).volume
    bodies = seg.get_volume(combine_segments=True).match_geometry(volume.get_geometry())
    image, bodies = (each.to_patient_orientation("LFP") for each in (volume, bodies))
    at = round(float(np.argwhere(bodies.array > 0)[:, 0].mean()))
    figure, axes = plt.subplots(figsize=(4, 4.2))
    bright = np.percentile(image.array[at], 99.5)
    axes.imshow(image.array[at], cmap="gray", vmax=bright, aspect=image.spacing[1] / image.spacing[2])
    for number in seg.segment_numbers:
        one = seg.get_segment_description(number)
        mask = bodies.array[at] == number
        if not mask.any():
            continue
        colour = np.array(CIELabColor.from_dicom_value(one.RecommendedDisplayCIELabValue).to_rgb()) / 255
        axes.contour(mask, [0.5], colors=[colour], linewidths=1.2)
        rows, columns = np.nonzero(mask)
        axes.text(
            columns.mean(), rows.mean(), one.segment_label.split()[0], color=colour, ha="center", va="center", size=7
        )
    axes.set_axis_off()
    axes.set_title("Research use only", fontsize=8)
    figure.tight_layout(pad=0.2)
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
