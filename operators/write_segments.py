"""Operator: segments and source image -> DICOM SEG file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.check_seg import check_seg
from imaging.encode_seg import encode_seg
from imaging.mask_frames import viewer_notes
from imaging.provenance import Provenance
from imaging.publish import staged
from imaging.write_common import save_dicom
from operators.step import Step


class WriteSegments(Step):
    """A BINARY segmentation of any number of segments, read again and compared before it is passed on.

    Without segments nothing is written, and None is passed on.
    """

    def __init__(
        self, fragment: Any, *args: Any, folder: Path, title: str, provenance: Provenance, **kwargs: Any
    ) -> None:
        self.path = staged(folder, "seg.dcm")
        self.title = title
        self.provenance = provenance
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("segments")
        spec.input("source")
        spec.output("seg")

    def step(self, op_input: Any, op_output: Any) -> None:
        segments, source = op_input.receive("segments"), op_input.receive("source")
        if not segments:
            op_output.emit(None, "seg")
            return
        seg = encode_seg(segments, source, self.provenance, self.title)
        save_dicom(seg, self.path)
        check_seg(self.path, [segment.mask for segment in segments], source)
        self.record.notes += viewer_notes(seg.Rows, seg.Columns, seg.NumberOfFrames)
        op_output.emit(seg, "seg")
