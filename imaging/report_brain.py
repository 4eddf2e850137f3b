"""The result of skull stripping in words and as typed facts."""

from __future__ import annotations

from typing import Any

from imaging.measure_brain import BrainMeasurement
from imaging.select_series import Selection
from imaging.to_volume import SourceImage


def brain_results(selection: Selection, source: SourceImage, measurement: BrainMeasurement) -> dict[str, Any]:
    """Return what metadata.json says of a run; numbers carry their unit in their name."""
    return {
        "tie": selection.tie,
        "source_shape": list(source.volume.shape),
        "source_spacing_mm": [round(float(size), 6) for size in source.volume.spacing],
        "measurements": {"brain_volume_ml": round(measurement.volume_ml, 2)},
    }


def brain_headline(selection: Selection, measurement: BrainMeasurement) -> str:
    """Return what was taken, and the finding."""
    return f"Took {selection.summary()}. {brain_finding(measurement)}"


def brain_finding(measurement: BrainMeasurement) -> str:
    """Return the finding in one sentence."""
    return f"Brain volume {measurement.volume_ml:.1f} mL"
