"""Pelvic studies with a known tumour on three oblique grids, and stand-ins for the network."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch

from imaging.write_lumbar_sample import SE_2D, T2_TSE
from imaging.write_mr_series import MrSeries, write_mr_series
from tests.phantoms import oblique_affine, voxel_centres_mm

TUMOUR_MM = ((4.0, -6.0, 3.0), (17.0, 13.0, 11.0))  # centre and semi-axes
DECOY_MM = ((-24.0, 14.0, -8.0), (13.0, 14.0, 14.0))  # larger, and less restricted
BLADDER_MM = ((2.0, -34.0, 12.0), (22.0, 15.0, 14.0))
TISSUE = {"t2w": 300, "dwi": 100, "adc": 1400, "b0": 420}
SIGNALS = {  # b0 is such that the ADC of TISSUE and these follows from it and dwi at b = 800
    "tumour": (TUMOUR_MM, {"t2w": 620, "dwi": 900, "adc": 700, "b0": 1575}),
    "decoy": (DECOY_MM, {"t2w": 500, "dwi": 640, "adc": 1000, "b0": 1424}),
    "bladder": (BLADDER_MM, {"t2w": 1500, "dwi": 60, "adc": 2800, "b0": 564}),
}
T2W_SHAPE, T2W_MM = (24, 120, 132), (3.0, 1.0, 0.9)
DWI_SHAPE, DWI_MM = (18, 60, 64), (4.2, 2.4, 2.2)
EPI = {
    **SE_2D, "ScanningSequence": "EP", "SequenceVariant": "SK", "RepetitionTime": "4500", "EchoTime": "70",
    "EchoTrainLength": "60", "FlipAngle": "90", "SequenceName": "*ep_b800t",
    "ImageType": ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"],
}  # fmt: skip
ADC_MAP = {**EPI, "ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"], "SequenceName": "*ep_b0_800"}
TRUST = "These weights are a formula that tests use."


def centred(degrees, spacing_mm, shape, centre_mm=(0.0, 0.0, 0.0)) -> np.ndarray:
    """Affine of a grid whose middle lies at a place."""
    affine = oblique_affine(degrees, spacing_mm, (0.0, 0.0, 0.0))
    affine[:3, 3] = np.array(centre_mm) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return affine


T2W_AFFINE = centred((9, -4, 6), T2W_MM, T2W_SHAPE, (1.0, -8.0, 2.0))
DWI_AFFINE = centred((-3, 5, 1), DWI_MM, DWI_SHAPE, (-2.0, -5.0, 0.0))


def ellipsoid(place_mm, shape, affine) -> np.ndarray:
    """Mask of an ellipsoid."""
    centre_mm, semi_axes_mm = place_mm
    return (((voxel_centres_mm(shape, affine) - centre_mm) / semi_axes_mm) ** 2).sum(-1) <= 1


def expected_tumour() -> np.ndarray:
    """Mask of the tumour on the T2w grid."""
    return ellipsoid(TUMOUR_MM, T2W_SHAPE, T2W_AFFINE)


def paint(kind, shape, affine, *, without=(), fine=2) -> np.ndarray:
    """Signal of one kind, each voxel the mean over some places in it, with a little noise."""
    total = np.zeros(shape)
    steps = [(np.arange(fine) + 0.5) / fine - 0.5] * 3
    for offset in np.stack(np.meshgrid(*steps, indexing="ij"), -1).reshape(-1, 3):
        moved = affine.copy()
        moved[:3, 3] += affine[:3, :3] @ offset
        signal = np.full(shape, float(TISSUE[kind]))
        for name, (place_mm, values) in SIGNALS.items():
            if name not in without:
                signal[ellipsoid(place_mm, shape, moved)] = values[kind]
        total += signal / fine**3
    noise = np.random.default_rng(len(kind) + shape[0]).normal(0, 4, shape)
    return np.clip(np.rint(total + noise), 1, 4095).astype(np.uint16)


def write_study(folder: Path, *, series=("t2w", "dwi", "adc"), without=()) -> Path:
    """Write a study and return its folder.

    series   of "t2w", "dwi" (b = 800), "adc", "b0" (with "dwi" in one series)
    without  objects that are left out: "tumour", "decoy", "bladder"
    """
    for kind in series:
        shape, affine = (T2W_SHAPE, T2W_AFFINE) if kind == "t2w" else (DWI_SHAPE, DWI_AFFINE)
        write_mr_series(folder / kind, paint(kind, shape, affine, without=without), affine, facts_of(kind))
    return folder


def facts_of(kind) -> MrSeries:
    """What the headers of a series say."""
    number, name, sequence = {
        "t2w": (3, "t2 tse tra", T2_TSE),
        "dwi": (5, "ep2d diff", {**EPI, "DiffusionBValue": 800.0}),
        "b0": (5, "ep2d diff", {**EPI, "DiffusionBValue": 0.0, "SequenceName": "*ep_b0"}),
        "adc": (6, "ep2d diff ADC", ADC_MAP),
    }[kind]
    return MrSeries(
        study="pelvis", series=(str(number),), patient="Pelvis", number=number, description=f"{name} (phantom)",
        body_part="PELVIS", thickness_mm=3.0 if kind == "t2w" else 4.2, sequence=sequence,
        before=DWI_SHAPE[0] if kind == "b0" else 0,
    )  # fmt: skip


class Restricted(torch.nn.Module):
    """No network: tumour is where diffusion is bright and the ADC dark; without diffusion, where T2w is bright."""

    def __init__(self, limit: float = 2.5) -> None:
        super().__init__()
        self.limit = limit  # deviations from the mean

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        t2w, dwi, adc = image[:, 0:1], image[:, 1:2], image[:, 2:3]
        if bool(dwi.abs().max() == 0):
            return (t2w - 2) * 6
        return (torch.minimum(dwi, -2 * adc) - self.limit) * 6


class Nothing(torch.nn.Module):
    """No network: it finds nothing."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image[:, 0:1] * 0 - 20


def stand_in(folder: Path, network: torch.nn.Module, *, may_be_absent=("DWI", "ADC")) -> Path:
    """Write a stand-in where the application expects its model, and return the folder of models."""
    model = folder / "cervical_tumor"
    model.mkdir(parents=True)
    torch.jit.script(network).save(str(model / "model.ts"))
    digest = hashlib.sha256((model / "model.ts").read_bytes()).hexdigest()
    record = {
        "name": "stand-in", "version": "0", "weights": {"file": "model.ts", "sha256": digest},
        "input": {
            "spacing_mm": 0.7, "multiple": 16, "maximum": [144, 304, 304], "intensity": "z_score",
            "sequences": ["T2w", "DWI", "ADC"], "may_be_absent": list(may_be_absent),
        },
        "channels": ["tumour"], "threshold": 0.5, "calibration": TRUST,
    }  # fmt: skip
    (model / "metadata.json").write_text(json.dumps(record))
    return folder
