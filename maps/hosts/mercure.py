"""mercure: module, rule and target of each application, to be merged into mercure.json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from imaging.suite import RESEARCH_USE
from maps.describe_app import AppDescription
from maps.hosts.container import PROCESSES
from maps.hosts.hospital_site import Site, dns_name


def mercure_files(apps: Sequence[AppDescription], site: Site) -> Mapping[str, str]:
    """Return the part of mercure.json that each application needs by path."""
    return {
        f"mercure/{dns_name(app)}.json": json.dumps(
            {
                "targets": {site.pacs_name.lower(): target(site)},
                "modules": {dns_name(app): module(app, site)},
                "rules": {dns_name(app): rule(app, site)},
            },
            indent=2,
        )
        + "\n"
        for app in apps
    }


def target(site: Site) -> dict[str, Any]:
    """Return the PACS that takes the results."""
    return {
        "target_type": "dicom",
        "ip": site.pacs_host,
        "port": str(site.pacs_port),
        "aet_target": site.pacs_ae_title,
        "aet_source": "MERCURE",
        "direction": "push",
        "comment": "takes the results",
    }


def module(app: AppDescription, site: Site) -> dict[str, Any]:
    """Return the processing module; arguments and environment are JSON inside a text, as mercure reads them."""
    needs = app.deployment
    arguments: dict[str, Any] = {
        "mem_limit": f"{needs.memory_mib}m",
        "memswap_limit": f"{needs.memory_mib}m",
        "nano_cpus": needs.cpu * 10**9,
        "shm_size": f"{needs.shared_memory_mib}m",
        "pids_limit": PROCESSES,
        **({"runtime": "nvidia"} if site.gpus(app) else {}),
    }
    environment = {"MAP_NOTHING_ELIGIBLE_OK": "1"} if needs.nothing_eligible_is_common else {}
    return {
        "docker_tag": site.image(app),
        "environment": json.dumps(environment) if environment else "",
        "docker_arguments": json.dumps(arguments),
        "additional_volumes": "",
        "settings": {},
        "requires_root": True,  # mercure demands it of every MAP; it then runs as the image's user, which is not root
        "network_enabled": False,
        "comment": f"{app.title}. {RESEARCH_USE}",
    }


def rule(app: AppDescription, site: Site) -> dict[str, Any]:
    """Return the rule that sends whole studies which the sender addressed to the application's AE title."""
    return {
        "rule": f"tags.ReceiverAET == '{app.deployment.ae_title}'",
        "action": "both",
        "action_trigger": "study",
        "study_trigger_condition": "timeout",
        "study_force_completion_action": "proceed",
        "processing_module": dns_name(app),
        "processing_settings": {},
        "processing_retain_images": False,
        "target": site.pacs_name.lower(),
        "priority": "normal",
        "dynamic_routing": True,  # nothing eligible: result.json says that there is nothing to send
        "notification_trigger_reception": False,
        "notification_trigger_completion_on_request": True,
        "comment": app.title,
    }
