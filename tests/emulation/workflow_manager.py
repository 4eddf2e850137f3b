"""The Workflow Manager: definitions, instances of them, tasks one after another, exports."""

import uuid
from dataclasses import dataclass, field

from maps.workflow.check import check_workflow
from maps.workflow.definition import read_workflow
from maps.workflow.rule import Surroundings
from tests.emulation.artifact_paths import MissingArtifactError, input_paths
from tests.emulation.messages import DIMSE, DISPATCH, EXPORT, EXPORTED, MANAGER, REQUEST, UPDATE


@dataclass
class Execution:
    """A task of an instance."""

    task: dict
    folder: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "Created"
    reason: str = "None"
    outputs: dict = field(default_factory=dict)  # paths by name


@dataclass
class Instance:
    """A workflow that runs on a payload."""

    definition: dict
    payload_id: str
    correlation_id: str
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "Created"
    executions: dict = field(default_factory=dict)  # by task id


class RefusedDefinitionError(Exception):
    """HTTP 400 of POST /workflows."""


class WorkflowManager:
    """Starts and continues workflows by what the queues say."""

    def __init__(self, store, queues):
        self.store, self.queues = store, queues
        self.definitions, self.instances = {}, []

    def register(self, definition, sources):
        """Take a definition as POST /workflows does: what its validator refuses is refused."""
        known = Surroundings(workflow_names=frozenset(self.definitions), sources=frozenset(sources))
        errors = [str(one) for one in check_workflow(read_workflow(definition), known) if one.rule.code[0] == "E"]
        if errors:
            raise RefusedDefinitionError("; ".join(errors))
        self.definitions[definition["name"]] = definition

    def step(self):
        """Take a message; return whether there was one."""
        handlers = {REQUEST: self._request, UPDATE: self._update, EXPORTED: self._exported}
        return any(self.queues.handle(topic, handler) for topic, handler in handlers.items())

    def _request(self, request):
        for definition in self.definitions.values():
            if matches(definition["informatics_gateway"], request["trigger"]):
                instance = Instance(definition, request["payload_id"], request["correlation_id"])
                self.instances.append(instance)
                self._start(instance, definition["tasks"][0])

    def _start(self, instance, task):
        execution = Execution(task, "")
        execution.folder = f"{instance.payload_id}/workflows/{instance.id}/{execution.id}"
        instance.executions[task["id"]] = execution
        try:
            inputs = input_paths(task["artifacts"].get("input", ()), instance, self.store)
        except MissingArtifactError:
            self._fail(instance, execution, "ExternalServiceError")
            return
        if task["type"] == "export":
            self._export(instance, execution, inputs)
        else:
            self._dispatch(instance, execution, inputs)

    def _dispatch(self, instance, execution, inputs):
        task = execution.task
        names = [artifact["name"] for artifact in task["artifacts"].get("output", ())]
        body = {
            "workflow_instance_id": instance.id,
            "task_id": task["id"],
            "execution_id": execution.id,
            "payload_id": instance.payload_id,
            "correlation_id": instance.correlation_id,
            "type": task["type"],
            "task_plugin_arguments": {**task["args"], "workflow_name": instance.definition["name"]},
            "status": "Created",
            "inputs": [self.store.storage(name, path) for name, path in inputs.items()],
            "outputs": [self.store.storage(name, f"{execution.folder}/{name}") for name in names],
            "intermediate_storage": self.store.storage(task["id"], execution.folder),
            "metadata": {},
        }
        execution.status = "Dispatched"
        self.queues.publish(DISPATCH, body, MANAGER, instance.correlation_id)

    def _export(self, instance, execution, inputs):
        files = [key for path in inputs.values() for key in self.store.keys(path) if key.lower().endswith(".dcm")]
        if not files:
            self._fail(instance, execution, "None")
            return
        names = [destination["name"] for destination in execution.task["export_destinations"]]
        body = {
            "workflow_instance_id": instance.id,
            "export_task_id": execution.task["id"],
            "files": files,
            "destinations": names,
            "correlation_id": instance.correlation_id,
            "delivery_tag": None,
            "message_id": None,
            "error_messages": [],
            "payload_id": instance.payload_id,
            "plug_in_assemblies": [],
            "Target": {"dataService": DIMSE, "source": None, "destination": names[0], "artifactType": 0},
        }
        execution.status = "Dispatched"
        self.queues.publish(EXPORT, body, MANAGER, instance.correlation_id)

    def _update(self, update):
        instance, execution = self._find(update["workflow_instance_id"], update["task_id"])
        if update["status"] == "Failed":
            self._fail(instance, execution, update["reason"])
        elif update["status"] == "Accepted":
            execution.status = "Accepted"
        elif self._take_outputs(execution, update["outputs"]):
            self._succeed(instance, execution)
        else:
            self._fail(instance, execution, "None")

    def _take_outputs(self, execution, outputs):
        execution.outputs = {
            storage["name"]: storage["relative_root_path"]
            for storage in outputs
            if self.store.exists(storage["relative_root_path"])
        }
        wanted = [artifact for artifact in execution.task["artifacts"]["output"] if artifact.get("mandatory", True)]
        return all(artifact["name"] in execution.outputs for artifact in wanted)

    def _succeed(self, instance, execution):
        execution.status = "Succeeded"
        tasks = {task["id"]: task for task in instance.definition["tasks"]}
        following = [tasks[one["name"]] for one in execution.task.get("task_destinations", ())]
        for task in following:
            if not waits_for_ever(task, execution.task):
                self._start(instance, task)
        self._conclude(instance)

    def _exported(self, complete):
        instance, execution = self._find(complete["workflow_instance_id"], complete["export_task_id"])
        execution.status = "Succeeded" if complete["status"] == "Success" else "Failed"
        self._conclude(instance)

    def _fail(self, instance, execution, reason):
        execution.status, execution.reason = "Failed", reason
        self._conclude(instance)

    def _conclude(self, instance):
        statuses = {execution.status for execution in instance.executions.values()}
        if "Failed" in statuses:
            instance.status = "Failed"
        elif statuses == {"Succeeded"}:
            instance.status = "Succeeded"

    def _find(self, instance_id, task_id):
        instance = next(one for one in self.instances if one.id == instance_id)
        return instance, instance.executions[task_id]


def matches(gateway, trigger):
    """Whether a workflow is for what was sent to this AE title by this one."""
    origins = gateway.get("data_origins") or [trigger["source"]]
    return gateway["ae_title"] == trigger["destination"] and trigger["source"] in origins


def waits_for_ever(task, before):
    """Whether a mandatory input is named like an output before: the manager then waits for an event."""
    names = {artifact["name"] for artifact in before["artifacts"].get("output", ())}
    inputs = task["artifacts"].get("input", ())
    return any(artifact["name"] in names and artifact.get("mandatory", True) for artifact in inputs)
