"""Operator: mask and source image -> skull-stripped MR series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.check_series import check_series
from imaging.provenance import Provenance
from imaging.write_stripped_series import write_stripped_series
from operators.step import Step


class WriteStrippedSeries(Step):
    """The source's pixels inside the mask, as a derived MR series that is read again and compared."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, provenance: Provenance, **kwargs: Any) -> None:
        self.folder = folder
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        self.folder.mkdir(exist_ok=True)
        mask, source = op_input.receive("mask").array, op_input.receive("source")
        paths = write_stripped_series(self.folder, mask, source, self.provenance)
        check_series(paths, mask, source)
