"""Operator: mask and aligned sequences -> NIfTI files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.write_nifti import write_nifti
from operators.step import Step


class WriteSequences(Step):
    """The mask, and each sequence as it was aligned, on the grid of the T2w series."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, **kwargs: Any) -> None:
        self.folder = folder
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        spec.input("aligned")

    def step(self, op_input: Any, op_output: Any) -> None:
        aligned = op_input.receive("aligned")
        images = {"t2w": aligned.source.volume, "dwi": aligned.dwi, "adc": aligned.adc}
        for name, volume in {"tumour": op_input.receive("mask"), **images}.items():
            if volume is not None:
                write_nifti(volume, self.folder / f"{name}.nii.gz")
