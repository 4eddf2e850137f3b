"""An oblique volume of one box with a segment, however its voxels are numbered."""

import numpy as np
from highdicom import Volume
from pydicom.sr.codedict import codes

from imaging.encode_seg import Segment, SegmentLabel
from tests.phantoms import oblique_affine, turned

SHAPE = (20, 30, 40)
SPACING_MM = (3.0, 1.0, 0.5)
RED, GREEN = (250, 30, 20), (20, 240, 60)


def segment(mask, rgb=RED, short="") -> Segment:
    """A thing."""
    label = SegmentLabel(
        label="thing",
        category=codes.SCT.AnatomicalStructure,
        property_type=codes.SCT.Lung,
        display_rgb=rgb,
        short=short,
    )
    return Segment(label, mask)


def phantom(order=(0, 1, 2), signs=(1, 1, 1), degrees=(8, -6, 5)) -> tuple[Volume, Segment]:
    """A box to the left, back and head of the middle of an oblique volume; values are 200 in it, else 50."""
    inside = np.zeros(SHAPE, bool)
    inside[12:17, 20:27, 24:36] = True  # slices rise to the head, rows back, columns left
    array, affine = turned(
        np.where(inside, 200, 50).astype(np.float32), oblique_affine(degrees, SPACING_MM), order, signs
    )
    return Volume(array, affine, coordinate_system="PATIENT"), segment(array == 200)
