"""Folders of runs as the suite leaves them, with invented numbers: brains, spines, nodules, and runs that failed."""

import json
from pathlib import Path

import numpy as np

from imaging.suite import RESEARCH_USE, SUITE

OUTLIER, FLAGGED = "case 007", "case 011"
VOLUME_ML, SPREAD_ML = 1400.0, 60.0
LOST_ML = 420.0
"""Volume of the one brain that does not belong."""


def record(app="skull_strip", **more):
    """A metadata.json of a run that succeeded, in short."""
    return {
        "made_by": SUITE, "app": app, "app_version": "0.1.0", "model": {"name": app, "version": "0.1.0"},
        "research_use": RESEARCH_USE, "outcome": "success", "exit_code": 0, "finding": "", "flags": [], "series": [],
        "measurements": {}, "seconds": {"total": 3.5}, "files": [], **more,
    }  # fmt: skip


def failure(reason="tilt", outcome="refused", message="The stack leans.", **more):
    """A metadata.json of a run without results."""
    return record(outcome=outcome, reason=reason, exception="RefusedError", exception_message=message, **more)


def put(folder: Path, name: str, facts, page=True) -> None:
    """Write a run into a folder of its own."""
    (folder / name).mkdir(parents=True)
    (folder / name / "metadata.json").write_text(json.dumps(facts))
    if page:
        (folder / name / "report.html").write_text("<!DOCTYPE html><title>page</title>")


def brains(count: int):
    """Records of brains, normally distributed but for one that is much too small."""
    random = np.random.default_rng(3)
    for number, volume in enumerate(random.normal(VOLUME_ML, SPREAD_ML, count)):
        name = f"case {number:03d}"
        volume_ml = round(LOST_ML if name == OUTLIER else float(volume), 2)
        flags = ["The mask reaches the border of the image"] if name == FLAGGED else []
        finding = f"Brain volume {volume_ml} mL"
        yield name, record(finding=finding, flags=flags, measurements={"brain_volume_ml": volume_ml})


def spine(random):
    """A record of three vertebral bodies."""
    bodies = [
        {
            "segment": number, "level": level, "volume_ml": round(float(random.normal(25, 3)), 2),
            "height": {"anterior_mm": round(float(random.normal(26, 2)), 2)}, "centre_lps_mm": [0, 0, 0], "flags": [],
        }
        for number, level in enumerate(("L5", "L4", "L3"), start=1)
    ]  # fmt: skip
    return record("spine", finding="3 vertebral bodies, L5 to L3", measurements={"bodies": bodies})


def write_cohort(folder: Path, count: int) -> Path:
    """Write a mixed cohort: so many brains, a third as many spines, one run in ten that failed."""
    random = np.random.default_rng(5)
    for name, facts in brains(count):
        put(folder, f"brain/{name}", facts)
    for number in range(count // 3):
        put(folder, f"spine/{number}", spine(random))
    for number in range(max(1, count // 10)):
        put(folder, f"failed/{number}", failure(), page=False)
    put(folder, "failed/empty", failure("no_dicom", "nothing_eligible", "No DICOM file was found."), page=False)
    return folder
