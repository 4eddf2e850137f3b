"""Operator: ordered bodies -> NIfTI label map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.write_nifti import write_nifti
from operators.step import Step


class WriteLabels(Step):
    """Each body under its number, at the millimetres of the source."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, **kwargs: Any) -> None:
        self.folder = folder
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("bodies")

    def step(self, op_input: Any, op_output: Any) -> None:
        write_nifti(op_input.receive("bodies").labels, self.folder / "bodies.nii.gz")
