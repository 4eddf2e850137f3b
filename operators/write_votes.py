"""Operator: probability and source image -> DICOM SEG file of probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.check_fractional_seg import check_fractional_seg
from imaging.encode_fractional_seg import Votes, encode_fractional_seg
from imaging.encode_seg import SegmentLabel
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.write_common import save_dicom
from operators.step import Step


class WriteVotes(Step):
    """A FRACTIONAL segmentation of the mean probability of a model's members, read again and compared."""

    def __init__(
        self,
        fragment: Any,
        *args: Any,
        folder: Path,
        title: str,
        label: SegmentLabel,
        provenance: Provenance,
        **kwargs: Any,
    ) -> None:
        self.path = staged(folder, "votes.dcm")
        self.title = title
        self.label = label
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("probability")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        votes = [Votes(self.label, op_input.receive("probability").array)]
        source = op_input.receive("source")
        save_dicom(encode_fractional_seg(votes, source, self.provenance, self.title), self.path)
        check_fractional_seg(self.path, votes, source)
