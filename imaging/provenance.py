"""Who made a result: application, model and weights, as every output object states it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.uid import UID

from imaging.uids import derived_uid


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Application and model of a run."""

    app: str
    app_version: str
    model: str
    model_version: str
    weights_sha256: str
    settings: str = ""  # what a user asked for that changes the result

    def uid(self, kind: str, sources: Iterable[str], *parts: str) -> UID:
        """Return the UID of an output: fixed by kind, source instances, application, weights and settings."""
        made_with = (self.settings,) if self.settings else ()
        return derived_uid(kind, self.app, self.app_version, self.weights_sha256, *made_with, *parts, *sorted(sources))

    @property
    def software_versions(self) -> str:
        """Software Versions (0018,1020): application and model, at most 64 characters."""
        return f"{self.app} {self.app_version}, model {self.model_version}"[:64]

    @property
    def algorithm(self) -> str:
        """Name of the algorithm, with the beginning of the hash of its weights."""
        return f"{self.model} {self.weights_sha256[:12]}"
