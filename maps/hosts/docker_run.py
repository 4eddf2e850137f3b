"""A plain host: one shell script for each application that runs its image on one study."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from imaging.suite import RESEARCH_USE
from maps.describe_app import AppDescription
from maps.hosts.container import GENERATED, INPUT, OUTPUT, PROCESSES, SCRATCH_MIB
from maps.hosts.hospital_site import Site, dns_name

SCRIPT = """\
#!/bin/sh
# {title}
# {research}
#   {path} STUDY OUTPUT [OPTION of the application...]
# Exit codes: docs/outcomes.md; ended after {timeout_s} s with 143. MAP_ENGINE: the engine, docker by default.
# {generated}
set -eu
if [ $# -lt 2 ] || [ ! -d "$1" ]; then
  echo "usage: $0 STUDY OUTPUT [OPTION...]; STUDY is an existing folder" >&2
  exit 2
fi
mkdir -p "$2"
study=$(cd "$1" && pwd -P) output=$(cd "$2" && pwd -P)
shift 2
exec timeout --preserve-status {timeout_s} "${{MAP_ENGINE:-docker}}" run {arguments} \\
  --user "${{MAP_USER:-$(id -u):$(id -g)}}" \\
  --env "MAP_EMPTY_ON_FAILURE=${{MAP_EMPTY_ON_FAILURE:-0}}" \\
  --mount "type=bind,\\"source=$study\\",target={input},readonly" \\
  --mount "type=bind,\\"source=$output\\",target={output}" \\
  {image} "$@"
"""


def run_arguments(app: AppDescription, site: Site) -> list[str]:
    """Return the options of ``docker run`` that every host of its own should give: what it may, and how much of it."""
    needs = app.deployment
    memory = f"{needs.memory_mib}m"
    return [
        "--rm", "--network=none", "--read-only", f"--tmpfs=/tmp:rw,nosuid,nodev,noexec,size={SCRATCH_MIB}m",
        "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--pids-limit={PROCESSES}", f"--cpus={needs.cpu}",
        f"--memory={memory}", f"--memory-swap={memory}", f"--shm-size={needs.shared_memory_mib}m",
        *([f"--gpus={site.gpus(app)}"] if site.gpus(app) else []),
    ]  # fmt: skip


def docker_run_files(apps: Sequence[AppDescription], site: Site) -> Mapping[str, str]:
    """Return the script of each application by path."""
    return {f"docker/{dns_name(app)}.sh": script(app, site) for app in apps}


def script(app: AppDescription, site: Site) -> str:
    """Return the script that runs an application's image."""
    return SCRIPT.format(
        title=f"{app.title}.",
        research=RESEARCH_USE,
        path=f"deploy/docker/{dns_name(app)}.sh",
        timeout_s=app.deployment.timeout_s,
        generated=GENERATED,
        arguments=" \\\n  ".join(shlex.quote(argument) for argument in run_arguments(app, site)),
        input=INPUT,
        output=OUTPUT,
        image=site.image(app),
    )
