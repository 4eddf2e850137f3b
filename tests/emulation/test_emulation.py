"""What the emulation copies of the services although nobody would write it so; without servers."""

import copy

import pytest

from maps.describe_app import describe_app
from maps.hosts.hospital_site import Site
from maps.hosts.workflow_manager import docker_workflow
from tests.emulation.messages import DISPATCH, EXPORT, UPDATE, check_body
from tests.emulation.plug_in import specification
from tests.emulation.workflow_manager import RefusedDefinitionError, WorkflowManager, matches

PAYLOAD, CORRELATION = "10000000-0000-4000-8000-000000000000", "20000000-0000-4000-8000-000000000000"
ORIGIN = {"dataService": 1, "source": "ORTHANC", "destination": "SKULL-STRIP", "artifactType": 30}
REQUEST = {"payload_id": PAYLOAD, "correlation_id": CORRELATION, "trigger": ORIGIN}


class Store(dict):
    """Objects by key."""

    def keys(self, prefix):
        return [key for key in self if key.startswith(prefix)]

    def exists(self, path):
        return any(key == path or key.startswith(f"{path}/") for key in self.keys(path))

    def storage(self, name, path):
        return {
            "name": name,
            "endpoint": "127.0.0.1:1",
            "credentials": None,
            "bucket": "monaideploy",
            "secured_connection": False,
            "relative_root_path": path,
        }


class Queues:
    """Messages that were sent."""

    def __init__(self):
        self.sent = []

    def publish(self, topic, body, *_):
        check_body(topic, body)
        self.sent.append((topic, body))

    def bodies(self, topic):
        return [body for one, body in self.sent if one == topic]


@pytest.fixture
def definition():
    return copy.deepcopy(docker_workflow(describe_app("skull_strip"), Site()))


@pytest.fixture
def store():
    return Store({f"{PAYLOAD}/dcm/1/2/3.dcm": b""})


def ended(store, definition, written=("seg.dcm",)):
    """A manager after the first task has ended and left files."""
    queues = Queues()
    manager = WorkflowManager(store, queues)
    manager.register(definition, {"ORTHANC"})
    manager._request(REQUEST)
    for dispatch in queues.bodies(DISPATCH):
        root = dispatch["outputs"][0]["relative_root_path"]
        store |= {f"{root}{name if name.startswith('-') else f'/{name}'}": b"" for name in written}
        names = ("workflow_instance_id", "task_id")
        outputs = dispatch["outputs"]
        manager._update({**{name: dispatch[name] for name in names}, "status": "Succeeded", "outputs": outputs})
    return manager, queues


def test_an_export_named_like_the_output_is_never_started_and_the_workflow_succeeds(store, definition):
    definition["tasks"][1]["artifacts"]["input"][0]["name"] = "skull-strip-output"

    manager, queues = ended(store, definition)

    assert queues.bodies(EXPORT) == []
    assert [one.status for one in manager.instances] == ["Succeeded"]


def test_an_output_is_listed_by_its_prefix(store, definition):
    definition["tasks"][0]["artifacts"]["output"].append({"name": "skull-strip-output-2", "mandatory": False})

    _, queues = ended(store, definition, ("a.dcm", "-2/b.dcm"))

    files = queues.bodies(EXPORT)[0]["files"]
    assert [key.rpartition("skull-strip-output")[2] for key in files] == ["/a.dcm", "-2/b.dcm"]


def test_a_task_that_wrote_nothing_fails_although_its_container_succeeded(store, definition):
    manager, queues = ended(store, definition, ())

    assert manager.instances[0].executions["skull-strip"].status == "Failed"
    assert queues.bodies(EXPORT) == []


def test_an_output_that_need_not_be_there_does_not_fail_its_task_but_the_export(store, definition):
    definition["tasks"][0]["artifacts"]["output"][0]["mandatory"] = False

    manager, _ = ended(store, definition, ())

    statuses = {name: one.status for name, one in manager.instances[0].executions.items()}
    assert statuses == {"skull-strip": "Succeeded", "export-skull-strip": "Failed"}


def test_an_export_without_dicom_files_fails(store, definition):
    manager, queues = ended(store, definition, ("metadata.json", "mask.nii.gz"))

    assert queues.bodies(EXPORT) == []
    assert manager.instances[0].executions["export-skull-strip"].status == "Failed"


def test_a_variable_without_spaces_finds_nothing(store, definition):
    definition["tasks"][0]["artifacts"]["input"][0]["value"] = "{{context.input.dicom}}"

    manager, queues = ended(store, definition)

    assert queues.bodies(DISPATCH) == []
    assert manager.instances[0].status == "Failed"


def test_what_the_validator_refuses_is_not_registered(store, definition):
    definition["version"] = ""

    with pytest.raises(RefusedDefinitionError, match="E03"):
        ended(store, definition)


@pytest.mark.parametrize(
    ("called", "calling", "expected"),
    [("SKULL-STRIP", "ORTHANC", True), ("SKULL-STRIP", "OTHER", False), ("SPINE-LUMBAR", "ORTHANC", False)],
)
def test_a_workflow_is_for_its_ae_title_and_origins(definition, called, calling, expected):
    assert matches(definition["informatics_gateway"], {"destination": called, "source": calling}) is expected


def test_a_workflow_without_origins_is_for_every_sender(definition):
    definition["informatics_gateway"]["data_origins"] = []

    assert matches(definition["informatics_gateway"], {"destination": "SKULL-STRIP", "source": "OTHER"})


def test_a_container_is_created_as_the_plug_in_does(definition):
    arguments = definition["tasks"][0]["args"]

    body = specification(arguments, [])

    assert body["Entrypoint"] == ["/bin/bash", "-c"]
    assert body["Cmd"] == ["python3 -u /opt/holoscan/app"]
    assert "HOLOSCAN_INPUT_PATH=/var/holoscan/input" in body["Env"]
    assert body["User"] == "1000:1000"
    assert body["HostConfig"] == {"Runtime": "nvidia", "Mounts": []}
    assert "User" not in specification({key: value for key, value in arguments.items() if key != "user"}, [])


UPDATE_BODY = {
    "workflow_instance_id": PAYLOAD,
    "task_id": "t",
    "execution_id": CORRELATION,
    "correlation_id": CORRELATION,
    "status": "Succeeded",
    "taskStats": {},
    "reason": "None",
    "message": "",
    "metadata": {},
    "outputs": [],
}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "succeeded"},
        {"execution_id": "1"},
        {"outputs": [{}]},
        {"more": 1},
        {"metadata": []},
        {"reason": None},
    ],
)
def test_a_message_with_a_wrong_field_is_found(change):
    check_body(UPDATE, UPDATE_BODY)

    with pytest.raises((AssertionError, ValueError)):
        check_body(UPDATE, {**UPDATE_BODY, **change})


def test_a_message_without_a_field_is_found():
    for name in UPDATE_BODY:
        with pytest.raises(AssertionError):
            check_body(UPDATE, {key: value for key, value in UPDATE_BODY.items() if key != name})
