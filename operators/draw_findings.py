"""Operator: report and source image -> what the page of the run shows of them."""

from __future__ import annotations

from typing import Any

from monai.deploy.core import OperatorSpec

from imaging.page_content import page_content
from imaging.provenance import Provenance
from imaging.report_page import PageWish
from imaging.window import GreyWindow, grey_window
from operators.step import Step


class DrawFindings(Step):
    """Numbers and key slices of each finding; the page is written when the run has ended and its facts are known.

    companions  aligned sequences come, too: findings are shown on each of them
    """

    def __init__(
        self,
        fragment: Any,
        *args: Any,
        title: str,
        wish: PageWish,
        provenance: Provenance,
        window: GreyWindow | None = None,
        hide_beyond_mm: float | None = None,
        companions: bool = False,
        **kwargs: Any,
    ) -> None:
        self.title = title
        self.wish = wish
        self.provenance = provenance
        self.window = window
        self.hide_beyond_mm = hide_beyond_mm
        self.companions = companions
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        spec.input("report")
        spec.input("source")
        if self.companions:
            spec.input("aligned")

    def step(self, op_input: Any, op_output: Any) -> None:
        source = op_input.receive("source")
        self.record.page = page_content(
            op_input.receive("report"),
            source,
            window=grey_window(source, self.window),
            title=self.title,
            wish=self.wish,
            provenance=self.provenance,
            hide_beyond_mm=self.hide_beyond_mm,
            companions=op_input.receive("aligned").companions if self.companions else None,
        )
