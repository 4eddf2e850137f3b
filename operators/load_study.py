"""Operator: folder -> study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.load_study import load_study
from operators.step import Step


class LoadStudy(Step):
    """DICOM series of a folder, headers only."""

    def __init__(self, fragment: Any, *args: Any, folder: Path, **kwargs: Any) -> None:
        self.folder = folder
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.output("study")

    def step(self, op_input: Any, op_output: Any) -> None:
        study = load_study(self.folder)
        if study.unreadable:
            self.record.notes.append(f"{study.unreadable} damaged DICOM files in the input were passed over")
        op_output.emit(study, "study")
