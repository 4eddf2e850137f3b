"""What a user may ask of every application of the suite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imaging.app_card import option
from imaging.report_page import PageWish


@dataclass(frozen=True, kw_only=True)
class AppOptions:
    """Pictures, page and library; an application adds its own."""

    overlays: bool = option(True, "write the slices with outlines as a DICOM colour series, for viewers without SEG")
    page: bool = option(True, "write report.html: findings, pictures, series, model and times on one page")
    page_viewer: bool = option(True, "put a viewer with a coarse copy of the images into the page")
    page_dicom: bool = option(False, "also write the page as a DICOM Encapsulated PDF, for the PACS")
    identity: bool = option(False, "say on the page whose images they are: name, patient ID, study date")
    backend: Literal["auto", "torch", "openvino"] = option("auto", "library that runs the networks")

    @property
    def page_wish(self) -> PageWish | None:
        """Which pages are wanted, None when none is."""
        if not (self.page or self.page_dicom):
            return None
        return PageWish(html=self.page, dicom=self.page_dicom, identity=self.identity, viewer=self.page_viewer)
