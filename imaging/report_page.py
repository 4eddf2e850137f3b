"""The page of a run, as facts: what was found, of what, by what, and how far it may be trusted."""

from __future__ import annotations

from dataclasses import dataclass

from imaging.coarse_image import CoarseImage
from imaging.model_card import CardSection
from imaging.page_values import Value
from imaging.provenance import Provenance
from imaging.to_volume import SourceImage

Rgb = tuple[int, int, int]
Facts = tuple[tuple[str, str], ...]
"""Name and value of each."""
BROKEN_HEAD = ("Noticed", "Found", "Expected", "Where the limit comes from")


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

    @property
    def facts(self) -> Facts:
        """What the page says of them."""
        return (("Patient", self.name), ("Patient ID", self.patient_id), ("Study date", self.study_date))


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

    @property
    def row(self) -> list[str]:
        """Its cells below ``BROKEN_HEAD``."""
        return [self.text, self.found or "-", self.expected or "-", self.basis or "-"]


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
    def run_facts(self) -> Facts:
        """How the result was made."""
        return (
            ("Application", f"{self.app} {self.app_version}"),
            ("Settings", self.settings),
            ("Ran on", self.device),
            ("Peak memory", f"{self.peak_memory_mib:.0f} MiB"),
            ("Versions", ", ".join(f"{name} {version}" for name, version in self.versions)),
            ("Files beside this page", ", ".join(self.files)),
        )

    @property
    def pictured(self) -> int:
        """Number of findings with pictures."""
        return sum(bool(finding.pictures) for finding in self.content.findings)
