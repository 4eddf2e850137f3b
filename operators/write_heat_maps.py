"""Operator: report on nodules and source image -> colour images of where the classifier looked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.encode_heat_map import write_heat_map
from imaging.provenance import Provenance
from operators.step import Step


class WriteHeatMaps(Step):
    """One image for each slice that shows a nodule; none when there is none."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, provenance: Provenance, **kwargs: Any) -> None:
        self.folder = folder
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("report")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        report, source = op_input.receive("report"), op_input.receive("source")
        if not report.nodules:
            return
        self.folder.mkdir(exist_ok=True)
        write_heat_map(self.folder, report.nodules, source, self.provenance)
