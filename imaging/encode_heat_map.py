"""Heat maps over the CT as a series of pictures: where the classifier looked, for eyes alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from imaging.burn_text import Entry, Picture, Words, below, legend, write_words
from imaging.picture_series import PictureSeries, write_pictures
from imaging.provenance import Provenance
from imaging.render_slice import RESEARCH_ONLY, line_height
from imaging.report_nodules import Nodule
from imaging.to_volume import SourceImage
from imaging.window import LUNG_WINDOW, grey_window

OPAQUE = 0.6
"""Share of the colour where the heat is 1; it falls with the heat."""
COOLEST = 0.05
"""Heat below which the CT shows unchanged."""
SERIES_AFTER_SEG = 4
"""Series Number minus that of the segmentation."""
LEGEND = (
    Entry(RESEARCH_ONLY), Entry("Heat map:"), Entry("little", (255, 230, 0)), Entry("much", (255, 0, 0)),
)  # fmt: skip
"""Below each image, the same on all: images of one series have one size."""


def write_heat_map(folder: Path, nodules: Sequence[Nodule], source: SourceImage, provenance: Provenance) -> list[Path]:
    """Write a picture of each plane that shows a nodule with a heat map; return the paths, in slice order.

    The UIDs are fixed by the source, the weights, the nodules and their heat: other marks make another series.
    """
    hot = [nodule for nodule in nodules if nodule.heat is not None]
    planes = [plane for plane in source.planes if shown_on(hot, plane.slice)]
    series = PictureSeries(
        kind="heat map",
        title="Heat map of nodules",
        number=SERIES_AFTER_SEG,
        derivation=f"CT in the lung window, heat of {provenance.algorithm} in yellow to red",
        digest=digest_of(hot),
        body_part="CHEST",  # where nodules of the lung are
    )
    return write_pictures(
        folder, "heat", series, planes, lambda plane: picture(hot, source, plane.slice), source, provenance
    )


def shown_on(nodules: Sequence[Nodule], number: int) -> list[Nodule]:
    """Return the nodules that a slice shows, in the order of their numbers."""
    found = []
    for nodule in sorted(nodules, key=lambda one: one.number):
        at = number - nodule.region.start[0]
        if 0 <= at < nodule.region.mask.shape[0] and nodule.region.mask[at].any():
            found.append(nodule)
    return found


def picture(nodules: Sequence[Nodule], source: SourceImage, number: int) -> Picture:
    """Return a slice in the lung window, (row, column, RGB), the heat of its nodules over it, and a legend below."""
    shown = shown_on(nodules, number)
    heat = heat_on(shown, number, source.volume.shape)
    image = blend(grey_window(source, LUNG_WINDOW).grey(source.volume.array[number]), heat)
    size = line_height(image.shape[:2])
    image = write_words(image, [_number_beside(nodule) for nodule in shown], size)
    return below(image, legend(image.shape[1], LEGEND, size))


def heat_on(nodules: Sequence[Nodule], number: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return the heat of a slice, (row, column) from 0 to 1; where boxes overlap, the higher one."""
    image = np.zeros(shape[1:], np.float32)
    for nodule in nodules:
        heat = nodule.heat
        if heat is None or not heat.box[0].start <= number < heat.box[0].stop:
            continue
        (top, left), values = heat.start[1:], heat.values[number - heat.start[0]]
        inside = values[max(0, -top) : max(0, shape[1] - top), max(0, -left) : max(0, shape[2] - left)]
        rows, columns = max(0, top), max(0, left)
        part = image[rows : rows + inside.shape[0], columns : columns + inside.shape[1]]
        np.maximum(part, np.clip(inside, 0, 1), out=part)
    return image


def blend(grey: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> Picture:
    """Return grey from 0 to 255 as RGB with heat from 0 to 1 over it: yellow where it is low, red where it is high."""
    colour = 255 * np.stack([np.ones_like(heat), 1 - heat, np.zeros_like(heat)], axis=-1)
    share = np.where(heat >= COOLEST, OPAQUE * heat, 0)[..., None]
    return np.asarray(np.rint((1 - share) * grey[..., None] + share * colour), np.uint8)


def digest_of(nodules: Sequence[Nodule]) -> str:
    """Return what tells one set of nodules and heat from another."""
    digest = hashlib.blake2b(digest_size=16)
    for nodule in nodules:
        digest.update(repr((nodule.number, nodule.region.start, nodule.region.mask.shape)).encode())
        digest.update(np.packbits(nodule.region.mask).tobytes())
        if nodule.heat is not None:
            digest.update(repr((nodule.heat.start, nodule.heat.values.shape)).encode())
            digest.update(nodule.heat.values.astype("<f4").tobytes())
    return digest.hexdigest()


def _number_beside(nodule: Nodule) -> Words:
    """Return the number of a nodule, written at the left of the box of its heat."""
    box = nodule.region.box if nodule.heat is None else nodule.heat.box
    return Words(str(nodule.number), ((box[1].start + box[1].stop) / 2, box[2].start - 2), "right")
