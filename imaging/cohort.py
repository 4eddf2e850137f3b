"""Many runs together: what was measured over all of them, what stands out, and what did not succeed and why.

A value stands out when its modified z-score is above 3.5 (Iglewicz and Hoaglin, How to Detect and Handle Outliers,
ASQC 1993): 0.6745 times its distance from the median of the cohort, over the median of such distances. Where at least
half of the values are alike that median is 0; the mean of the distances times 1.2533 then takes the place of the whole.
"""

from __future__ import annotations

import json
import os
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from imaging.outcome import Outcome
from imaging.publish import OURS, RECORD
from imaging.suite import SUITE

LIMIT = 3.5
"""Modified z-score above which a value stands out."""
LEAST_RUNS = 8
"""Values below which none is said to stand out: the spread of fewer is hardly known."""
TO_SIGMA, TO_SIGMA_OF_MEAN = 1 / 0.6745, 1.253314
"""What makes a median, and a mean, of distances a standard deviation where values are normally distributed."""
NO_MEASURE = ("segment", "score", "objects", "centre_lps_mm", "flags")
"""Keys of measurements that are no measure of a patient."""
UNITS = {"_ml": "mL", "_mm": "mm", "_hu": "HU", "_1e-6_mm2_per_s": "µm²/s"}
ABBREVIATIONS = {"adc": "ADC", "t2w": "T2w"}
PAGE = "report.html"


@dataclass(frozen=True, kw_only=True)
class CohortRun:
    """One run, as its metadata.json has it."""

    name: str  # its folder below that of the cohort
    app: str
    version: str  # of application and model
    outcome: str
    reason: str = ""
    message: str = ""
    finding: str = ""
    flags: tuple[str, ...] = ()
    measures: Mapping[str, float]
    seconds: float | None = None
    has_page: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether there are results."""
        return self.outcome == Outcome.SUCCESS


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One quantity over all runs that have it."""

    name: str
    values: tuple[float, ...]
    median: float
    sigma: float | None  # robust; None where too few have it, or all have the same

    def z(self, value: float) -> float:
        """Return the modified z-score of a value, 0 where none is known."""
        return 0.0 if not self.sigma else (value - self.median) / self.sigma


@dataclass(frozen=True, kw_only=True)
class Outlier:
    """A value that stands out."""

    measure: str
    value: float
    z: float


@dataclass(frozen=True, kw_only=True)
class JudgedRun:
    """A run and what stands out of it, the farthest first."""

    run: CohortRun
    outliers: tuple[Outlier, ...]


@dataclass(frozen=True, kw_only=True)
class AppCohort:
    """The runs of one application that succeeded: outliers first, then flagged ones, then the rest by name."""

    app: str
    runs: tuple[JudgedRun, ...]
    measures: tuple[Measure, ...]  # those that most runs have come first

    @property
    def versions(self) -> Counter[str]:
        """How many runs each version made."""
        return Counter(judged.run.version for judged in self.runs)


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """All runs below a folder."""

    apps: tuple[AppCohort, ...]
    failed: tuple[CohortRun, ...]  # those without results
    unreadable: int  # folders whose metadata.json cannot be read

    @property
    def count(self) -> int:
        """Number of runs, with and without results."""
        return len(self.failed) + sum(len(app.runs) for app in self.apps)


def read_cohort(folder: Path) -> Cohort:
    """Return every run of the suite at any depth below a folder; other files are passed over."""
    runs, unreadable = [], 0
    for path in sorted(_records(folder)):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(record, dict) and record.get("made_by") == SUITE and "outcome" in record:
                name = path.parent.relative_to(folder).as_posix()
                runs.append(run_of(record, name, has_page=(path.parent / PAGE).is_file()))
        except (OSError, ValueError, TypeError, AttributeError):
            unreadable += 1
    return cohort_of(runs, unreadable)


def cohort_of(runs: Sequence[CohortRun], unreadable: int = 0) -> Cohort:
    """Return runs judged against those of the same application."""
    good = [run for run in runs if run.succeeded]
    apps = tuple(_app_cohort(app, [run for run in good if run.app == app]) for app in sorted({run.app for run in good}))
    return Cohort(apps=apps, failed=tuple(run for run in runs if not run.succeeded), unreadable=unreadable)


def run_of(record: Mapping[str, Any], name: str, *, has_page: bool = False) -> CohortRun:
    """Return a run from its metadata.json."""
    model = record.get("model") or {}
    seconds = (record.get("seconds") or {}).get("total")
    return CohortRun(
        name=name,
        app=str(record.get("app", "unknown")),
        version=f"{record.get('app_version')}, model {model.get('version')}",
        outcome=str(record["outcome"]),
        reason=str(record.get("reason", "")),
        message=str(record.get("exception_message", "")),
        finding=str(record.get("finding") or record.get("headline", "")),
        flags=tuple(map(str, record.get("flags", ()))),
        measures=dict(measures_of(record.get("measurements") or {})),
        seconds=None if seconds is None else float(seconds),
        has_page=has_page,
    )


def measures_of(measurements: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield the name and value of each number among measurements.

    Of a list of objects with a level, such as vertebral bodies, each level is a measure of its own; of other lists the
    number of objects and the largest value of each quantity count.

    >>> dict(measures_of({"nodules": [{"longest_mm": 5.0}, {"longest_mm": 9.0}]}))
    {'number of nodules': 2.0, 'largest longest (mm)': 9.0}
    """
    for key, value in measurements.items():
        if key in NO_MEASURE:
            continue
        if isinstance(value, Mapping):
            yield from measures_of(value, f"{before}{key.replace('_', ' ')} " if key == "height" else before)
        elif isinstance(value, list):
            yield f"number of {key.replace('_', ' ')}", float(len(value))
            yield from _of_objects([one for one in value if isinstance(one, Mapping)])
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield _named(key, before), float(value)


def measure_of(name: str, values: Sequence[float]) -> Measure:
    """Return a quantity over a cohort.

    >>> measure_of("x", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 80.0]).z(80.0) > 3.5
    True
    """
    median = statistics.median(values)
    sigma = None
    if len(values) >= LEAST_RUNS:
        off = [abs(value - median) for value in values]
        sigma = TO_SIGMA * statistics.median(off) or TO_SIGMA_OF_MEAN * statistics.fmean(off) or None
    return Measure(name=name, values=tuple(values), median=median, sigma=sigma)


def _app_cohort(app: str, runs: Sequence[CohortRun]) -> AppCohort:
    counts = Counter(name for run in runs for name in run.measures)
    order = sorted(counts, key=lambda name: -counts[name])  # stable: as the record has them
    measures = {name: measure_of(name, [run.measures[name] for run in runs if name in run.measures]) for name in order}
    judged = [JudgedRun(run=run, outliers=_outliers(run, measures)) for run in runs]
    judged.sort(key=lambda one: (-_farthest(one), -len(one.run.flags), one.run.name))
    return AppCohort(app=app, runs=tuple(judged), measures=tuple(measures.values()))


def _farthest(judged: JudgedRun) -> float:
    return max((abs(one.z) for one in judged.outliers), default=0.0)


def _outliers(run: CohortRun, measures: Mapping[str, Measure]) -> tuple[Outlier, ...]:
    scored = [Outlier(measure=name, value=value, z=measures[name].z(value)) for name, value in run.measures.items()]
    return tuple(sorted((one for one in scored if abs(one.z) > LIMIT), key=lambda one: -abs(one.z)))


def _of_objects(objects: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, float]]:
    if any("level" in one for one in objects):
        for one in objects:
            if one.get("level"):
                yield from measures_of(one, f"{one['level']} ")
        return
    found: dict[str, list[float]] = {}
    for one in objects:
        for name, value in measures_of(one):
            found.setdefault(name, []).append(value)
    for name, values in found.items():
        yield f"largest {name}", max(values)


def _named(key: str, before: str) -> str:
    ending = next((ending for ending in UNITS if key.endswith(ending)), "")
    words = [ABBREVIATIONS.get(word, word) for word in key.removesuffix(ending).split("_")]
    return f"{before}{' '.join(words)}{f' ({UNITS[ending]})' if ending else ''}"


def _records(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in OURS]  # of runs that are not over
        if RECORD in files:
            yield Path(here) / RECORD
