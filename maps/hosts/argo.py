"""Argo: a WorkflowTemplate for each application, and the workflow that makes the Workflow Manager run it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from maps.describe_app import AppDescription
from maps.hosts import pod
from maps.hosts.container import COMMAND, GENERATED, INPUT, OUTPUT
from maps.hosts.hospital_site import Site, dns_name
from maps.hosts.to_yaml import Data, to_yaml
from maps.hosts.workflow_manager import MARGIN_MINUTES, artifacts, input_name, output_name, workflow


def argo_files(apps: Sequence[AppDescription], site: Site) -> Mapping[str, str]:
    """Return template and workflow definition of each application by path."""
    files = {}
    for app in apps:
        files[f"argo/{dns_name(app)}-template.yaml"] = f"# {GENERATED}\n" + to_yaml(workflow_template(app, site))
        files[f"argo/{dns_name(app)}-workflow.json"] = json.dumps(argo_workflow(app, site), indent=2) + "\n"
    return files


def argo_workflow(app: AppDescription, site: Site) -> dict[str, Any]:
    """Return the workflow whose task the Workflow Manager hands to Argo; its name is not that of the docker one."""
    needs = app.deployment
    task = {
        "id": dns_name(app),
        "description": app.title,
        "type": "argo",
        "timeout_minutes": -(-needs.timeout_s // 60) + MARGIN_MINUTES,
        "args": {
            "workflow_template_name": dns_name(app),
            "namespace": site.namespace,
            "server_url": f"https://argo-server.{site.namespace}:2746",
            "allow_insecure": "true",
            "timeoutSeconds": str(needs.timeout_s),
            "cpu": str(needs.cpu),
            "memory": f"{needs.memory_mib}Mi",
            "gpu_required": str(site.gpus(app) > 0).lower(),
        },
        "artifacts": artifacts(app),
        "task_destinations": [{"name": f"export-{dns_name(app)}"}],
    }
    return {**workflow(app, site, task), "name": f"{dns_name(app)}-argo"}


def workflow_template(app: AppDescription, site: Site) -> dict[str, Data]:
    """Return the WorkflowTemplate; its artifacts have the names of the workflow's, by which they are found."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "WorkflowTemplate",
        "metadata": {"name": dns_name(app), "namespace": site.namespace},
        "spec": {
            "entrypoint": dns_name(app),
            "activeDeadlineSeconds": app.deployment.timeout_s,
            "volumes": [pod.SCRATCH, pod.shared_memory(app), {"name": "output", "emptyDir": {}}],
            "templates": [_template(app, site)],
        },
    }


def _template(app: AppDescription, site: Site) -> dict[str, Data]:
    return {
        "name": dns_name(app),
        "inputs": {"artifacts": [{"name": input_name(app), "path": INPUT}]},
        "outputs": {"artifacts": [{"name": output_name(app), "path": OUTPUT}]},
        "securityContext": pod.pod_security(site),
        "container": {
            "image": site.image(app),
            "command": list(COMMAND),
            "env": [
                {"name": "HOLOSCAN_INPUT_PATH", "value": INPUT},
                {"name": "HOLOSCAN_OUTPUT_PATH", "value": OUTPUT},
                pod.SAY_WHY,
            ],
            "securityContext": pod.CONTAINER_SECURITY,
            "resources": pod.resources(app, site),
            "volumeMounts": [pod.SCRATCH_MOUNT, pod.SHARED_MEMORY_MOUNT, {"name": "output", "mountPath": OUTPUT}],
        },
    }
