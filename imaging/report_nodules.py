"""Lung nodules as segments, as coded findings, in words and as typed facts; none at all is a finding, too.

The probability of cancer follows the votes of radiologists that the classifier was trained on. It is no histology, and
every place that gives the number says so.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from highdicom.seg import SegmentAlgorithmTypeValues
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from imaging.check_nodule import check_nodule
from imaging.encode_seg import Segment, SegmentLabel
from imaging.finding import (
    CUBIC_MILLIMETRE,
    HOUNSFIELD,
    MILLIMETRE,
    NO_UNITS,
    PERCENT,
    Evaluation,
    Finding,
    Quantity,
    Site,
)
from imaging.heat_box import HeatBox
from imaging.lung_mask import Side
from imaging.mark import Mark, Origin
from imaging.measure_nodule import NoduleMeasurement
from imaging.plausibility import Flag
from imaging.region import Region
from imaging.select_series import Selection
from imaging.to_volume import SourceImage

NODULE = Code("786838002", "SCT", "Nodule of lung")
"""Of SNOMED CT; the context groups of DICOM have the general (27925004, SCT, "Nodule") alone."""
NUMBER_OF_LESIONS = Code("246206008", "SCT", "Number of lesions")
LATERALITY: dict[Side, Code] = {Side.LEFT: codes.SCT.Left, Side.RIGHT: codes.SCT.Right}
PATIENT_LEVEL = "Lung nodules, patient level"
LABEL_MEANING = (
    "The probability of cancer says how likely radiologists are to call the nodule malignant (at least two of the "
    "readers of LIDC-IDRI above 3 of 5): agreement with radiologists' votes, not histology."
)
PLACE_MEANING = "Of the place of a nodule, the lung and its side are given; lobes are not told apart."
UNCALIBRATED = "The probability was not calibrated."
NOT_CLASSIFIED = "no probability of cancer was computed"
GOLDEN_ANGLE = 0.381966
"""Fraction of the colour circle between one nodule and the next: neighbours never look alike."""


@dataclass(frozen=True, kw_only=True)
class Nodule:
    """One nodule and everything that is known of it."""

    mark: Mark
    region: Region  # on the grid of the source volume
    measured: NoduleMeasurement
    malignancy: float | None = None  # calibrated probability, 0 to 1; None when not classified
    heat: HeatBox | None = None  # where the classifier looked
    remarks: tuple[str, ...] = ()  # what the caller found suspicious of it
    number: int = 0  # in the report, from 1

    @property
    def label(self) -> str:
        """Name, with the side when it is known."""
        return f"Nodule {self.number}{f' ({self.measured.side} lung)' if self.measured.side else ''}"

    @property
    def site(self) -> Site:
        """Where in the body."""
        side = self.measured.side
        return Site(codes.SCT.Lung, LATERALITY[side] if side else None)


@dataclass(frozen=True)
class NoduleReport:
    """All that is said of the nodules of a series."""

    nodules: tuple[Nodule, ...]  # the most suspicious first, or the largest when they were not classified
    origins: tuple[Origin, ...]  # of the nodules, or of the search that found none
    calibration: str  # a sentence on how the probability was calibrated
    threshold: float  # probability from which a nodule counts as malignant
    general: tuple[str, ...] = ()  # what is suspicious of all
    of_lungs: tuple[Flag, ...] = ()  # what is suspicious of the lungs

    @property
    def way(self) -> str:
        """How the nodules were found, as a sentence."""
        if not self.nodules:
            return "No nodule was found."
        return f"Nodules: {', and '.join(self.origins)}."

    @property
    def highest(self) -> Nodule | None:
        """The nodule with the highest probability, None when none was classified."""
        classified = [nodule for nodule in self.nodules if nodule.malignancy is not None]
        return classified[0] if classified else None

    @property
    def malignant(self) -> bool | None:
        """Whether any nodule counts as malignant; None when none was classified, as there may be none."""
        highest = self.highest
        return None if highest is None or highest.malignancy is None else highest.malignancy >= self.threshold

    @property
    def statement(self) -> str:
        """What holds for the patient, as a sentence."""
        if not self.nodules:
            return "Patient level: no nodule was found; that is no proof that there is none."
        highest = self.highest
        if highest is None or highest.malignancy is None:
            return f"Patient level: {_counted(len(self.nodules))}; {NOT_CLASSIFIED}."
        counts = "at least one nodule counts" if self.malignant else "no nodule counts"
        return (
            f"Patient level: {_counted(len(self.nodules))}, highest probability of cancer {_percent(highest)} "
            f"(nodule {highest.number}); at the operating point of {100 * self.threshold:.0f} % {counts} as malignant."
        )

    @property
    def flags(self) -> tuple[str, ...]:
        """Everything suspicious, and that a computer found the nodules, when it did."""
        by_remark: dict[str, list[str]] = {}
        for nodule in self.nodules:
            for remark in remarks_on(nodule):
                by_remark.setdefault(remark, []).append(str(nodule.number))
        own = [f"Nodule {', '.join(numbers)}: {remark}" for remark, numbers in by_remark.items()]
        review = [self.way.rstrip(".")] if self.nodules and Origin.COMPUTER in self.origins else []
        return (*review, *self.general, *(flag.text for flag in self.of_lungs), *own)

    @property
    def caution(self) -> str:
        """That a computer found the nodules, when it did."""
        return Origin.COMPUTER.value if self.nodules and Origin.COMPUTER in self.origins else ""

    @property
    def plausibility(self) -> tuple[Flag, ...]:
        """What is suspicious of the lungs and of each nodule, as typed facts."""
        own = [
            replace(flag, segment=nodule.number, name=str(nodule.number))
            for nodule in self.nodules
            for flag in check_nodule(nodule.measured)
        ]
        return (*self.of_lungs, *own)

    @property
    def nothing(self) -> str:
        """What is said where there is no segment."""
        return f"{self.way.rstrip('.')}; that is no proof that there is none"

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """One for each nodule."""
        used: set[str] = set()
        return tuple(Segment(_segment_label(nodule, used), nodule.region) for nodule in self.nodules)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What holds for the patient, then the measurements of each nodule, with codes and units."""
        return (self._patient(), *(self._finding(nodule) for nodule in self.nodules))

    @property
    def _meaning(self) -> tuple[str, ...]:
        return (LABEL_MEANING, self.calibration) if self.highest else ()

    def _patient(self) -> Finding:
        quantities = [Quantity(NUMBER_OF_LESIONS, len(self.nodules), NO_UNITS)]
        if self.highest:
            quantities.append(_probability(self.highest, derivation=codes.SCT.Maximum))
        present = codes.SCT.Present if self.nodules else codes.SCT.Absent
        return Finding(
            segment=None,
            quantities=tuple(quantities),
            sites=(codes.SCT.Lung,),
            remarks=(self.statement, self.way, *self._meaning, *([PLACE_MEANING] if self.nodules else [])),
            evaluations=(Evaluation(NODULE, present),),
            label=PATIENT_LEVEL,
            finding_type=NODULE if self.nodules else None,
        )

    def _finding(self, nodule: Nodule) -> Finding:
        found = f"{nodule.label}: {nodule.mark.origin}."
        meaning = self._meaning if nodule.malignancy is not None else (f"{nodule.label}: {NOT_CLASSIFIED}.",)
        return Finding(
            segment=nodule.number,
            quantities=_quantities(nodule),
            sites=(nodule.site,),
            centre_mm=nodule.measured.centre_mm,
            remarks=(found, *meaning, *(f"{nodule.label}: {remark}" for remark in remarks_on(nodule))),
        )


def report_nodules(
    nodules: Iterable[Nodule],
    origins: Sequence[Origin],
    *,
    calibration: str = UNCALIBRATED,
    threshold: float = 0.5,
    flags: Sequence[str] = (),
    of_lungs: Sequence[Flag] = (),
) -> NoduleReport:
    """Return the report on nodules, sorted and numbered from 1.

    origins      of the marks, or of the search that found none
    calibration  a sentence on how the probability was calibrated, from the model
    threshold    probability from which a nodule counts as malignant
    flags        what is suspicious of the whole, as sentences
    of_lungs     what is suspicious of the lungs
    """
    ordered = sorted(nodules, key=_rank)
    numbered = tuple(replace(nodule, number=number) for number, nodule in enumerate(ordered, start=1))
    return NoduleReport(numbered, tuple(dict.fromkeys(origins)), calibration, threshold, tuple(flags), tuple(of_lungs))


def remarks_on(nodule: Nodule) -> tuple[str, ...]:
    """Return what is suspicious of a nodule, as sentences without a full stop."""
    return (*nodule.remarks, *(flag.text for flag in check_nodule(nodule.measured)))


def nodule_results(selection: Selection, source: SourceImage, report: NoduleReport) -> dict[str, Any]:
    """Return what metadata.json says of a run; numbers carry their unit in their name."""
    highest = report.highest
    return {
        "tie": selection.tie,
        "source_shape": list(source.volume.shape),
        "source_spacing_mm": [round(float(size), 6) for size in source.volume.spacing],
        "way": [origin.name.lower() for origin in report.origins],
        "patient": {
            "nodules": len(report.nodules),
            "malignancy_probability": None if highest is None else _rounded(highest.malignancy),
            "malignant": report.malignant,
            "threshold": report.threshold,
            "statement": report.statement,
        },
        "probability_means": [LABEL_MEANING, report.calibration],
        "measurements": {"nodules": [_nodule_facts(nodule) for nodule in report.nodules]},
    }


def nodule_headline(selection: Selection, report: NoduleReport) -> str:
    """Return what was taken, and the finding."""
    return f"Took {selection.summary()}. {nodule_finding(report)}"


def nodule_finding(report: NoduleReport) -> str:
    """Return the finding in one sentence."""
    if not report.nodules:
        return report.nothing
    found = f"{_counted(len(report.nodules))} ({', and '.join(report.origins)})"
    largest = max(nodule.measured.longest_mm for nodule in report.nodules)
    highest = report.highest
    likely = f", highest probability of cancer {_percent(highest)} by radiologists' votes" if highest else ""
    return f"{found}, the largest {largest:.1f} mm{likely}"


def _rank(nodule: Nodule) -> tuple[float, float, tuple[float, ...]]:
    likely = -1.0 if nodule.malignancy is None else nodule.malignancy
    return (-likely, -nodule.measured.longest_mm, nodule.measured.centre_mm)


def _counted(count: int) -> str:
    return {0: "No nodule", 1: "1 nodule"}.get(count, f"{count} nodules")


def _percent(nodule: Nodule) -> str:
    return f"{100 * (nodule.malignancy or 0):.1f} %"


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)


def _segment_label(nodule: Nodule, used: set[str]) -> SegmentLabel:
    """Return name, code and colour of a nodule; a tracking UID that two marks share tells neither from the other."""
    tracking_uid = nodule.mark.tracking_uid
    if tracking_uid in used:
        tracking_uid = None
    used |= {tracking_uid} if tracking_uid else set()
    red, green, blue = colorsys.hsv_to_rgb(nodule.number * GOLDEN_ANGLE % 1, 0.6, 1.0)
    by = SegmentAlgorithmTypeValues
    return SegmentLabel(
        label=nodule.label,
        category=codes.SCT.MorphologicallyAbnormalStructure,
        property_type=NODULE,
        display_rgb=(round(255 * red), round(255 * green), round(255 * blue)),
        short=str(nodule.number),
        site=nodule.site,
        tracking_uid=tracking_uid,
        algorithm_type=by.AUTOMATIC if nodule.mark.origin is Origin.COMPUTER else by.SEMIAUTOMATIC,
    )


def _quantities(nodule: Nodule) -> tuple[Quantity, ...]:
    measured = nodule.measured
    found = [
        Quantity(codes.SCT.LongAxis, measured.longest_mm, MILLIMETRE, line_mm=measured.longest.ends_mm),
        Quantity(codes.SCT.ShortAxis, measured.perpendicular_mm, MILLIMETRE, line_mm=measured.perpendicular.ends_mm),
        Quantity(codes.SCT.Volume, 1000 * measured.volume_ml, CUBIC_MILLIMETRE),
        Quantity(codes.DCM.AttenuationCoefficient, measured.mean_hu, HOUNSFIELD, derivation=codes.SCT.Mean),
    ]
    if nodule.malignancy is not None:
        found.append(_probability(nodule))
    return tuple(found)


def _probability(nodule: Nodule, derivation: Code | None = None) -> Quantity:
    """Return the probability with the code of PS3.16 CID 6048, in percent as in the templates of CAD reports."""
    percent = 100 * (nodule.malignancy or 0.0)
    return Quantity(codes.DCM.ProbabilityOfCancer, percent, PERCENT, derivation=derivation)


def _nodule_facts(nodule: Nodule) -> dict[str, Any]:
    measured = nodule.measured
    return {
        "segment": nodule.number,
        "found": nodule.mark.origin.name.lower(),
        "score": _rounded(nodule.mark.score),
        "side": str(measured.side) if measured.side else None,
        "longest_mm": round(measured.longest_mm, 2),
        "perpendicular_mm": round(measured.perpendicular_mm, 2),
        "volume_ml": round(measured.volume_ml, 4),
        "mean_hu": round(measured.mean_hu, 1),
        "centre_lps_mm": [round(value, 2) for value in measured.centre_mm],
        "malignancy_probability": _rounded(nodule.malignancy),
        "flags": list(remarks_on(nodule)),
    }
