"""The page of a run, as facts, from its record and from what the graph of the application gave to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imaging.model_card import CardSection
from imaging.report_page import BrokenLimit, PageContent, ReportPage, SeriesVerdict, Stage, Wanted


def report_page(
    facts: Mapping[str, Any], content: PageContent, card: Sequence[CardSection], files: Sequence[str]
) -> ReportPage:
    """Return the page of a run that succeeded.

    facts  what metadata.json says of the run
    card   the beginning of the model card
    files  relative paths of the results, without those of the run's facts
    """
    model = facts["model"]
    return ReportPage(
        title=content.title,
        finding=str(facts["finding"]),
        research_use=str(facts["research_use"]),
        made_by=str(facts["made_by"]),
        app=str(facts["app"]),
        app_version=str(facts["app_version"]),
        flags=tuple(facts["flags"]),
        broken=tuple(broken_limit(flag) for flag in facts["plausibility"]),
        content=content,
        series=series_verdicts(facts["series"]),
        model=str(model["name"]),
        model_version=str(model["version"]),
        model_sha256=str(model["sha256"]),
        card=tuple(card),
        device=str(facts["device"]),
        settings=content.provenance.settings,
        source_voxels=_voxels(facts),
        versions=tuple(facts["versions"].items()),
        stages=_stages(facts),
        peak_memory_mib=float(facts["peak_memory_mib"]),
        files=grouped(files),
    )


def series_verdicts(series: Sequence[Mapping[str, Any]]) -> tuple[Wanted, ...]:
    """Return the verdicts on every series for each kind that was looked for, in the order of the record."""
    found: dict[str, list[SeriesVerdict]] = {}
    for fact in series:
        of_kind = found.setdefault(str(fact.get("sequence", "")), [])
        first = fact["eligible"] and not of_kind  # of one kind alone the first is taken, and the record says no more
        of_kind.append(_verdict(fact, taken=bool(fact.get("taken", first))))
    return tuple(Wanted(title=title, verdicts=tuple(verdicts)) for title, verdicts in found.items())


def broken_limit(flag: Mapping[str, Any]) -> BrokenLimit:
    """Return a plausibility flag of the record in words.

    >>> flag = {"text": "Too small", "value": 3.2, "unit": "mL", "limits": [5.0, None], "basis": "a book"}
    >>> broken_limit(flag).found, broken_limit(flag).expected
    ('3.2 mL', 'at least 5 mL')
    """
    unit = f" {flag['unit']}" if flag["unit"] else ""
    low, high = flag["limits"] or (None, None)
    if low is not None and high is not None:
        expected = f"{low:g} to {high:g}{unit}"
    else:
        expected = "" if low is None else f"at least {low:g}{unit}"
        expected = expected if high is None else f"at most {high:g}{unit}"
    found = "" if flag["value"] is None else f"{flag['value']:g}{unit}"
    return BrokenLimit(text=str(flag["text"]), found=found, expected=expected, basis=str(flag["basis"]))


def grouped(files: Sequence[str]) -> tuple[str, ...]:
    """Return the names of results, those of a folder together.

    >>> grouped(["seg.dcm", "heat_maps/heat_0001.dcm", "heat_maps/heat_0002.dcm"])
    ('heat_maps/ (2 files)', 'seg.dcm')
    """
    folders = sorted({name.partition("/")[0] for name in files if "/" in name})
    counts = {folder: sum(name.startswith(f"{folder}/") for name in files) for folder in folders}
    together = [f"{name}/ ({count} {'file' if count == 1 else 'files'})" for name, count in counts.items()]
    return (*together, *sorted(name for name in files if "/" not in name))


def _verdict(fact: Mapping[str, Any], *, taken: bool) -> SeriesVerdict:
    number = fact["series_number"]
    return SeriesVerdict(
        name="Series without number" if number is None else f"Series {number}",
        modality=str(fact["modality"]),
        images=int(fact["instances"]),
        slices=int(fact["slices"]),
        parts=", ".join(map(str, fact["traits"])),
        taken=taken,
        fits=bool(fact["eligible"]),
        reasons=tuple(map(str, fact["reasons"])),
    )


def _stages(facts: Mapping[str, Any]) -> tuple[Stage, ...]:
    cpu = facts["cpu_seconds"]
    return tuple(
        Stage(name=name, seconds=float(seconds), cpu_seconds=float(cpu.get(name, 0)))
        for name, seconds in facts["seconds"].items()
    )


def _voxels(facts: Mapping[str, Any]) -> str:
    if "source_shape" not in facts:
        return ""
    shape = " x ".join(str(size) for size in facts["source_shape"])
    spacing = " x ".join(f"{size:.2f}" for size in facts["source_spacing_mm"])
    return f"{shape} voxels of {spacing} mm (slice, row, column)"
