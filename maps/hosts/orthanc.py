"""Orthanc: a Lua hook that starts a script for each stable study, the script, and its configuration."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from maps.describe_app import AppDescription
from maps.hosts.container import GENERATED
from maps.hosts.docker_run import run_arguments
from maps.hosts.hospital_site import Site

HOOK = """\
-- Run applications on a study that has not changed for StableAge seconds (run_map.py says which).
-- In the background: Orthanc waits for this function, and would take no instance while an image runs.
-- {generated}
local home = os.getenv('MAP_SUITE_HOME') or '/etc/orthanc/map-suite'
local log = os.getenv('MAP_SUITE_LOG') or '/var/log/orthanc/map-suite.log'

function OnStableStudy(studyId, tags, metadata)
  if not string.match(studyId, '^[0-9a-f-]+$') then  -- it goes into a shell's command line
    PrintRecursive('map-suite: no identifier of a study')
    return
  end
  os.execute('setsid python3 "' .. home .. '/run_map.py" ' .. studyId .. ' >> "' .. log .. '" 2>&1 &')
end
"""


def orthanc_files(apps: Sequence[AppDescription], site: Site) -> Mapping[str, str]:
    """Return hook, script and configuration by path."""
    config = {
        "generated": GENERATED,
        "orthanc": "http://127.0.0.1:8042",
        "credentials": "/etc/orthanc/map-suite/credentials",
        "spool": "/var/lib/orthanc/map-suite",
        "user": site.user,
        "applications": [
            {
                "name": app.name,
                "ae_title": app.deployment.ae_title,
                "image": site.image(app),
                "timeout_s": app.deployment.timeout_s,
                "run": run_arguments(app, site),
            }
            for app in apps
        ],
    }
    return {
        "orthanc/map_suite.lua": HOOK.format(generated=GENERATED),
        "orthanc/run_map.py": Path(__file__).with_name("orthanc_run.py").read_text(),
        "orthanc/map_suite.json": json.dumps(config, indent=2) + "\n",
    }
