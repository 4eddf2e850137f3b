"""The cases as JSON, for readers that are not written in Python."""

from __future__ import annotations

from dataclasses import asdict

from tests.dicom_cases.case import Case, Exact, NothingEligible, Refused, Resampled
from tests.dicom_cases.phantom import VOLUME_STEP
from tests.phantoms import CODE, CODE_ZERO

Json = dict[str, object]


def manifest(cases: tuple[Case, ...]) -> Json:
    """Return what a reader has to know to judge itself."""
    return {
        "value": {
            "about": "code[0] * x + code[1] * y + code[2] * z + zero + volume * step; x, y, z: LPS mm of the voxel",
            "code": CODE,
            "zero": CODE_ZERO,
            "step": VOLUME_STEP,
        },
        "affine": "of (slice, row, column) indices to LPS mm; a reader may number voxels in any other order",
        "cases": {case.name: as_json(case) for case in cases},
    }


def as_json(case: Case) -> Json:
    """Return a case without what writes it."""
    return {
        "about": case.about,
        "policy": asdict(case.policy) if case.policy else {},
        "expected": _expected(case),
        "others": dict(case.others),
    }


def _expected(case: Case) -> Json:
    match case.expected:
        case Refused(reason, or_else):
            return {"outcome": "refused", "reason": reason, "or_else": list(or_else)}
        case NothingEligible(reason):
            return {"outcome": "nothing_eligible", "reason": reason}
        case Exact(rounding=rounding, off_mm=off_mm):
            return {"outcome": "exact", "rounding": rounding, "off_mm": off_mm, **_volumes(case.expected)}
        case Resampled(tolerance=tolerance):
            return {"outcome": "resampled", "tolerance": tolerance, **_volumes(case.expected)}


def _volumes(expected: Exact | Resampled) -> Json:
    grids = [expected.grid(number) for number in range(expected.volumes)]
    return {
        "volumes": [
            {"shape": grid.shape, "affine": grid.affine.tolist(), "blank_slices": grid.blank, "trait": trait}
            for grid, trait in zip(grids, expected.traits or [""] * len(grids), strict=True)
        ],
        "flags": expected.flags,
        "refused": expected.refused,
        "may_refuse": expected.may_refuse,
        "counts": {name: number for name, number in asdict(expected.counts).items() if number is not None},
    }
