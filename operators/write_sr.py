"""Operator: findings, segmentation and source image -> DICOM SR file."""

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
    """A TID 1500 measurement report that references the segments and the source series."""

    def __init__(
        self, fragment: Any, *args: Any, folder: Path, title: str, provenance: Provenance, **kwargs: Any
    ) -> None:
        self.path = staged(folder, "sr.dcm")
        self.title = title
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("report")
        spec.input("seg")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        report, source = op_input.receive("report"), op_input.receive("source")
        seg = op_input.receive("seg")
        notes = (*source.flags, *report.flags)
        document = encode_sr(report.findings, seg, source, self.provenance, title=self.title, notes=notes)
        save_dicom(document, self.path)
