"""The names of one hospital that go into the files of the hosts."""

from __future__ import annotations

import re
from dataclasses import dataclass

from imaging.outcome import UsageError
from imaging.suite import SUITE
from maps.describe_app import AppDescription
from maps.hosts.gateway_rules import ae_title_errors, host_errors, port_errors

REGISTRY = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
USER = re.compile(r"[1-9]\d*:[1-9]\d*")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where images come from, as whom they run, and the PACS that sends studies and takes results.

    The defaults are those of MONAI Deploy Express, with images on the host. UsageError where a host would refuse.
    """

    registry: str = ""  # of the images; empty: they are on the host
    tag: str = ""  # of the images; empty: the version of the application
    user: str = "1000:1000"
    pacs_name: str = "ORTHANC"
    pacs_ae_title: str = "ORTHANC"
    pacs_host: str = "172.29.0.100"
    pacs_port: int = 4242
    gateway_url: str = "http://localhost:5000"
    namespace: str = "argo"
    gpu: bool = False  # images are those built with --gpu, on machines that have one

    def __post_init__(self) -> None:
        errors = [
            *_pattern(self.registry, REGISTRY, "registry", "HOST[:PORT][/PATH] in small letters", empty=True),
            *_pattern(self.tag, TAG, "tag", "up to 128 letters, digits, _, . and -", empty=True),
            *_pattern(self.user, USER, "user", "UID:GID, and not root"),
            *_pattern(self.namespace, DNS_LABEL, "namespace", "small letters, digits and -"),
            *(f"PACS: {error}" for error in ae_title_errors(self.pacs_ae_title)),
            *(f"PACS name: {error}" for error in ae_title_errors(self.pacs_name)),
            *(f"PACS: {error}" for error in host_errors(self.pacs_host)),
            *(f"PACS: {error}" for error in port_errors(self.pacs_port)),
            *_pattern(self.gateway_url, re.compile(r"https?://[A-Za-z0-9.:-]+"), "gateway", "http://HOST:PORT"),
        ]
        if errors:
            raise UsageError("; ".join(errors) + ".")

    def image(self, app: AppDescription) -> str:
        """Return the name of an application's image."""
        return f"{self.registry + '/' if self.registry else ''}{image_repository(app)}:{self.tag or app.version}"

    def gpus(self, app: AppDescription) -> int:
        """Return how many GPUs a run of an application is given."""
        return max(app.deployment.gpu, int(self.gpu))


def image_repository(app: AppDescription) -> str:
    """Return the name of an application's image without registry and tag."""
    return f"{SUITE}/{app.name}"


def dns_name(app: AppDescription) -> str:
    """Return an application's name as Kubernetes takes it."""
    return app.name.replace("_", "-")


def _pattern(text: str, pattern: re.Pattern[str], name: str, wanted: str, *, empty: bool = False) -> list[str]:
    if pattern.fullmatch(text) or (empty and not text):
        return []
    return [f"{name} is {wanted}, found {text!r}"]
