"""What happened in a run: time per stage, and the facts that metadata.json reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imaging.outcome import SuiteError
from imaging.plausibility import Flag

if TYPE_CHECKING:  # it imports numpy, which has to wait until the process is prepared
    from imaging.report_page import PageContent


class StageError(Exception):
    """An unforeseen error inside a stage, by type and stage; the error itself is its cause.

    Holoscan logs the text of whatever an operator raises. That of a library may quote the image's header: it ends here.
    """


@dataclass
class RunRecord:
    """Filled while the graph runs; one for each run."""

    on_stage: Callable[[str], None] = lambda _name: None  # called when a stage begins
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    first_header_cpu_s: float = 0.0  # CPU time from the start of the process until a DICOM header was read
    device: str = ""
    notes: list[str] = field(default_factory=list)  # what a user should know: fallbacks, quality flags
    plausibility: list[Flag] = field(default_factory=list)  # the quality flags among them, with value and limits
    series: list[dict[str, Any]] = field(default_factory=list)  # the verdict on each, as soon as it is known
    results: dict[str, Any] = field(default_factory=dict)
    finding: str = ""  # in one sentence
    headline: str = ""  # the same, after what was taken
    page: PageContent | None = None  # what the page shows; None when none is wanted

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what runs inside under a name; handled errors pass, all others leave as StageError."""
        self.on_stage(name)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        except SuiteError:
            raise
        except Exception as error:
            raise StageError(f"{type(error).__name__} in {name}") from error
        finally:
            self.seconds[name] = round(time.perf_counter() - wall, 3)
            self.cpu_seconds[name] = round(time.process_time() - cpu, 3)


@dataclass(frozen=True)
class Run:
    """Where a run reads, writes and finds its models, and what its user asked for."""

    input: Path
    staging: Path  # results are written here and published at the end
    models: Path
    record: RunRecord
    options: Any = None  # the application's own options, a frozen dataclass
