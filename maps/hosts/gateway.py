"""Informatics Gateway: an AE title for each application, the PACS as source and destination; curl and mig-cli lines."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from maps.describe_app import AppDescription
from maps.hosts.container import GENERATED
from maps.hosts.hospital_site import Site, dns_name

GROUPING = "0020,000D"  # Study Instance UID: applications choose among the series of a study
TIMEOUT_S = 60
"""Without a new instance, after which a study counts as whole. The gateway's 5 seconds split what a PACS sends with
pauses between series, and the second part is worked on as if it were a study."""

CURL = """\
#!/bin/sh
# Register AE titles, source and destination at the Informatics Gateway. May be run again: what exists is kept.
# {generated}
set -eu
cd "$(dirname "$0")"
gateway=${{1:-{gateway}}}
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT

register() {{
  status=$(curl --silent --show-error --output "$answer" --write-out '%{{http_code}}' \\
    --header 'Content-Type: application/json' --data @"$2" "$gateway/config/$1")
  case "$status" in
    201) echo "registered $2" ;;
    409) echo "exists already: $2" ;;
    *) echo "$2 was refused with HTTP $status:" >&2; cat "$answer" >&2; exit 1 ;;
  esac
}}

{lines}
curl --silent --show-error --fail "$gateway/config/destination/cecho/{pacs}" > /dev/null \\
  && echo "{pacs} answers C-ECHO" || echo "{pacs} does not answer C-ECHO: check host, port and AE title" >&2
"""
MIG_CLI = """\
#!/bin/sh
# The same as curl.sh with mig-cli, for a gateway that mig-cli manages.
# {generated}
set -eu
mig-cli config endpoint "${{1:-{gateway}}}"
{lines}
mig-cli dst cecho -n {pacs}
"""


def scp_body(app: AppDescription) -> dict[str, Any]:
    """Return the body of POST /config/ae for an application."""
    return {
        "name": dns_name(app),
        "aeTitle": app.deployment.ae_title,
        "grouping": GROUPING,
        "timeout": TIMEOUT_S,
        "workflows": [],
        "ignoredSopClasses": [],
        "allowedSopClasses": [],
        "plugInAssemblies": [],
    }


def source_body(site: Site) -> dict[str, Any]:
    """Return the body of POST /config/source for the PACS."""
    return {"name": site.pacs_name, "hostIp": site.pacs_host, "aeTitle": site.pacs_ae_title}


def destination_body(site: Site) -> dict[str, Any]:
    """Return the body of POST /config/destination for the PACS."""
    return {**source_body(site), "port": site.pacs_port}


def gateway_files(apps: Sequence[AppDescription], site: Site) -> Mapping[str, str]:
    """Return the files of the Informatics Gateway by path."""
    bodies = {f"ae-{dns_name(app)}.json": scp_body(app) for app in apps}
    posts = [("source", "source.json"), ("destination", "destination.json"), *(("ae", name) for name in bodies)]
    bodies |= {"source.json": source_body(site), "destination.json": destination_body(site)}
    words = {"generated": GENERATED, "gateway": site.gateway_url, "pacs": site.pacs_name}
    return {
        **{f"informatics-gateway/{name}": json.dumps(body, indent=2) + "\n" for name, body in bodies.items()},
        "informatics-gateway/curl.sh": CURL.format(
            lines="\n".join(f"register {kind} {name}" for kind, name in posts), **words
        ),
        "informatics-gateway/mig-cli.sh": MIG_CLI.format(lines="\n".join(_mig_cli(apps, site)), **words),
    }


def _mig_cli(apps: Sequence[AppDescription], site: Site) -> list[str]:
    pacs = ["-n", site.pacs_name, "-a", site.pacs_ae_title, "-h", site.pacs_host]
    lines = [["src", "add", *pacs], ["dst", "add", *pacs, "-p", str(site.pacs_port)]]
    lines += [
        ["aet", "add", "-n", dns_name(app), "-a", app.deployment.ae_title, "-g", GROUPING, "-t", str(TIMEOUT_S)]
        for app in apps
    ]
    return [shlex.join(["mig-cli", *line]) for line in lines]
