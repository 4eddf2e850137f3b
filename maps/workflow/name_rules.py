"""Rules on names and references: the Workflow Manager accepts what breaks them, and then does not run or export."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from maps.workflow.definition import Artifact, Task, Workflow
from maps.workflow.rule import Rule, Surroundings

VARIABLE = re.compile(r"\{\{ (?P<path>context\.(?:input\.dicom|executions\.[^\s}]+)) \}\}(?P<suffix>.*)", re.DOTALL)
"""With the spaces: the manager takes what stands between the first and the second space."""
EXECUTION = re.compile(r"context\.executions\.(?P<task>[^.]+)\.(?:output_dir|artifacts\.(?P<artifact>[^.]+))")
DNS_SAFE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.IGNORECASE)

Found = Iterable[str]


def source_of(artifact: Artifact) -> tuple[str, str | None] | None:
    """Return task id and output name that an input refers to (no name: the whole folder); None if it is the study."""
    variable = VARIABLE.match(artifact.value)
    reference = EXECUTION.fullmatch(variable["path"]) if variable else None
    return (reference["task"], reference["artifact"]) if reference else None


def _inputs(workflow: Workflow) -> Iterator[tuple[Task, Artifact]]:
    for task in workflow.tasks:
        for item in task.inputs:
            yield task, item


def _same_name(workflow: Workflow, _: Surroundings) -> Found:
    for task, item in _inputs(workflow):
        for before in workflow.before(task):
            if item.mandatory and item.name in {output.name for output in before.outputs}:
                yield (
                    f"input {item.name!r} of task {task.id!r} is named like an output of {before.id!r}: the task would "
                    "wait for an event that never comes, and the workflow end as succeeded; rename the input"
                )


def _prefix(workflow: Workflow, _: Surroundings) -> Found:
    for task in workflow.tasks:
        names = {output.name for output in task.outputs}
        for short, long in ((a, b) for a in sorted(names) for b in sorted(names) if a != b and b.startswith(a)):
            yield f"task {task.id!r}: an export of {short!r} also sends {long!r}, both are found by the prefix"


def _no_variable(workflow: Workflow, _: Surroundings) -> Found:
    for task, item in _inputs(workflow):
        variable = VARIABLE.match(item.value)
        path = variable["path"] if variable else ""
        if item.value.strip() and path != "context.input.dicom" and not EXECUTION.fullmatch(path):
            yield f"input {item.name!r} of task {task.id!r} has {item.value!r}"


def _suffix(workflow: Workflow, _: Surroundings) -> Found:
    for task, item in _inputs(workflow):
        variable = VARIABLE.match(item.value)
        if variable and variable["suffix"].strip():
            yield f"{variable['suffix'].strip()!r} of input {item.name!r} of task {task.id!r} would be ignored"


def _dangling(workflow: Workflow, _: Surroundings) -> Found:
    for task, item in _inputs(workflow):
        source = source_of(item)
        if source is None:
            continue
        name, artifact = source
        outputs = {output.name for other in workflow.tasks if other.id == name for output in other.outputs}
        if name not in workflow.ancestors(task):
            yield f"input {item.name!r} of task {task.id!r} comes from {name!r}, which does not run before it"
        elif artifact is not None and artifact not in outputs:
            yield f"input {item.name!r} of task {task.id!r}: {name!r} has no output {artifact!r}"


def _not_dns_safe(workflow: Workflow, _: Surroundings) -> Found:
    for task in workflow.tasks:
        if task.type == "argo":
            names = (task.id, *(artifact.name for artifact in (*task.inputs, *task.outputs)))
            yield from (f"{name!r} of task {task.id!r}" for name in names if name and not DNS_SAFE.fullmatch(name))


NAME_RULES = (
    Rule("N01", "a mandatory input is not named like an output of the task before", _same_name),
    Rule("N02", "no output's name begins with that of another output of its task", _prefix),
    Rule(
        "N03",
        "an input is {{ context.input.dicom }} or {{ context.executions.TASK.artifacts.NAME }}, with the spaces",
        _no_variable,
    ),
    Rule("N04", "nothing follows the braces of an input's value", _suffix),
    Rule("N05", "an input comes from an output of a task that runs before", _dangling),
    Rule("N06", "argo: ids of tasks and names of artifacts have letters, digits and - only", _not_dns_safe),
)
