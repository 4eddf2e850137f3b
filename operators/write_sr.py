"""Operator: measurement, segmentation and source image -> DICOM SR file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.encode_sr import encode_sr
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.write_common import save_dicom
from operators.step import Step


class WriteSr(Step):
    """A TID 1500 measurement report that references the segment and the source series."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, provenance: Provenance, **kwargs: Any) -> None:
        self.path = staged(folder, "sr.dcm")
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("measurement")
        spec.input("seg")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        measurement = op_input.receive("measurement")
        source = op_input.receive("source")
        notes = (*source.flags, *measurement.flags)
        report = encode_sr(measurement, op_input.receive("seg"), source, self.provenance, notes)
        save_dicom(report, self.path)
