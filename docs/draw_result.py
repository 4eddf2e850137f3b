"""Draw the outlines of a segmentation: python docs/draw_result.py STUDY OUT/seg.dcm PICTURE PLANE [FRACTION].

PLANE     axial, sagittal or coronal
FRACTION  of what is segmented at which the slice lies, from 0 (the patient's feet, right or back) to 1; without it, the
          slice that shows most of it. Keep heads above the eyes
"""

import sys
from pathlib import Path

import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import segread
from PIL import Image
from pydicom.sr.coding import Code

from imaging.encode_seg import Segment, SegmentLabel
from imaging.image_kind import Plane
from imaging.load_study import load_study
from imaging.render_slice import render_slice
from imaging.slice_view import axis_across, key_slice
from imaging.split_series import split_series
from imaging.to_volume import SourceImage, to_volume
from imaging.window import grey_window

RISING = "LPH"
ONE = Code("1", "99", "1")  # pictures do not tell codes


def main(study: str, path: str, picture: str, plane: str, fraction: str = "") -> None:
    """Write the picture."""
    seg = segread(Path(path))
    uid = str(seg.ReferencedSeriesSequence[0].SeriesInstanceUID)
    series = next(found for found in load_study(Path(study)).series if found.uid == uid)
    source = to_volume(split_series(series)[0])
    segments = segments_of(seg, source)
    number = key_slice(source.volume, segments, Plane(plane))
    if fraction:
        number = slice_at(float(fraction), source, segments, Plane(plane))
    image = render_slice(source.volume, segments, Plane(plane), number, grey_window(source), least_pixels=420)
    Image.fromarray(image).save(picture)


def segments_of(seg: object, source: SourceImage) -> list[Segment]:
    """Return the segments of an object on the grid of its source."""
    numbers = seg.get_volume(combine_segments=True).match_geometry(source.volume.get_geometry()).array
    found = []
    for number in seg.segment_numbers:
        one = seg.get_segment_description(number)
        rgb = tuple(int(part) for part in CIELabColor.from_dicom_value(one.RecommendedDisplayCIELabValue).to_rgb())
        short = one.segment_label.split()[0] if len(seg.segment_numbers) > 1 else ""
        label = SegmentLabel(label=one.segment_label, category=ONE, property_type=ONE, display_rgb=rgb, short=short)
        found.append(Segment(label, np.asarray(numbers == number)))
    return found


def slice_at(fraction: float, source: SourceImage, segments: list[Segment], plane: Plane) -> int:
    """Return the slice at a fraction of the way through what is segmented."""
    axis = axis_across(source.volume, plane)
    others = tuple(other for other in range(3) if other != axis)
    slices = np.flatnonzero(np.any([segment.mask.any(axis=others) for segment in segments], axis=0))
    rises = source.volume.get_closest_patient_orientation()[axis].value in RISING
    share = fraction if rises else 1 - fraction
    return round(slices[0] + share * (slices[-1] - slices[0]))


if __name__ == "__main__":
    main(*sys.argv[1:])
