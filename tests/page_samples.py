"""A page with three nodules of known place and size, and the facts of its run."""

from pathlib import Path

from imaging.encode_heat_map import LUNG_WINDOW
from imaging.mark import Origin
from imaging.page_content import page_content
from imaging.report_nodules import NoduleReport, report_nodules
from imaging.report_page import PageContent, PageWish
from tests.nodule_samples import nodule, write_ct
from tests.series_samples import PROVENANCE, source_of

WISH = PageWish(html=True, dicom=False, identity=False)


def ct_source(folder: Path, edit=None):
    """The balls as a CT series as the applications read it."""
    return source_of(write_ct(folder, edit=edit))


def nodules(source, numbers=(1, 2, 3)) -> NoduleReport:
    """A report on balls, the second the most suspicious."""
    likely = {1: 0.25, 2: 0.875, 3: 0.125}
    found = [nodule(source, number, malignancy=likely[number]) for number in numbers]
    return report_nodules(found, [Origin.COMPUTER], calibration="Calibrated by hand.")


def content_of(source, report, wish=WISH, **more) -> PageContent:
    """What the page shows of a report."""
    return page_content(
        report,
        source,
        window=LUNG_WINDOW,
        title="Lung nodules",
        wish=wish,
        provenance=PROVENANCE,
        **more,
    )


def series(number: int | None, *, eligible=False, reasons=("too thick",), **more):
    """A verdict as the record of a run has it."""
    return {
        "series_number": number, "modality": "CT", "instances": 12, "slices": 12, "traits": [], "eligible": eligible,
        "score": 1.0, "reasons": list(reasons), **more,
    }  # fmt: skip


def facts(**more):
    """What metadata.json says of a run that succeeded."""
    return {
        "made_by": "map-suite",
        "app": "lung_nodule",
        "app_version": "0.1.0",
        "model": {"name": "lung_nodule", "version": "0.2.0", "sha256": "0123456789abcdef" * 4},
        "research_use": "Research use only. Not a medical device: do not use for diagnosis or treatment.",
        "finding": "3 nodules (computer-found, needs review), the largest 13.0 mm",
        "plausibility": [],
        "flags": ["Nodules: computer-found, needs review"],
        "series": [series(4, eligible=True, reasons=("thin",)), series(3, eligible=True), series(None)],
        "source_shape": [12, 40, 48],
        "source_spacing_mm": [2.5, 0.7, 0.9],
        "device": "cpu (OpenVINO)",
        "versions": {"python": "3.11.7", "pydicom": "3.0.2"},
        "seconds": {"load": 0.5, "find": 2.25, "total": 3.0},
        "cpu_seconds": {"load": 0.25, "find": 4.5, "total": 5.0},
        "peak_memory_mib": 420.5,
        **more,
    }
