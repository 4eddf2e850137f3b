"""Operator: study -> the sequences of a pelvic study that go together."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.pelvic_sequences import PelvicRules, judge_pelvis, pair_pelvis, verdict_rows
from operators.step import Step


class SelectSequences(Step):
    """T2w, diffusion and ADC, with the verdict on every other series.

    allow_missing  whether the T2w series is taken without diffusion or ADC
    other_frame    whether they may lie in another frame of reference, as they will be registered
    """

    def __init__(
        self,
        fragment: Any,
        *args: Any,
        rules: PelvicRules,
        allow_missing: bool = False,
        other_frame: bool = False,
        **kwargs: Any,
    ) -> None:
        self.rules = rules
        self.allow_missing = allow_missing
        self.other_frame = other_frame
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("study")
        spec.output("sequences")

    def step(self, op_input: Any, op_output: Any) -> None:
        study = op_input.receive("study")
        if study.patients > 1:
            self.record.notes.append(f"The input holds images of {study.patients} patients; those of one were taken")
        verdicts = judge_pelvis(study, self.rules)
        self.record.series = verdict_rows(verdicts, None)
        found = pair_pelvis(verdicts, allow_missing=self.allow_missing, other_frame=self.other_frame)
        self.record.series = verdict_rows(verdicts, found)
        op_output.emit(found, "sequences")
