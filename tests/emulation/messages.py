"""Messages between the services: topics, fields and properties as monai-deploy-messaging has them."""

import uuid
from datetime import datetime

REQUEST, DISPATCH, CALLBACK, UPDATE = "md.workflow.request", "md.tasks.dispatch", "md.tasks.callback", "md.tasks.update"
EXPORT, EXPORTED = "md.export.request.monaiscu", "md.export.complete"
CANCEL = "md.tasks.cancellation"
TOPICS = (REQUEST, DISPATCH, CALLBACK, UPDATE, EXPORT, EXPORTED, CANCEL)
EVENTS = {
    REQUEST: "WorkflowRequestEvent",
    DISPATCH: "TaskDispatchEvent",
    CALLBACK: "TaskCallbackEvent",
    UPDATE: "TaskUpdateEvent",
    EXPORT: "ExportRequestEvent",
    EXPORTED: "ExportCompleteEvent",
    CANCEL: "TaskCancellationEvent",
}
MANAGER = GATEWAY = "16988a78-87b5-4168-a5c3-2cfc2bab8e54"
TASK_MANAGER = "4c9072a1-35f5-4d85-847d-dafca22244a8"
DOCKER = "Docker"
DIMSE = 1  # DataService
MODALITIES = {"": 0, "CT": 10, "MR": 30, "SEG": 55, "SR": 58}  # ArtifactType, an enumeration of modalities
STATUSES = ("Created", "Dispatched", "Accepted", "Succeeded", "Failed", "Canceled")
REASONS = ("None", "Unknown", "ExternalServiceError", "PluginError", "TimedOut")
EXPORT_STATUSES = ("Success", "Failure", "PartialFailure", "Unknown")
FILE_SUCCESS, FILE_UNSUPPORTED, FILE_SERVICE_ERROR = 0, 2, 3  # FileExportStatus


def guid(value):
    assert str(uuid.UUID(value)) == value, value


def text(value):
    assert isinstance(value, str), value
    assert value, "empty"


def maybe(check):
    def checked(value):
        if value is not None:
            check(value)

    return checked


def number(value):
    assert isinstance(value, int), value
    assert not isinstance(value, bool), value


def iso_time(value):
    datetime.fromisoformat(value)


def mapping(value):
    assert isinstance(value, dict), value


def a_list(check):
    def checked(value):
        assert isinstance(value, list), value
        for item in value:
            check(item)

    return checked


def one_of(*choices):
    def checked(value):
        assert value in choices, value

    return checked


def ae_title(value):
    assert 1 <= len(value) <= 15, value


def bucket(value):
    assert 3 <= len(value) <= 63, value


def fields(**checks):
    """A JSON object with exactly these fields."""

    def checked(value):
        assert sorted(value) == sorted(checks), sorted(set(value) ^ set(checks))
        for name, check in checks.items():
            check(value[name])

    return checked


def anything(_):
    pass


def boolean(value):
    assert isinstance(value, bool), value


ORIGIN = fields(dataService=number, source=ae_title, destination=ae_title, artifactType=number)
TARGET = fields(dataService=number, source=maybe(text), destination=text, artifactType=number)
CREDENTIALS = maybe(fields(access_key=text, access_token=text, session_token=maybe(text)))
STORAGE = fields(
    name=text,
    endpoint=text,
    credentials=CREDENTIALS,
    bucket=bucket,
    secured_connection=boolean,
    relative_root_path=text,
)
IDS = {"workflow_instance_id": guid, "task_id": text, "execution_id": guid, "correlation_id": guid}
BODIES = {
    REQUEST: fields(
        payload_id=guid,
        workflows=a_list(text),
        file_count=number,
        correlation_id=guid,
        bucket=bucket,
        trigger=ORIGIN,
        data_origins=a_list(ORIGIN),
        timestamp=iso_time,
        workflow_instance_id=maybe(guid),
        task_id=maybe(text),
        payload=a_list(fields(path=text, metadata=text)),
    ),
    DISPATCH: fields(
        **IDS,
        payload_id=guid,
        type=text,
        task_plugin_arguments=mapping,
        status=one_of("Created"),
        inputs=a_list(STORAGE),
        outputs=a_list(STORAGE),
        intermediate_storage=STORAGE,
        metadata=mapping,
    ),
    CALLBACK: fields(**IDS, identity=text, metadata=mapping, outputs=a_list(STORAGE)),
    UPDATE: fields(
        **IDS,
        status=one_of(*STATUSES),
        taskStats=mapping,
        reason=one_of(*REASONS),
        message=anything,
        metadata=mapping,
        outputs=a_list(STORAGE),
    ),
    EXPORT: fields(
        workflow_instance_id=guid,
        export_task_id=text,
        files=a_list(text),
        destinations=a_list(text),
        correlation_id=guid,
        delivery_tag=maybe(text),
        message_id=maybe(text),
        error_messages=a_list(text),
        payload_id=guid,
        plug_in_assemblies=a_list(text),
        Target=TARGET,
    ),
    EXPORTED: fields(
        workflow_instance_id=guid,
        export_task_id=text,
        status=one_of(*EXPORT_STATUSES),
        message=anything,
        file_statuses=mapping,
        Target=anything,
    ),
    CANCEL: fields(
        workflow_instance_id=guid,
        execution_id=guid,
        task_id=text,
        identity=text,
        reason=one_of(*REASONS),
        message=anything,
    ),
}


def check_body(topic, body):
    """Fail when the body of a message lacks a field, has another one, or a value of a wrong kind."""
    BODIES[topic](body)


def check_properties(topic, properties):
    """Fail when a message lacks a property that the services demand."""
    assert properties.content_type == "application/json"
    assert properties.delivery_mode == 2
    assert properties.type == EVENTS[topic]
    assert properties.timestamp
    guid(properties.message_id)
    guid(properties.correlation_id)
    assert properties.app_id in (MANAGER, TASK_MANAGER, DOCKER)
