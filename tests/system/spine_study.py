"""Lumbar studies with known bodies, and a stand-in for the network that finds what is bright."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from pydicom import dcmread

from imaging.write_lumbar_sample import T2_TSE
from imaging.write_mr_series import MrSeries, write_mr_series
from tests.lumbar_bodies import LUMBAR, grid_around, labels_of

FACTS = {
    "study": "bodies", "patient": "Spine", "number": 3, "description": "t2 tse sag", "body_part": "LSPINE",
    "thickness_mm": 4.0, "sequence": T2_TSE,
}  # fmt: skip
OBLIQUE_DEG = (1.0, 2.0, -3.0)


class Brightest(torch.nn.Module):
    """No network: it calls the brighter half of the grey scale body, and marks no cores."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        low, high = image.amin(), image.amax()
        body = (image - (low + high) / 2) / (high - low) * 40
        return torch.cat([body, body * 0 - 20], 1)


class Nothing(torch.nn.Module):
    """No network: it finds nothing."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([image * 0 - 20, image * 0 - 20], 1)


def stand_in(folder: Path, network: torch.nn.Module) -> Path:
    """Write a stand-in where the application expects its model, and return the folder of models."""
    model = folder / "spine"
    model.mkdir(parents=True)
    torch.jit.script(network).save(str(model / "fold0.ts"))
    digest = hashlib.sha256((model / "fold0.ts").read_bytes()).hexdigest()
    record = {
        "name": "stand-in", "version": "0", "members": [{"weights": {"file": "fold0.ts", "sha256": digest}}],
        "input": {
            "spacing_mm": [4.4, 0.78, 0.78], "orientation": "LFP", "multiple": [1, 1, 1], "maximum": [40, 480, 400],
            "intensity": "z_score",
        },
        "channels": ["body", "core"], "threshold": 0.5,
    }  # fmt: skip
    (model / "metadata.json").write_text(json.dumps(record))
    return folder


def with_metal(bodies, rim: int):
    """A change of pixels: a signal void over bodies, with a rim that is bright, or as dark as what is around it.

    rim  what is added to the signal there
    """

    def change(pixels, affine):
        index = np.stack(np.meshgrid(*map(np.arange, pixels.shape), indexing="ij"), axis=-1)
        places = index @ affine[:3, :3].T + affine[:3, 3]
        middle = np.mean([body.centre_mm for body in bodies], axis=0)
        radius = np.linalg.norm((places - middle) / (34.0, 30.0, 38.0), axis=-1)
        pixels = np.where((radius >= 1) & (radius < 1.15), np.minimum(pixels + rim, 1000), pixels)
        return np.where(radius < 1, 4, pixels).astype(np.uint16), affine

    return change


def join_series(*folders: Path) -> None:
    """Give all images of some folders the series of the first, and numbers of their own."""
    paths = [path for folder in folders for path in sorted(folder.iterdir())]
    first = dcmread(paths[0])
    for number, path in enumerate(paths, start=1):
        image = dcmread(path)
        image.SeriesInstanceUID, image.SeriesNumber = first.SeriesInstanceUID, first.SeriesNumber
        image.InstanceNumber = number
        image.save_as(path)


def write_bodies(folder: Path, bodies=LUMBAR, *, spacing_mm=(4.4, 1.0, 1.0), change=None, grid=None, **facts) -> Path:
    """Write a series in which bodies are bright, and return its folder.

    change  of the pixels and the affine, before they are written
    grid    further arguments of grid_around
    facts   of MrSeries
    """
    labels = labels_of(bodies, *grid_around(bodies, **{"degrees": OBLIQUE_DEG, **(grid or {})}, spacing_mm=spacing_mm))
    pixels, affine = (100 + 900 * (labels.array > 0)).astype(np.uint16), labels.affine
    if change:
        pixels, affine = change(pixels, affine)
    return write_mr_series(folder, np.ascontiguousarray(pixels), affine, MrSeries(**{**FACTS, **facts}))
