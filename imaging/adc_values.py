"""The values of an ADC map in one unit, whatever its maker counts in.

Real World Value Mapping and Rescale Type state the unit. Where they do not, the values tell: tissue has 1000 to 2000
in 1e-6 mm2/s, water at body temperature 3000, and the units that are in use lie a factor of 1000 apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from highdicom import Volume
from pydicom.dataset import Dataset

from imaging.diffusion import AdcUnit, adc_unit
from imaging.outcome import Reason, RefusedError
from imaging.read_values import items, number
from imaging.to_volume import SourceImage

UM2_PER_S = 1e-6
"""mm2/s that 1 um2/s is: the unit of every ADC here."""
UNITS_MM2_PER_S = (1e-6, 1e-3, 1.0)
TISSUE_UM2_PER_S = (300.0, 4000.0)
"""Where the median over the middle of an image lies: between fat, which hardly diffuses, and a full bladder."""
STATED_MARGIN = 10.0
"""A stated unit is believed of medians so many times lower or higher; a wrong one is off by 1000."""
MIDDLE = 0.5
"""Part of rows and columns around the centre: there is tissue, not air."""
MIN_VOXELS = 50
SCALE_DIGITS = 6


@dataclass(frozen=True)
class AdcValues:
    """An ADC map in known units, and how they came to be known."""

    volume: Volume  # float32, 1e-6 mm2/s, on the grid of the source
    facts: dict[str, Any]  # for the record
    flags: tuple[str, ...] = ()


def adc_values(source: SourceImage) -> AdcValues:
    """Return an ADC map in 1e-6 mm2/s.

    A stated unit counts unless the values are off by a power of ten; the habit of a maker counts where the values
    confirm it; else the values decide. Raises RefusedError when they fit no unit.
    """
    stated = adc_unit(source.stack.header)
    slope, intercept = _real_world(source, stated)
    array = source.volume.array * np.float32(slope) + np.float32(intercept)
    median = _tissue_median(source, array)
    unit, flags = _unit(source, stated, median)
    factor = unit.mm2_per_s / UM2_PER_S
    facts: dict[str, Any] = {
        "unit": "1e-6 mm2/s",
        "source_unit_mm2_per_s": unit.mm2_per_s,
        "scale_of_rescaled_values": slope * factor,
        "offset_of_rescaled_values": intercept * factor,
        "stated": unit.stated,
        "evidence": unit.evidence,
        "median_of_the_middle": round(median * factor, 1),
    }
    return AdcValues(source.volume.with_array(array * np.float32(factor)), facts, flags)


def _unit(source: SourceImage, said: AdcUnit | None, median: float) -> tuple[AdcUnit, tuple[str, ...]]:
    if said and said.stated:
        if not _plausible(median * said.mm2_per_s, STATED_MARGIN):
            raise _refusal(source, median, f"its header states {said.mm2_per_s:g} mm2/s")
        return said, ()
    if said and _plausible(median * said.mm2_per_s):
        return said, ()
    fitting = [unit for unit in UNITS_MM2_PER_S if _plausible(median * unit)]
    if len(fitting) != 1:
        raise _refusal(source, median, "its header states no unit")
    found = AdcUnit(fitting[0], False, "the values are those of tissue in this unit alone")
    flag = f"the unit of the ADC map is not stated; its values make it {found.mm2_per_s:g} mm2/s"
    return found, (flag,)


def _plausible(median_mm2_per_s: float, margin: float = 1.0) -> bool:
    low, high = TISSUE_UM2_PER_S
    return low / margin <= median_mm2_per_s / UM2_PER_S <= high * margin


def _tissue_median(source: SourceImage, array: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Return the median of what is above 0 in the middle of all slices; outside the body makers write 0."""
    rows, columns = (_middle(size) for size in array.shape[1:])
    values = array[:, rows, columns]
    values = values[values > 0]
    if values.size < MIN_VOXELS:
        raise RefusedError(
            f"An ADC map has values above 0 where there is tissue; {source.stack} has {values.size} in its middle. "
            "Send the map again, or leave it out: it can be fitted to two b-values.",
            Reason.NO_CONTRAST,
        )
    return float(np.median(values))


def _middle(size: int) -> slice:
    aside = int(size * (1 - MIDDLE) / 2)
    return slice(aside, size - aside)


def _real_world(source: SourceImage, stated: AdcUnit | None) -> tuple[float, float]:
    """Return slope and intercept that turn rescaled values into real-world values: 1 and 0 unless a mapping differs.

    A mapping (PS3.3 C.7.6.16.2.11) applies to stored values, not to rescaled ones.
    """
    if stated is None or not stated.stated:
        return 1.0, 0.0
    found = {_mapping(header) for header in source.stack.headers}
    if len(found) > 1:
        raise RefusedError(
            f"One scale holds for an ADC map; {source.stack} has {len(found)} Real World Value Mappings that do not "
            "follow its rescale attributes. Send the map as its scanner made it.",
            Reason.BAD_RESCALE,
        )
    return found.pop()


def _mapping(header: Dataset) -> tuple[float, float]:
    for mapping in _diffusion_mappings(header):
        slope, intercept = number(mapping, "RealWorldValueSlope"), number(mapping, "RealWorldValueIntercept")
        if slope:
            scale = slope / (number(header, "RescaleSlope") or 1.0)
            offset = (intercept or 0.0) - (number(header, "RescaleIntercept") or 0.0) * scale
            return float(f"{scale:.{SCALE_DIGITS}g}"), round(offset, SCALE_DIGITS)
    return 1.0, 0.0


def _diffusion_mappings(header: Dataset) -> Iterable[Dataset]:
    """Yield the mappings whose unit is one of diffusion."""
    for mapping in items(header, "RealWorldValueMappingSequence"):
        alone = Dataset()
        alone.RealWorldValueMappingSequence = [mapping]
        if adc_unit(alone):
            yield mapping


def _refusal(source: SourceImage, median: float, stated: str) -> RefusedError:
    return RefusedError(
        f"An ADC map needs a known unit; in {source.stack} {stated}, and the middle of the images has a median of "
        f"{median:g}, which is that of tissue in none of {', '.join(f'{unit:g}' for unit in UNITS_MM2_PER_S)} mm2/s. "
        "Send the map as its scanner made it, or leave it out: it can be fitted to two b-values.",
        Reason.BAD_RESCALE,
    )
