"""A cervical tumour as a segment, as coded findings, in words and as typed facts; none at all is a finding, too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from imaging.align_sequences import AlignedSequences
from imaging.check_tumour import check_tumour
from imaging.encode_seg import Segment, SegmentLabel
from imaging.find_tumour import TumourObject, TumourObjects
from imaging.finding import MILLILITRE, MILLIMETRE, NO_UNITS, Evaluation, Finding, Quantity, Site
from imaging.measure_tumour import TumourMeasurement
from imaging.pelvic_sequences import PelvicSequences
from imaging.plausibility import Flag

SQUARE_MICROMETRE_PER_SECOND = Code("um2/s", "UCUM", "um2/s")
"""1e-6 mm2/s."""
CERVIX = Site(Code("71252005", "SCT", "Cervix uteri"))
TUMOUR_LABEL = SegmentLabel(
    label="Primary tumour",
    category=codes.SCT.MorphologicallyAbnormalStructure,
    property_type=codes.SCT.NeoplasmPrimary,  # PS3.16 CID 7159
    display_rgb=(230, 60, 90),
    site=CERVIX,
)
ACTIVATION_LABEL = SegmentLabel(
    label="Activation of the network",
    category=codes.SCT.MorphologicallyAbnormalStructure,
    property_type=codes.SCT.Neoplasm,
    display_rgb=(250, 170, 60),
    site=CERVIX,
)
"""Of every object, the primary tumour or not."""
NUMBER_OF_LESIONS = Code("246206008", "SCT", "Number of lesions")
PATIENT_LEVEL = "Cervical tumour, patient level"
NOTHING = "no tumour was found: nothing is above the threshold; that is no proof that there is none"
ONLY_SPECKS = "no tumour was found: what is above the threshold is too small; that is no proof that there is none"
VANISHED = "no tumour was found: the only one vanishes between the slices of the T2w series"


@dataclass(frozen=True)
class TumourReport:
    """All that is said of the tumour of a study."""

    found: TumourObjects
    mask: npt.NDArray[np.bool_]  # of the primary tumour on the grid of the T2w series
    measured: TumourMeasurement | None  # None when there is none
    threshold: float  # probability that voxels of an object exceed
    calibration: str  # a sentence on what the weights can be trusted with, from the model
    general: tuple[str, ...] = ()  # what is suspicious of the sequences

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each segment."""
        return tuple(segment.label.label for segment in self.segments)

    @property
    def statement(self) -> str:
        """The finding as a phrase."""
        if self.measured is not None:
            one = self.measured
            return (
                f"primary tumour of {one.volume_ml:.1f} mL, longest diameter {one.longest.length_mm:.0f} mm, "
                f"{one.axial.length_mm:.0f} mm in a slice"
            )
        if self.found.primary is not None:
            return VANISHED
        return ONLY_SPECKS if self.found.objects else NOTHING

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is suspicious of the tumour."""
        return () if self.measured is None else remarks_on(self.measured)

    @property
    def caution(self) -> str:
        """What the weights can be trusted with."""
        return self.calibration.rstrip(".")

    @property
    def plausibility(self) -> tuple[Flag, ...]:
        """What is suspicious of the tumour, as typed facts."""
        found = () if self.measured is None else check_tumour(self.measured)
        return tuple(replace(flag, segment=1) for flag in found)

    @property
    def nothing(self) -> str:
        """What is said where there is no segment."""
        return f"{self.statement[0].upper()}{self.statement[1:]}"

    @property
    def flags(self) -> tuple[str, ...]:
        """What the weights are, what is suspicious, and what else was found."""
        trust = (self.calibration.rstrip("."),) if self.calibration else ()
        return (*trust, *self.general, *self.found.flags, *(f"{TUMOUR_LABEL.label}: {one}" for one in self.remarks))

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The primary tumour, if there is one."""
        return () if self.measured is None else (Segment(TUMOUR_LABEL, self.mask),)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """The measurements of the primary tumour, or that there is none, with codes and units."""
        if self.measured is None:
            return (self._nothing(),)
        return (
            Finding(
                segment=1,
                quantities=(*_quantities(self.measured), _count(codes.DCM.NumberOfSimilarFindings, self._others)),
                sites=(CERVIX,),
                centre_mm=self.measured.centre_mm,
                remarks=self.remarks,
            ),
        )

    @property
    def _others(self) -> int:
        return len(self.found.others)

    def _nothing(self) -> Finding:
        counts = [_count(NUMBER_OF_LESIONS, 0)]
        counts += [_count(codes.DCM.NumberOfSimilarFindings, self._others)] if self._others else []
        return Finding(
            segment=None,
            quantities=tuple(counts),
            sites=(CERVIX,),
            remarks=(f"{self.statement[0].upper()}{self.statement[1:]}.",),
            evaluations=(Evaluation(codes.SCT.NeoplasmPrimary, codes.SCT.Absent),),
            label=PATIENT_LEVEL,
        )


def remarks_on(measured: TumourMeasurement) -> tuple[str, ...]:
    """Return what is suspicious of a tumour, as sentences without a full stop."""
    return tuple(flag.text for flag in check_tumour(measured))


def tumour_results(sequences: PelvicSequences, aligned: AlignedSequences, report: TumourReport) -> dict[str, Any]:
    """Return what metadata.json says of a run; numbers carry their unit in their name."""
    volume = aligned.source.volume
    return {
        "tie": sequences.t2w.tie,
        "source_shape": list(volume.shape),
        "source_spacing_mm": [round(float(size), 6) for size in volume.spacing],
        "sequences": {"t2w": None, "dwi": None, "adc": None, **aligned.facts},
        "threshold": report.threshold,
        "weights": report.calibration,
        "statement": report.statement,
        "measurements": {
            "tumour": _tumour_facts(report),
            "other_objects": len(report.found.others),
            "objects": [_object_facts(one) for one in report.found.objects],
        },
    }


def tumour_headline(sequences: PelvicSequences, report: TumourReport) -> str:
    """Return what was taken, and the finding."""
    taken = [f"Took {sequences.t2w.summary()}"]
    if sequences.dwi:
        kind = "calculated b" if sequences.calculated else "b"
        taken.append(f"DWI {sequences.dwi.selection.stack} ({kind} = {_number(sequences.b_value)} s/mm2)")
    if sequences.adc:
        taken.append(f"ADC {sequences.adc.selection.stack}")
    return f"{', with '.join(taken)}. {tumour_finding(report)}"


def tumour_finding(report: TumourReport) -> str:
    """Return the finding in one sentence."""
    others = len(report.found.others)
    also = f", and {others} other {'object' if others == 1 else 'objects'}" if others else ""
    return f"{report.statement[0].upper()}{report.statement[1:]}{also}"


def _quantities(measured: TumourMeasurement) -> tuple[Quantity, ...]:
    longest, axial, mean = measured.longest, measured.axial, codes.SCT.Mean
    found = [
        Quantity(codes.SCT.Volume, measured.volume_ml, MILLILITRE),
        Quantity(codes.IBSI.Maximum3DDiameterOfAMesh, longest.length_mm, MILLIMETRE, line_mm=longest.ends_mm),
        Quantity(codes.SCT.LongAxis, axial.length_mm, MILLIMETRE, line_mm=axial.ends_mm),
        Quantity(codes.DCM.T2WeightedMRSignalIntensity, measured.mean_t2w, NO_UNITS, derivation=mean),
    ]
    if measured.mean_adc is not None:
        unit = SQUARE_MICROMETRE_PER_SECOND
        found.append(Quantity(codes.DCM.ApparentDiffusionCoefficient, measured.mean_adc, unit, derivation=mean))
    return tuple(found)


def _count(name: Code, number: int) -> Quantity:
    return Quantity(name, number, NO_UNITS)


def _tumour_facts(report: TumourReport) -> dict[str, Any] | None:
    measured = report.measured
    if measured is None:
        return None
    return {
        "segment": 1,
        "volume_ml": round(measured.volume_ml, 3),
        "longest_diameter_mm": round(measured.longest.length_mm, 2),
        "longest_axial_diameter_mm": round(measured.axial.length_mm, 2),
        "mean_adc_1e-6_mm2_per_s": None if measured.mean_adc is None else round(measured.mean_adc, 1),
        "mean_t2w_signal": round(measured.mean_t2w, 2),
        "centre_lps_mm": [round(value, 2) for value in measured.centre_mm],
        "flags": list(report.remarks),
    }


def _object_facts(one: TumourObject) -> dict[str, Any]:
    return {
        "primary": one.primary,
        "speck": one.speck,
        "volume_ml": round(one.volume_ml, 4),
        "mean_activation": round(one.mean_activation, 4),
        "centre_lps_mm": [round(value, 2) for value in one.centre_mm],
    }


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:g}"
