"""What a pod of an application is allowed and given, for Argo and for a plain Job."""

from __future__ import annotations

from maps.describe_app import AppDescription
from maps.hosts.container import SCRATCH_MIB
from maps.hosts.hospital_site import Site
from maps.hosts.to_yaml import Data


def pod_security(site: Site) -> dict[str, Data]:
    """Return the securityContext of the pod: no root, and volumes that the user may write."""
    uid, gid = map(int, site.user.split(":"))
    return {
        "runAsNonRoot": True,
        "runAsUser": uid,
        "runAsGroup": gid,
        "fsGroup": gid,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


CONTAINER_SECURITY: dict[str, Data] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def resources(app: AppDescription, site: Site) -> dict[str, Data]:
    """Return requests and limits, as texts; memory is not overcommitted, since a killed run is a lost study."""
    needs = app.deployment
    gpu: dict[str, Data] = {"nvidia.com/gpu": str(site.gpus(app))} if site.gpus(app) else {}
    memory = f"{needs.memory_mib}Mi"
    return {
        "requests": {"cpu": "1", "memory": memory, **gpu},
        "limits": {"cpu": str(needs.cpu), "memory": memory, "ephemeral-storage": "4Gi", **gpu},
    }


SAY_WHY: dict[str, Data] = {"name": "MAP_EMPTY_ON_FAILURE", "value": "0"}
"""The exit code says that a run failed; metadata.json, which images otherwise take away, says why."""
SCRATCH: dict[str, Data] = {"name": "scratch", "emptyDir": {"sizeLimit": f"{SCRATCH_MIB}Mi"}}
SCRATCH_MOUNT: dict[str, Data] = {"name": "scratch", "mountPath": "/tmp"}  # noqa: S108  in the container


def shared_memory(app: AppDescription) -> dict[str, Data]:
    """Return the volume of /dev/shm, for which a pod has no setting of its own."""
    size = f"{app.deployment.shared_memory_mib}Mi"
    return {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": size}}


SHARED_MEMORY_MOUNT: dict[str, Data] = {"name": "shared-memory", "mountPath": "/dev/shm"}  # noqa: S108
