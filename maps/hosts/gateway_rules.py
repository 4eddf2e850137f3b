"""What the Informatics Gateway accepts in its configuration; each function returns what is wrong, or nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Any

AE_TITLE = re.compile(r"[a-zA-Z0-9_-]{1,15}")
GROUPINGS = {"0010,0020": "Patient ID", "0020,000D": "Study Instance UID", "0020,000E": "Series Instance UID"}
HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
)
PORTS = range(1, 65536)


def ae_title_errors(text: str) -> Iterable[str]:
    """DICOM allows 16 characters, blanks too; the gateway does not."""
    if not AE_TITLE.fullmatch(text):
        yield f"an AE title has 1 to 15 letters, digits, - or _, found {text!r}"


def grouping_errors(text: str) -> Iterable[str]:
    """The attribute whose value makes instances one payload."""
    if text.upper() not in GROUPINGS:
        listed = ", ".join(f"{tag} ({name})" for tag, name in GROUPINGS.items())
        yield f"grouping is one of {listed}, found {text!r}"


def host_errors(text: str) -> Iterable[str]:
    """An IPv4 address or a DNS name."""
    digits = text.replace(".", "").isdigit()
    if not (_is_ipv4(text) if digits else HOST_NAME.fullmatch(text)):
        yield f"a host is an IPv4 address or a name, found {text!r}"


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def port_errors(port: object) -> Iterable[str]:
    """A TCP port."""
    if not isinstance(port, int) or port not in PORTS:
        yield f"a port is a whole number from {PORTS.start} to {PORTS.stop - 1}, found {port!r}"


def scp_errors(body: Mapping[str, Any]) -> list[str]:
    """Check the body of POST /config/ae."""
    timeout = body.get("timeout", 5)
    return [
        *ae_title_errors(str(body.get("aeTitle", ""))),
        *grouping_errors(str(body.get("grouping", "0020,000D"))),
        *([] if isinstance(timeout, int) and timeout >= 1 else [f"timeout is in whole seconds, found {timeout!r}"]),
    ]


def source_errors(body: Mapping[str, Any]) -> list[str]:
    """Check the body of POST /config/source."""
    return [*ae_title_errors(str(body.get("aeTitle", ""))), *host_errors(str(body.get("hostIp", "")))]


def destination_errors(body: Mapping[str, Any]) -> list[str]:
    """Check the body of POST /config/destination."""
    named = [] if str(body.get("name", "")).strip() else ["a destination has a name"]
    return [*named, *source_errors(body), *port_errors(body.get("port"))]
