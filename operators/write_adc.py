"""Operator: aligned sequences -> the fitted ADC map as a derived MR series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.provenance import Provenance
from imaging.write_adc_series import check_adc_series, write_adc_series
from operators.step import Step


class WriteAdc(Step):
    """The map on the grid of the images it was fitted to; nothing where the study has a map of its own."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, provenance: Provenance, **kwargs: Any) -> None:
        self.folder = folder / "adc"
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("aligned")

    def step(self, op_input: Any, op_output: Any) -> None:
        fitted = op_input.receive("aligned").fitted_adc
        if fitted is None:
            self.record.notes.append("no ADC map was written: none was fitted")
            return
        self.folder.mkdir(exist_ok=True)
        check_adc_series(write_adc_series(self.folder, fitted, self.provenance), fitted)
