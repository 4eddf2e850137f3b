"""Operator: mask and source image -> DICOM SEG file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.check_seg import check_seg
from imaging.encode_seg import Segment, SegmentLabel, encode_seg
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.write_common import save_dicom
from operators.step import Step


class WriteSeg(Step):
    """A BINARY segmentation, read again and compared before it is passed on."""

    def __init__(
        self, fragment: Any, *args: Any, folder: Path, label: SegmentLabel, provenance: Provenance, **kwargs: Any
    ) -> None:
        self.path = staged(folder, "seg.dcm")
        self.label = label
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("mask")
        spec.input("source")
        spec.output("seg")

    def step(self, op_input: Any, op_output: Any) -> None:
        mask = op_input.receive("mask").array
        source = op_input.receive("source")
        seg = encode_seg([Segment(self.label, mask)], source, self.provenance, f"{self.label.label} mask")
        save_dicom(seg, self.path)
        check_seg(self.path, [mask], source)
        op_output.emit(seg, "seg")
