"""The rules by which the Workflow Manager accepts a definition (WorkflowValidator, 0.2.1): E01 to E18, E26, E27.

Those of single task types follow in ``task_rules``. A definition that breaks one is refused with HTTP 400.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from maps.workflow.definition import Task, Workflow
from maps.workflow.rule import Rule, Surroundings

AE_TITLE_LENGTH = 15
TASK_ID = re.compile(r"[a-zA-Z0-9_-]+")
TASK_TYPES = (
    "argo", "aide_clinical_review", "router", "export", "docker", "email", "remote_app_execution", "export_hl7",
)  # fmt: skip
EXPORTING = ("export", "export_hl7", "remote_app_execution")

Found = Iterable[str]


def _name_missing(workflow: Workflow, _: Surroundings) -> Found:
    if not workflow.name.strip():
        yield f"name is {workflow.name!r}"


def _name_taken(workflow: Workflow, known: Surroundings) -> Found:
    if workflow.name.strip() and workflow.name in known.workflow_names:
        yield f"there is another workflow {workflow.name!r}"


def _version_missing(workflow: Workflow, _: Surroundings) -> Found:
    if not workflow.version.strip():
        yield f"version is {workflow.version!r}"


def _gateway_missing(workflow: Workflow, _: Surroundings) -> Found:
    if workflow.gateway is None:
        yield "informatics_gateway is missing"


def _ae_title_wrong(workflow: Workflow, _: Surroundings) -> Found:
    if workflow.gateway and not _is_ae_title(workflow.gateway.ae_title):
        yield f"ae_title is {workflow.gateway.ae_title!r}"


def _is_ae_title(text: str) -> bool:
    return bool(text.strip()) and len(text) <= AE_TITLE_LENGTH


def _origin_unknown(workflow: Workflow, known: Surroundings) -> Found:
    if workflow.gateway and _is_ae_title(workflow.gateway.ae_title) and known.sources is not None:
        for origin in workflow.gateway.data_origins:
            if origin not in known.sources:
                yield f"{origin!r} is none of {', '.join(sorted(known.sources)) or 'no source'}"


def _no_task(workflow: Workflow, _: Surroundings) -> Found:
    if not workflow.tasks:
        yield "tasks is empty"


def _task_id_wrong(workflow: Workflow, _: Surroundings) -> Found:
    return [f"task {task.id!r}" for task in workflow.tasks if not TASK_ID.fullmatch(task.id)]


def _output_name_twice(workflow: Workflow, _: Surroundings) -> Found:
    for task in workflow.tasks:
        for name in _twice(output.name for output in task.outputs):
            yield f"task {task.id!r} has several outputs {name!r}"


def _root_is_destination(workflow: Workflow, _: Surroundings) -> Found:
    for task in workflow.tasks:
        if workflow.tasks[0].id in task.destinations:
            yield f"task {task.id!r} leads to the first task {workflow.tasks[0].id!r}"


def _task_id_twice(workflow: Workflow, _: Surroundings) -> Found:
    return [f"several tasks {name!r}" for name in _twice(task.id for task in workflow.tasks)]


def _type_unknown(workflow: Workflow, _: Surroundings) -> Found:
    for task in workflow.tasks:
        if task.type not in TASK_TYPES:
            yield f"task {task.id!r} is of type {task.type!r}; there are {', '.join(TASK_TYPES)}"


def needing_input(workflow: Workflow) -> list[Task]:
    """Return the tasks of a known type that need an input: all but routers."""
    return [task for task in workflow.tasks if task.type in TASK_TYPES and task.type != "router"]


def _no_input(workflow: Workflow, _: Surroundings) -> Found:
    return [f"task {task.id!r} has none" for task in needing_input(workflow) if not task.inputs]


def _input_without_name(workflow: Workflow, _: Surroundings) -> Found:
    for task in needing_input(workflow):
        if any(not item.name.strip() for item in task.inputs):
            yield f"task {task.id!r} has one without"


def _input_without_value(workflow: Workflow, _: Surroundings) -> Found:
    for task in needing_input(workflow):
        for item in task.inputs:
            if not item.value.strip():
                yield f"input {item.name!r} of task {task.id!r} has none"


def _no_destination(workflow: Workflow, _: Surroundings) -> Found:
    return [f"task {task.id!r} has none" for task in workflow.tasks if task.type in EXPORTING and not task.exports]


def _destination_twice(workflow: Workflow, _: Surroundings) -> Found:
    for task in workflow.tasks:
        for name in _twice(task.exports if task.type in EXPORTING else ()):
            yield f"task {task.id!r} has {name!r} several times"


def _destination_not_listed(workflow: Workflow, _: Surroundings) -> Found:
    listed = workflow.gateway.export_destinations if workflow.gateway else ()
    for task in workflow.tasks if workflow.gateway else ():
        for name in sorted({name for name in task.exports if name not in listed}):
            yield f"{name!r} of task {task.id!r} is none of {', '.join(listed) or 'no destination'}"


def _converging(workflow: Workflow, _: Surroundings) -> Found:
    for name in _twice(name for task in workflow.tasks for name in task.destinations):
        leading = [repr(task.id) for task in workflow.tasks if name in task.destinations]
        yield f"{', '.join(leading)} lead to {name!r}"


def _unreachable(workflow: Workflow, _: Surroundings) -> Found:
    named = {name for task in workflow.tasks for name in task.destinations}
    others = dict.fromkeys(task.id for task in workflow.tasks if task.id != workflow.tasks[0].id)
    return [f"none leads to {name!r}" for name in others if name not in named]


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


MANAGER_RULES = (
    Rule("E01", "a workflow has a name", _name_missing),
    Rule("E02", "no other workflow has its name", _name_taken),
    Rule("E03", "a workflow has a version", _version_missing),
    Rule("E04", "a workflow has a section informatics_gateway", _gateway_missing),
    Rule("E05", f"ae_title has 1 to {AE_TITLE_LENGTH} characters", _ae_title_wrong),
    Rule("E06", "every data_origin is a source of the Informatics Gateway", _origin_unknown),
    Rule("E07", "a workflow has a task", _no_task),
    Rule("E08", "ids of tasks are made of letters, digits, - and _", _task_id_wrong),
    Rule("E09", "outputs of a task have different names", _output_name_twice),
    Rule("E10", "no task leads to the first one", _root_is_destination),
    Rule("E11", "tasks have different ids", _task_id_twice),
    Rule("E12", "tasks are of a known type", _type_unknown),
    Rule("E13", "a task that is no router has an input", _no_input),
    Rule("E14", "inputs have a name", _input_without_name),
    Rule("E15", "inputs have a value", _input_without_value),
    Rule("E16", "an exporting task has an export destination", _no_destination),
    Rule("E17", "export destinations of a task are different", _destination_twice),
    Rule("E18", "export destinations are listed in informatics_gateway", _destination_not_listed),
    Rule("E26", "branches do not converge: a task follows one other", _converging),
    Rule("E27", "every task but the first follows another", _unreachable),
)
