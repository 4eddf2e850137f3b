"""What a host must know to run an application: resources, time, names. Typed, and of the standard library alone."""

from __future__ import annotations

import re
from dataclasses import dataclass

AE_TITLE = re.compile(r"[A-Za-z0-9_-]{1,15}")
"""What the Informatics Gateway accepts; DICOM (PS3.5, VR AE) would allow 16 characters."""
MODALITIES = ("CT", "MR")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Needs and results of one application; ValueError where a host would not take it."""

    ae_title: str  # under which studies are sent to it
    modality: str  # of the series it works on
    body_part: str  # of the studies that should be routed to it, as people call it
    memory_mib: int  # limit: the largest peak that was measured, and a margin
    timeout_s: int  # after which a host may take it for lost: many times what two cores need
    always_writes: tuple[str, ...]  # DICOM results of every success, below the output folder
    may_write: tuple[str, ...] = ()  # DICOM results that depend on what is found; a name ending in / is a folder
    cpu: int = 2  # cores it makes use of
    gpu: int = 0  # it needs none; the GPU image uses one where there is one
    shared_memory_mib: int = 64
    nothing_eligible_is_common: bool = False  # studies without a series to work on are routed here by design

    def __post_init__(self) -> None:
        if not AE_TITLE.fullmatch(self.ae_title):
            raise ValueError(f"an AE title has 1 to 15 letters, digits, - or _; got {self.ae_title!r}")
        if self.modality not in MODALITIES:
            raise ValueError(f"modality must be one of {', '.join(MODALITIES)}; got {self.modality!r}")
        for name in ("memory_mib", "timeout_s", "cpu", "shared_memory_mib"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.gpu < 0:
            raise ValueError(f"gpu must not be negative, got {self.gpu}")
        if not self.always_writes:
            raise ValueError("always_writes must name at least one result: hosts take an empty folder for a failure")
