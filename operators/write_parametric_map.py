"""Operator: report on nodules and source image -> DICOM Parametric Map of where the classifier looked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.encode_parametric_map import encode_parametric_map
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.write_common import save_dicom
from operators.step import Step


class WriteParametricMap(Step):
    """One object with a frame for each slice that shows a nodule; none when there is none."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, provenance: Provenance, **kwargs: Any) -> None:
        self.path = staged(folder, "heat.dcm")
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("report")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        report, source = op_input.receive("report"), op_input.receive("source")
        made = encode_parametric_map(report.nodules, source, self.provenance)
        if made is not None:
            save_dicom(made, self.path)
