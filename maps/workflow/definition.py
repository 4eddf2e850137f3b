"""A workflow definition of the MONAI Deploy Workflow Manager as typed data, with the defaults the manager fills in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from imaging.outcome import UsageError

DEFAULT_TIMEOUT_MINUTES = 60  # of a task whose definition says -1 or nothing


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """An input or output of a task."""

    name: str
    value: str
    type: str
    mandatory: bool


@dataclass(frozen=True, kw_only=True)
class Task:
    """One task of a workflow; its type in lower case, as the manager compares it."""

    id: str
    type: str
    args: Mapping[str, Any]
    inputs: tuple[Artifact, ...]
    outputs: tuple[Artifact, ...]
    destinations: tuple[str, ...]  # ids of the tasks that follow
    exports: tuple[str, ...]  # names of export destinations
    timeout_minutes: int


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Which studies start a workflow, and where its results may go."""

    ae_title: str
    data_origins: tuple[str, ...]
    export_destinations: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Workflow:
    """A workflow; the first task is its root."""

    name: str
    version: str
    gateway: Gateway | None
    tasks: tuple[Task, ...]

    def before(self, task: Task) -> tuple[Task, ...]:
        """Return the tasks that have this one as a destination."""
        return tuple(other for other in self.tasks if task.id in other.destinations)

    def ancestors(self, task: Task) -> set[str]:
        """Return the ids of the tasks that have run when this one starts."""
        found: set[str] = set()
        waiting = [other.id for other in self.before(task)]
        while waiting:
            one = waiting.pop()
            if one not in found:
                found.add(one)
                waiting += [parent.id for parent in self.tasks if one in parent.destinations]
        return found


def read_workflow(definition: object) -> Workflow:
    """Return the workflow of parsed JSON; what is absent is empty. UsageError when it is no workflow at all."""
    content = _object(definition, "A workflow definition")
    gateway = _get(content, "informatics_gateway")
    return Workflow(
        name=_text(content, "name"),
        version=_text(content, "version"),
        gateway=None if gateway is None else _gateway(_object(gateway, "informatics_gateway")),
        tasks=tuple(_task(_object(task, "A task")) for task in _list(content, "tasks")),
    )


def _gateway(content: Mapping[str, Any]) -> Gateway:
    return Gateway(
        ae_title=_text(content, "ae_title"),
        data_origins=tuple(map(str, _list(content, "data_origins"))),
        export_destinations=tuple(map(str, _list(content, "export_destinations"))),
    )


def _task(content: Mapping[str, Any]) -> Task:
    artifacts = _object(_get(content, "artifacts") or {}, "artifacts")
    minutes = _get(content, "timeout_minutes")
    return Task(
        id=_text(content, "id"),
        type=_text(content, "type").lower(),
        args=dict(_object(_get(content, "args") or {}, "args")),
        inputs=tuple(_artifacts(_list(artifacts, "input"))),
        outputs=tuple(_artifacts(_list(artifacts, "output"))),
        destinations=_names(_list(content, "task_destinations")),
        exports=_names(_list(content, "export_destinations")),
        timeout_minutes=DEFAULT_TIMEOUT_MINUTES if minutes in (None, -1) else int(minutes),
    )


def _artifacts(contents: Iterable[object]) -> Iterable[Artifact]:
    for content in contents:
        artifact = _object(content, "An artifact")
        yield Artifact(
            name=_text(artifact, "name"),
            value=_text(artifact, "value"),
            type=_text(artifact, "type"),
            mandatory=_get(artifact, "mandatory") is not False,
        )


def _names(contents: Iterable[object]) -> tuple[str, ...]:
    return tuple(_text(_object(content, "A destination"), "name") for content in contents)


def _get(content: Mapping[str, Any], name: str) -> Any:
    """Return a value whatever the case of its key: the manager's JSON reader does not look at it."""
    return next((value for key, value in content.items() if key.lower() == name), None)


def _text(content: Mapping[str, Any], name: str) -> str:
    value = _get(content, name)
    return "" if value is None else str(value)


def _list(content: Mapping[str, Any], name: str) -> list[Any]:
    value = _get(content, name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise UsageError(f"{name} must be a JSON array, found {type(value).__name__}.")
    return value


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"{what} must be a JSON object, found {type(value).__name__}.")
    return value
