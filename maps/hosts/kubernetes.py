"""Kubernetes: a Job for one study that lies on a volume, without network, without root, on a read-only file system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from imaging.suite import SUITE
from maps.describe_app import AppDescription
from maps.hosts import pod
from maps.hosts.container import GENERATED, INPUT, OUTPUT
from maps.hosts.hospital_site import Site, dns_name
from maps.hosts.to_yaml import Data, to_yaml

STUDIES, RESULTS = "studies", "results"  # persistent volume claims
KEEP_S = 86400  # a finished Job and its log
LABELS: dict[str, Data] = {"app.kubernetes.io/part-of": SUITE}
FOLDERS = f"One study: folder STUDY of the claim {STUDIES!r} to folder STUDY of the claim {RESULTS!r}."


def kubernetes_files(apps: Sequence[AppDescription], site: Site) -> Mapping[str, str]:
    """Return the Job of each application, and the network policy of all, by path."""
    jobs = {
        f"kubernetes/{dns_name(app)}.yaml": f"# {FOLDERS}\n# {GENERATED}\n" + to_yaml(job(app, site)) for app in apps
    }
    return {**jobs, "kubernetes/offline.yaml": f"# {GENERATED}\n" + to_yaml(network_policy())}


def network_policy() -> dict[str, Data]:
    """Return the policy by which the pods of the suite neither call nor are called."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"{SUITE}-offline"},
        "spec": {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Ingress", "Egress"]},
    }


def job(app: AppDescription, site: Site) -> dict[str, Data]:
    """Return the Job; a study that fails once fails again, so it is not tried twice."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": f"{dns_name(app)}-"},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": app.deployment.timeout_s,
            "ttlSecondsAfterFinished": KEEP_S,
            "template": {"metadata": {"labels": LABELS}, "spec": _pod(app, site)},
        },
    }


def _pod(app: AppDescription, site: Site) -> dict[str, Data]:
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod.pod_security(site),
        "containers": [
            {
                "name": dns_name(app),
                "image": site.image(app),
                "env": [pod.SAY_WHY],
                "securityContext": pod.CONTAINER_SECURITY,
                "resources": pod.resources(app, site),
                "volumeMounts": [
                    {"name": STUDIES, "mountPath": INPUT, "subPath": "STUDY", "readOnly": True},
                    {"name": RESULTS, "mountPath": OUTPUT, "subPath": "STUDY"},
                    pod.SCRATCH_MOUNT,
                    pod.SHARED_MEMORY_MOUNT,
                ],
            }
        ],
        "volumes": [
            {"name": STUDIES, "persistentVolumeClaim": {"claimName": STUDIES, "readOnly": True}},
            {"name": RESULTS, "persistentVolumeClaim": {"claimName": RESULTS}},
            pod.SCRATCH,
            pod.shared_memory(app),
        ],
    }
