"""The rules by which the Workflow Manager accepts tasks of the types argo (E19 to E23) and remote_app_execution."""

from __future__ import annotations

from collections.abc import Iterable

from maps.workflow.definition import Task, Workflow
from maps.workflow.rule import Rule, Surroundings

ARGO_ARGS = (
    "namespace", "server_url", "allow_insecure", "workflow_template_name", "timeoutSeconds", "apiToken", "endpoint",
    "username", "password", "exchange", "virtualHost", "resources", "parameters", "priority", "cpu", "memory",
    "gpu_required",
)  # fmt: skip
PRIORITIES = ("high", "standard", "low")
MODALITIES = frozenset((
    "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CR", "CT", "DG", "DOC", "DX", "ECG", "EPS", "ES", "FID", "GM",
    "HC", "HD", "IO", "IOL", "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "MG", "MR", "NM", "OAM", "OCT", "OP",
    "OPM", "OPT", "OPV", "OSS", "OT", "PLAN", "PR", "PT", "PX", "REG", "RESP", "RF", "RG", "RTDOSE", "RTIMAGE",
    "RTPLAN", "RTRECORD", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TG", "US", "VA", "XA",
    "XC",
))  # fmt: skip
"""Types of artifacts that the manager knows (ArtifactTypes of monai-deploy-messaging)."""

Found = Iterable[str]


def _of_type(workflow: Workflow, name: str) -> list[Task]:
    return [task for task in workflow.tasks if task.type == name]


def _no_template(workflow: Workflow, _: Surroundings) -> Found:
    for task in _of_type(workflow, "argo"):
        if "workflow_template_name" not in task.args:
            yield f"task {task.id!r} has none"


def _arg_unknown(workflow: Workflow, _: Surroundings) -> Found:
    for task in _of_type(workflow, "argo"):
        for name in task.args:
            if name not in ARGO_ARGS:
                yield f"task {task.id!r} has {name!r}; there are {', '.join(ARGO_ARGS)}"


def _priority_wrong(workflow: Workflow, _: Surroundings) -> Found:
    for task in _of_type(workflow, "argo"):
        priority = task.args.get("priority")
        if priority is not None and str(priority).lower() not in PRIORITIES:
            yield f"task {task.id!r} has {priority!r}"


def _cpu_wrong(workflow: Workflow, _: Surroundings) -> Found:
    for task in _of_type(workflow, "argo"):
        cpu = task.args.get("cpu")
        if cpu is not None and not (str(cpu).isascii() and str(cpu).isdigit() and int(cpu) >= 1):
            yield f"task {task.id!r} has {cpu!r}"


def _gpu_wrong(workflow: Workflow, _: Surroundings) -> Found:
    for task in _of_type(workflow, "argo"):
        needed = task.args.get("gpu_required")
        if needed is not None and str(needed).lower() not in ("true", "false"):
            yield f"task {task.id!r} has {needed!r}"


def _no_output(workflow: Workflow, _: Surroundings) -> Found:
    return [f"task {task.id!r} has none" for task in _of_type(workflow, "remote_app_execution") if not task.outputs]


def _output_type_wrong(workflow: Workflow, _: Surroundings) -> Found:
    for task in _of_type(workflow, "remote_app_execution"):
        for output in task.outputs:
            if output.type not in MODALITIES:
                yield f"output {output.name!r} of task {task.id!r} has {output.type!r}"


TASK_RULES = (
    Rule("E19", "an argo task names its workflow_template_name", _no_template),
    Rule("E20", "args of an argo task are known", _arg_unknown),
    Rule("E21", f"priority of an argo task is one of {', '.join(PRIORITIES)}", _priority_wrong),
    Rule("E22", "cpu of an argo task is a whole number of at least 1", _cpu_wrong),
    Rule("E23", "gpu_required of an argo task is true or false", _gpu_wrong),
    Rule("E24", "a remote_app_execution task has an output", _no_output),
    Rule("E25", "outputs of a remote_app_execution task have a DICOM modality as type", _output_type_wrong),
)
