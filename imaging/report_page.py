"""The page of a run, as facts: what was found, of what, by what, and how far it may be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imaging.coarse_image import CoarseImage
from imaging.model_card import CardSection
from imaging.page_values import Value
from imaging.provenance import Provenance
from imaging.to_volume import SourceImage

Rgb = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class KeyPicture:
    """One slice as a picture."""

    jpeg: bytes
    width_px: int
    height_px: int
    plane: str  # axial, coronal or sagittal
    caption: str
    alt: str  # what the picture shows, for who cannot see it


@dataclass(frozen=True, kw_only=True)
class PageFinding:
    """One finding: its numbers, what is suspicious of it, its pictures."""

    label: str
    rgb: Rgb | None  # of its outline; None without a segment
    values: tuple[Value, ...]
    remarks: tuple[str, ...] = ()
    pictures: tuple[KeyPicture, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose images they are, only where a user asked for it."""

    name: str
    patient_id: str
    study_date: str  # as YYYY-MM-DD


@dataclass(frozen=True, kw_only=True)
class PageWish:
    """Which pages a user asked for."""

    html: bool
    dicom: bool
    identity: bool
    viewer: bool = False  # in the HTML page


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """What the graph of an application knows for the page; the rest is in the record of the run."""

    wish: PageWish
    title: str  # such as "Lung nodules"
    source: SourceImage
    provenance: Provenance
    overview: KeyPicture | None  # of all findings; None where no slice shows them all
    general: tuple[PageFinding, ...]  # what holds for the patient
    findings: tuple[PageFinding, ...]
    window: str  # what the pictures show from black to white, as a phrase
    identity: Identity | None = None
    coarse: CoarseImage | None = None  # for the viewer; None where none is wanted


@dataclass(frozen=True, kw_only=True)
class SeriesVerdict:
    """What became of one series, or part of one."""

    name: str
    modality: str
    images: int
    slices: int
    parts: str  # b-value, echo, time point
    taken: bool
    fits: bool
    reasons: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """What became of it, in words."""
        return "taken" if self.taken else "fits, another was better" if self.fits else "does not fit"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The verdicts on what an application looked for."""

    title: str  # such as "pelvic axial T2w MR"; "" where it looked for one kind alone
    verdicts: tuple[SeriesVerdict, ...]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What one stage of a run took."""

    name: str
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True, kw_only=True)
class BrokenLimit:
    """A limit that a result breaks."""

    text: str
    found: str
    expected: str
    basis: str  # where the limit comes from


@dataclass(frozen=True, kw_only=True)
class ReportPage:
    """Everything that is on the page."""

    title: str
    finding: str  # in one sentence
    research_use: str
    made_by: str
    app: str
    app_version: str
    flags: tuple[str, ...]
    broken: tuple[BrokenLimit, ...]
    content: PageContent
    series: tuple[Wanted, ...]
    model: str
    model_version: str
    model_sha256: str
    card: tuple[CardSection, ...]
    device: str
    settings: str
    source_voxels: str
    versions: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]
    peak_memory_mib: float
    files: tuple[str, ...]

    @property
    def taken(self) -> str:
        """The series that were taken, as a phrase."""
        names = (one.name.lower() for wanted in self.series for one in wanted.verdicts if one.taken)
        return ", ".join(dict.fromkeys(names))

    @property
    def pictured(self) -> int:
        """Number of findings with pictures."""
        return sum(bool(finding.pictures) for finding in self.content.findings)


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
