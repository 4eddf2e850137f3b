"""Vertebral bodies as segments, as coded findings, in words and as typed facts."""

from __future__ import annotations

import colorsys
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from highdicom import Volume
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from imaging.check_bodies import check_bodies, has_gap_above, remarks_on
from imaging.encode_seg import Segment, SegmentLabel
from imaging.finding import MILLILITRE, MILLIMETRE, Finding, Quantity, Site
from imaging.label_levels import LEVELS, Levels, label_levels
from imaging.measure_bodies import BodyMeasurement
from imaging.order_bodies import OrderedBodies
from imaging.outcome import Reason, RefusedError
from imaging.plausibility import Flag
from imaging.select_series import Selection
from imaging.to_volume import SourceImage

PARTS = {"anterior_mm": codes.SCT.Anterior, "middle_mm": codes.SCT.Central, "posterior_mm": codes.SCT.Posterior}
"""Where a height is measured: the anatomic modifier (PS3.16 CID 2) of its finding site."""
DISC = Code("360499006", "SCT", "Intervertebral disc")
BODIES_LABEL = SegmentLabel(
    label="Vertebral bodies",
    category=codes.SCT.AnatomicalStructure,
    property_type=codes.SCT.Vertebra,
    display_rgb=(240, 200, 90),
)
"""Of all bodies together."""
GOLDEN_ANGLE = 0.381966
"""Fraction of the colour circle between one body and the next: neighbours never look alike."""


@dataclass(frozen=True)
class SpineReport:
    """All that is said of the bodies of a series."""

    measured: tuple[BodyMeasurement, ...]  # from caudal to cranial
    bodies: OrderedBodies
    levels: Levels
    remarks: tuple[tuple[Flag, ...], ...]  # on each body
    general: tuple[Flag, ...]  # on the row
    notes: tuple[str, ...] = ()  # what else is to be said of the series
    nothing: str = ""  # there is always a body

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each body."""
        return tuple(
            body_label(body.number, level) for body, level in zip(self.measured, self.levels.names, strict=True)
        )

    @property
    def flags(self) -> tuple[str, ...]:
        """Everything suspicious, and that the level is not established."""
        by_remark: dict[str, list[str]] = {}
        for body, level, remarks in zip(self.measured, self.levels.names, self.remarks, strict=True):
            for remark in remarks:
                by_remark.setdefault(remark.text, []).append(level or f"{body.number} (from below)")
        own = [f"Vertebral body {', '.join(names)}: {remark}" for remark, names in by_remark.items()]
        unsure = [self.levels.reason] if self.levels.basis == "none" else []
        return (*unsure, *self.notes, *(flag.text for flag in self.general), *own)

    @property
    def caution(self) -> str:
        """That the level is not established, when it is not."""
        return "level not established, numbered from below" if self.levels.basis == "none" else ""

    @property
    def plausibility(self) -> tuple[Flag, ...]:
        """What is suspicious of the row and of each body."""
        bodies = zip(self.measured, self.levels.names, self.remarks, strict=True)
        own = [
            replace(flag, segment=body.number, name=level or str(body.number))
            for body, level, flags in bodies
            for flag in flags
        ]
        return (*self.general, *own)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """One for each body."""
        labels = self.bodies.labels.array
        return tuple(
            Segment(segment_label(body.number, level), np.asarray(labels == body.number))
            for body, level in zip(self.measured, self.levels.names, strict=True)
        )

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Measurements of each body with codes and units."""
        return tuple(
            Finding(
                segment=body.number,
                quantities=self._quantities(at),
                sites=(vertebra_code(self.levels.names[at]),),
                centre_mm=body.centre_mm,
                remarks=self._remarks(at),
            )
            for at, body in enumerate(self.measured)
        )

    def space_above_mm(self, at: int) -> float | None:
        """Return the space to the next body, None when another one may be missing between them."""
        return None if has_gap_above(self.measured, at) else self.measured[at].space_above_mm

    def _remarks(self, at: int) -> tuple[str, ...]:
        counted = [self.levels.reason] if at == 0 and self.levels.basis != "none" else []
        return (*counted, *(f"{self.labels[at]}: {remark.text}" for remark in self.remarks[at]))

    def _quantities(self, at: int) -> tuple[Quantity, ...]:
        body, level, space = self.measured[at], self.levels.names[at], self.space_above_mm(at)
        found = [Quantity(codes.SCT.Volume, body.volume_ml, MILLILITRE)]
        for name, mm in asdict(body.heights).items() if body.heights else ():
            part = Site(vertebra_code(level), modifier=PARTS[name])
            found.append(Quantity(codes.DCM.Height, mm, MILLIMETRE, sites=(part,)))
        if space is not None:
            disc = Site(disc_code(level), modifier=None if level else codes.SCT.Superior)
            found.append(Quantity(codes.DCM.Height, space, MILLIMETRE, sites=(disc,)))
        return tuple(found)


def report_spine(
    bodies: OrderedBodies,
    measured: tuple[BodyMeasurement, ...],
    image: Volume,
    lowest: str = "auto",
    notes: tuple[str, ...] = (),
) -> SpineReport:
    """Return the report on ordered and measured bodies; RefusedError when there is none.

    image   the source image
    lowest  level of the lowest body as stated by the user, or "auto"
    notes   what else is to be said of the series
    """
    if not measured:
        raise RefusedError(
            "Vertebral bodies are needed in the selected series; none was found. Check that it shows a lumbar spine.",
            Reason.EMPTY_RESULT,
        )
    levels = label_levels(measured, bodies, image.get_geometry(), lowest)
    remarks, general = remarks_on(measured, bodies, image), check_bodies(measured, bodies)
    return SpineReport(measured, bodies, levels, remarks, general, notes)


def body_label(number: int, level: str | None) -> str:
    """Return the name of a body.

    >>> body_label(1, "L5"), body_label(2, None)
    ('L5 vertebral body', 'Vertebral body 2 (from below), level not established')
    """
    return f"{level} vertebral body" if level else f"Vertebral body {number} (from below), level not established"


def segment_label(number: int, level: str | None) -> SegmentLabel:
    """Return name, code and colour of a body; a level has the same colour wherever counting begins at L5."""
    colour = colorsys.hsv_to_rgb(number * GOLDEN_ANGLE % 1, 0.65, 0.95)
    return SegmentLabel(
        label=body_label(number, level),
        category=codes.SCT.AnatomicalStructure,
        property_type=vertebra_code(level),
        display_rgb=(round(255 * colour[0]), round(255 * colour[1]), round(255 * colour[2])),
        short=level or str(number),
    )


def vertebra_code(level: str | None) -> Code:
    """Return the SNOMED CT code of a vertebra; that of any vertebra when the level is not established.

    >>> vertebra_code("T12").value, vertebra_code(None).value
    ('23215003', '51282000')
    """
    found: Code = getattr(codes.SCT, f"{level}Vertebra" if level else "Vertebra")
    return found


def disc_code(level: str | None) -> Code:
    """Return the SNOMED CT code of the disc above a vertebra; that of any disc when the level is not established.

    >>> disc_code("L5").meaning, disc_code("L1").meaning, disc_code(None).meaning
    ('L4/L5 disc', 'T12/L1 disc', 'Intervertebral disc')
    """
    if level is None or level == LEVELS[-1]:
        return DISC
    upper = LEVELS[LEVELS.index(level) + 1]
    found: Code = getattr(codes.SCT, f"{upper}{level}Disc")
    return found


def spine_results(selection: Selection, source: SourceImage, report: SpineReport) -> dict[str, Any]:
    """Return what metadata.json says of a run; numbers carry their unit in their name."""
    return {
        "tie": selection.tie,
        "source_shape": list(source.volume.shape),
        "source_spacing_mm": [round(float(size), 6) for size in source.volume.spacing],
        "levels": {
            "established": report.levels.basis != "none",
            "by": report.levels.basis,
            "why": report.levels.reason,
        },
        "measurements": {"bodies": [_body_facts(report, at) for at in range(len(report.measured))]},
    }


def spine_headline(selection: Selection, report: SpineReport) -> str:
    """Return what was taken, and the finding."""
    return f"Took {selection.summary()}. {spine_finding(report)}"


def spine_finding(report: SpineReport) -> str:
    """Return the finding in one sentence."""
    names = report.levels.names
    count = len(names)
    bodies = f"{count} vertebral {'body' if count == 1 else 'bodies'}"
    known = [name for name in names if name]
    if not known:
        levels = "level not established"
    else:
        stated = ", the lowest as stated by the user" if report.levels.basis == "user" else ""
        levels = f"{known[0]} to {known[-1]}{stated}{'' if len(known) == count else ', the others not established'}"
    return f"{bodies}, {levels}"


def _body_facts(report: SpineReport, at: int) -> dict[str, Any]:
    body, space = report.measured[at], report.space_above_mm(at)
    heights = None if body.heights is None else {name: round(mm, 2) for name, mm in asdict(body.heights).items()}
    return {
        "segment": body.number,
        "level": report.levels.names[at],
        "volume_ml": round(body.volume_ml, 2),
        "height": heights,
        "centre_lps_mm": [round(value, 2) for value in body.centre_mm],
        "disc_space_above_mm": None if space is None else round(space, 2),
        "flags": [remark.text for remark in report.remarks[at]],
    }
