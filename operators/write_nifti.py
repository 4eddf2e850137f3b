"""Operator: mask and source image -> NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from monai.deploy.core import OperatorSpec

from imaging.write_nifti import write_nifti
from operators.step import Step


class WriteNifti(Step):
    """Mask and skull-stripped image as NIfTI, at the millimetres of the source."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, **kwargs: Any) -> None:
        self.folder = folder
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        mask = op_input.receive("mask")
        volume = op_input.receive("source").volume
        write_nifti(mask, self.folder / "mask.nii.gz")
        write_nifti(volume.with_array(np.where(mask.array, volume.array, np.float32(0))), self.folder / "brain.nii.gz")
