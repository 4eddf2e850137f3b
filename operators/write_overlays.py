"""Operator: report and source image -> pictures of the slices with outlines, for viewers without SEG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.encode_overlays import overlay_of, write_overlays
from imaging.provenance import Provenance
from imaging.window import GreyWindow
from operators.step import Step


class WriteOverlays(Step):
    """A colour series that is read again and compared; where nothing was found, one picture that says so.

    body_part  that is shown, for a source that names none
    window     grey window of the pictures; that of the series, or of the image, when None
    """

    def __init__(
        self,
        fragment: Any,
        *args: Any,
        folder: Path,
        title: str,
        body_part: str,
        provenance: Provenance,
        window: GreyWindow | None = None,
        **kwargs: Any,
    ) -> None:
        self.folder = folder
        self.title = title
        self.body_part = body_part
        self.provenance = provenance
        self.window = window
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("report")
        spec.input("source")

    def step(self, op_input: Any, op_output: Any) -> None:
        report, source = op_input.receive("report"), op_input.receive("source")
        self.folder.mkdir(exist_ok=True)
        overlay = overlay_of(report, source, self.title, self.body_part, self.window)
        write_overlays(self.folder, overlay, source, self.provenance)
