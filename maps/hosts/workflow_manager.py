"""Workflow Manager: a workflow for each application: its image run by the docker plug-in, the results exported."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from imaging.suite import RESEARCH_USE
from maps.describe_app import AppDescription
from maps.hosts.container import APP, INPUT, MODELS, OUTPUT
from maps.hosts.hospital_site import Site, dns_name

EXPORT_INPUT = "export-dicom"  # unlike any output: the manager skips a task whose input is named like an output before
MARGIN_MINUTES = 5  # for the manager beyond what the plug-in waits: download, upload, messages


def workflow_files(apps: Sequence[AppDescription], site: Site) -> Mapping[str, str]:
    """Return a workflow definition for each application by path."""
    return {
        f"workflow-manager/{dns_name(app)}.json": json.dumps(docker_workflow(app, site), indent=2) + "\n"
        for app in apps
    }


def docker_workflow(app: AppDescription, site: Site) -> dict[str, Any]:
    """Return the workflow that runs an application's image by the docker plug-in."""
    return workflow(app, site, docker_task(app, site))


def workflow(app: AppDescription, site: Site, task: dict[str, Any]) -> dict[str, Any]:
    """Return a workflow of one task and the export of its output."""
    return {
        "name": dns_name(app),
        "version": app.version,
        "description": f"{app.title}. {RESEARCH_USE}",
        "informatics_gateway": {
            "ae_title": app.deployment.ae_title,
            "data_origins": [site.pacs_ae_title],
            "export_destinations": [site.pacs_name],
        },
        "tasks": [task, export_task(app, site)],
    }


def input_name(app: AppDescription) -> str:
    """Return the name of the artifact an application reads."""
    return f"{dns_name(app)}-input"


def output_name(app: AppDescription) -> str:
    """Return the name of the artifact an application writes, which no other application has."""
    return f"{dns_name(app)}-output"


def artifacts(app: AppDescription) -> dict[str, Any]:
    """Return what an application's task reads and writes."""
    return {
        "input": [{"name": input_name(app), "value": "{{ context.input.dicom }}", "mandatory": True}],
        "output": [{"name": output_name(app), "mandatory": True}],
    }


def export_task(app: AppDescription, site: Site) -> dict[str, Any]:
    """Return the task that sends an application's DICOM results."""
    source = f"{{{{ context.executions.{dns_name(app)}.artifacts.{output_name(app)} }}}}"
    return {
        "id": f"export-{dns_name(app)}",
        "description": "Send the .dcm files of the output, nothing else",
        "type": "export",
        "export_destinations": [{"name": site.pacs_name}],
        "artifacts": {"input": [{"name": EXPORT_INPUT, "value": source, "mandatory": True}], "output": []},
    }


def docker_task(app: AppDescription, site: Site) -> dict[str, Any]:
    """Return the task that runs an application's image; the plug-in sees of a failure only that nothing was written."""
    minutes = math.ceil(app.deployment.timeout_s / 60)
    return {
        "id": dns_name(app),
        "description": app.title,
        "type": "docker",
        "timeout_minutes": minutes + MARGIN_MINUTES,
        "args": {
            "container_image": site.image(app),
            "server_url": "unix:///var/run/docker.sock",
            "user": site.user,
            "entrypoint": "/bin/bash,-c",
            "command": f"python3 -u {APP}",
            "task_timeout_minutes": str(minutes),
            "temp_storage_container_path": "/var/lib/mde/",
            input_name(app): INPUT,
            output_name(app): OUTPUT,
            "env_HOLOSCAN_INPUT_PATH": INPUT,
            "env_HOLOSCAN_OUTPUT_PATH": OUTPUT,
            "env_HOLOSCAN_MODEL_PATH": MODELS,
            "env_MAP_EMPTY_ON_FAILURE": "1",
        },
        "artifacts": artifacts(app),
        "task_destinations": [{"name": f"export-{dns_name(app)}"}],
    }
