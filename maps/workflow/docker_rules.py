"""Rules on docker tasks: the Workflow Manager accepts what breaks them, and the task then fails, or fails unnoticed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from posixpath import normpath
from urllib.parse import urlsplit

from maps.workflow.definition import Task, Workflow
from maps.workflow.name_rules import source_of
from maps.workflow.rule import Rule, Surroundings

REQUIRED = ("server_url", "entrypoint", "command", "container_image", "temp_storage_container_path")
USER = re.compile(r"\d+:\d+")
WORKDIR = "env_MONAI_WORKDIR"
FOLDER_VARIABLES = {"env_HOLOSCAN_INPUT_PATH": "input", "env_HOLOSCAN_OUTPUT_PATH": "output"}

Found = Iterable[str]


def _docker(workflow: Workflow) -> list[Task]:
    return [task for task in workflow.tasks if task.type == "docker"]


def input_names(task: Task) -> list[str]:
    """Return the names under which inputs are dispatched: an output of another task keeps the name it has there."""
    sources = [(item.name, source_of(item)) for item in task.inputs]
    return [source[1] if source and source[1] else name for name, source in sources]


def mounted(task: Task) -> list[str]:
    """Return the names of all artifacts that need a folder in the container."""
    return [*input_names(task), *(output.name for output in task.outputs)]


def _arg_missing(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        yield from (f"task {task.id!r} has no {name!r}" for name in REQUIRED if name not in task.args)


def _not_text(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        yield from (f"{key} of task {task.id!r} is {value!r}" for key, value in task.args.items() if _no_text(value))


def _no_text(value: object) -> bool:
    return not isinstance(value, str)


def _url_wrong(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        url = urlsplit(str(task.args.get("server_url", "unix:///")))
        if not url.scheme or not (url.netloc or url.path):
            yield f"task {task.id!r} has {task.args['server_url']!r}"


def _not_mapped(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        for name in mounted(task):
            if name and name not in task.args:
                yield f"task {task.id!r} has no argument {name!r} with the folder in the container"


def _folders(task: Task) -> Iterator[tuple[str, str]]:
    for name in mounted(task):
        if name in task.args:
            yield name, normpath(str(task.args[name]))


def _same_folder(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        for folder, times in Counter(folder for _, folder in _folders(task)).items():
            if times > 1:
                yield f"task {task.id!r} mounts {times} on {folder}: the engine refuses (Duplicate mount point)"


def _relative(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        yield from (f"{name!r} of task {task.id!r} is {at!r}" for name, at in _folders(task) if not at.startswith("/"))


def _elsewhere(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        names = {"input": input_names(task), "output": [output.name for output in task.outputs]}
        for variable, kind in FOLDER_VARIABLES.items():
            folders = {normpath(str(task.args[name])) for name in names[kind] if name in task.args}
            if variable in task.args and folders and normpath(str(task.args[variable])) not in folders:
                yield f"task {task.id!r}: {variable} is {task.args[variable]!r}, where no {kind} is mounted"


def _no_user(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        if not USER.fullmatch(str(task.args.get("user", ""))):
            yield f"task {task.id!r} has {task.args.get('user')!r}: its output folder would belong to root"


def _no_time(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        minutes = task.args.get("task_timeout_minutes")
        if not _whole(minutes):
            yield f"task {task.id!r} has {minutes!r}: the plug-in would wait for 5 minutes"


def _whole(value: object) -> bool:
    return str(value).isascii() and str(value).isdigit() and int(str(value)) >= 1


def _manager_gives_up_first(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        minutes = task.args.get("task_timeout_minutes")
        if _whole(minutes) and task.timeout_minutes < int(str(minutes)):
            yield f"task {task.id!r}: {task.timeout_minutes} is less than its {minutes} minutes"


def _workdir_mounted(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        if WORKDIR in task.args:
            yield f"task {task.id!r} has it: an empty folder would be mounted over {task.args[WORKDIR]!r}"


def _nothing_mandatory(workflow: Workflow, _: Surroundings) -> Found:
    for task in _docker(workflow):
        if not any(output.mandatory for output in task.outputs):
            yield f"task {task.id!r} has none: it would succeed whatever happens in the container"


DOCKER_RULES = (
    Rule("D01", f"a docker task has the args {', '.join(REQUIRED)}", _arg_missing),
    Rule("D02", "args of a docker task are texts", _not_text),
    Rule("D03", "server_url of a docker task is a whole URL", _url_wrong),
    Rule("D04", "args of a docker task map every artifact to a folder", _not_mapped),
    Rule("D05", "no two artifacts of a docker task have the same folder", _same_folder),
    Rule("D06", "folders in the container are absolute", _relative),
    Rule("D07", "an application is told the folders that are mounted", _elsewhere),
    Rule("D08", "user of a docker task is UID:GID", _no_user),
    Rule("D09", "task_timeout_minutes of a docker task is a whole number of at least 1", _no_time),
    Rule("D10", "timeout_minutes of a docker task is not less than its task_timeout_minutes", _manager_gives_up_first),
    Rule("D11", f"a docker task has no {WORKDIR}", _workdir_mounted),
    Rule("D12", "a docker task has a mandatory output", _nothing_mandatory),
)
