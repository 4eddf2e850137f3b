"""Operator: study and source image -> what the user, or a reader before, marked in it, and what cannot be used."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.found_marks import FoundMarks
from imaging.read_marks import find_marks
from imaging.seed_marks import Point, seed_marks
from operators.step import Step


class ReadMarks(Step):
    """The user's points; without any, the marks of the study's own SEG, RTSTRUCT and SR; often none at all.

    points  LPS mm
    """

    def __init__(self, fragment: Any, *args: Any, points: tuple[Point, ...] = (), **kwargs: Any) -> None:
        self.points = points
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("study")
        spec.input("source")
        spec.output("marks")
        spec.output("flags")

    def step(self, op_input: Any, op_output: Any) -> None:
        study, source = op_input.receive("study"), op_input.receive("source")
        found = FoundMarks(seed_marks(self.points, source.volume)) if self.points else find_marks(study, source)
        op_output.emit(found.marks, "marks")
        op_output.emit(found.flags, "flags")
