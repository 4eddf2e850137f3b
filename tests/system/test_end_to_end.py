"""A study on its whole way: sender, gateway, broker, workflow, container, PACS; see tests/emulation/README.md."""

import contextlib
import copy
import json
import subprocess
import time
from io import BytesIO

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEG2000Lossless

from imaging.write_sample import write_head_study
from maps.describe_app import describe_app
from maps.hosts.hospital_site import Site
from maps.hosts.workflow_manager import docker_task, docker_workflow, export_task, output_name
from maps.write_deploy import deploy_files, write_files

pytest.importorskip("pynetdicom", reason="make system-test installs the extra")

from tests.emulation import engine
from tests.emulation.head_study import HEAD, TOO_FEW
from tests.emulation.messages import CALLBACK, DISPATCH, EXPORT, EXPORTED, GATEWAY, REQUEST, UPDATE
from tests.emulation.queues import DELIVERY_LIMIT, dead
from tests.emulation.servers import running_servers

pytestmark = [pytest.mark.system, pytest.mark.servers]
TIMER_S = 2
SKULL_STRIP, SPINE = describe_app("skull_strip"), describe_app("spine")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with running_servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest.fixture(scope="module")
def site(servers, skull_strip_image):
    """Names of the tests' hospital; the image is the one that was built."""
    registry, tag = skull_strip_image.rpartition("map-suite/skull_strip:")[::2]
    return Site(registry=registry.rstrip("/"), tag=tag, pacs_host="127.0.0.1", pacs_port=servers.pacs.dicom)


@contextlib.contextmanager
def configured_hospital(servers, site, folder):
    """A hospital that was configured by the gateway's script of its site."""
    write_files(deploy_files([SKULL_STRIP, SPINE], site), folder / "deploy")
    with servers.hospital(folder) as running:
        running.configure(folder / "deploy" / "informatics-gateway" / "curl.sh", TIMER_S)
        yield running


@pytest.fixture
def hospital(servers, site, tmp_path):
    with configured_hospital(servers, site, tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small head study; not to be changed."""
    return write_head_study(tmp_path_factory.mktemp("study") / "head", **HEAD)


@pytest.fixture(scope="module")
def done(servers, site, study, tmp_path_factory):
    """A hospital after one study went all the way, and what the PACS held then."""
    folder = tmp_path_factory.mktemp("done")
    with configured_hospital(servers, site, folder) as running:
        running.register(json.loads((folder / "deploy" / "workflow-manager" / "skull-strip.json").read_text()))
        sent = running.send(study, "SKULL-STRIP")
        assert sent.returncode == 0, sent.stderr
        running.work_to_the_end(1)
        running.arrived = servers.pacs.datasets()
        running.dead = running.dead_letters()
        yield running


def writing_less(task, *options):
    """A docker task whose application writes less: each file more is one more association."""
    task["args"]["command"] += " " + " ".join(("--no-overlays", "--no-page", *options))
    return task


def brief_workflow(site):
    """The workflow of skull stripping that writes SEG and SR alone."""
    definition = docker_workflow(SKULL_STRIP, site)
    writing_less(definition["tasks"][0], "--no-stripped-series")
    return definition


def headers(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def container_of(hospital, task):
    """State of the container of a task that has ended."""
    [ended] = [one for one in hospital.tasks.ended if one.event["task_id"] == task]
    return engine.state(ended.identity), ended


def written(hospital):
    """Folder of what the one container left."""
    _, ended = container_of(hospital, "skull-strip")
    return hospital.tasks.temporary / ended.event["execution_id"] / "outputs"


def mask(datasets):
    """Pixels of the one segmentation."""
    [seg] = [one for one in datasets if one.Modality == "SEG"]
    return seg.pixel_array


def test_results_of_a_study_arrive_in_the_pacs(done, study):
    source = headers(study)[0]

    assert done.outcomes() == {"skull-strip": {"skull-strip": "Succeeded", "export-skull-strip": "Succeeded"}}
    assert {one.Modality for one in done.arrived} >= {"SEG", "SR"}
    assert {one.SOPInstanceUID for one in done.arrived} == {one.SOPInstanceUID for one in headers(written(done))}
    assert {(one.StudyInstanceUID, one.PatientID) for one in done.arrived} == {
        (source.StudyInstanceUID, source.PatientID)
    }
    assert not {one.SOPInstanceUID for one in done.arrived} & {one.SOPInstanceUID for one in headers(study)}
    assert done.pacs.refuses_strangers()


def test_every_message_is_as_it_should_be(done, study):
    """Their fields and properties are checked as they pass; here their number, their paths and who is told what."""
    [request], [dispatch], [export], [exported] = map(done.queues.bodies, (REQUEST, DISPATCH, EXPORT, EXPORTED))

    assert request["file_count"] == len(request["payload"]) == len(headers(study))
    assert request["trigger"] == {
        "dataService": 1,
        "source": "MODALITY",
        "destination": "SKULL-STRIP",
        "artifactType": 30,
    }
    assert all(entry["metadata"] == f"{entry['path']}.json" for entry in request["payload"])
    assert [storage["relative_root_path"] for storage in dispatch["inputs"]] == [f"{request['payload_id']}/dcm"]
    assert len(done.queues.bodies(CALLBACK)) == 1
    assert [body["status"] for body in done.queues.bodies(UPDATE)] == ["Accepted", "Succeeded"]
    assert exported["status"] == "Success"
    assert set(exported["file_statuses"].values()) == {0}
    assert set(done.dead.values()) == {0}
    assert len({body["correlation_id"] for _, body in done.queues.seen if "correlation_id" in body}) == 1
    assert sorted(export["files"]) == sorted(exported["file_statuses"])


def test_the_gateways_script_may_be_run_again(done, site, tmp_path):
    write_files(deploy_files([SKULL_STRIP, SPINE], site), tmp_path / "again")
    script = tmp_path / "again" / "informatics-gateway" / "curl.sh"

    again = subprocess.run([script, done.gateway.rest.url], capture_output=True, text=True, check=False)

    assert again.returncode == 0, again.stderr
    assert again.stdout.count("exists already") == 4
    assert "ORTHANC answers C-ECHO" in again.stdout


def test_only_dicom_files_are_exported(done):
    [dispatch], [export] = map(done.queues.bodies, (DISPATCH, EXPORT))
    stored = done.store.keys(dispatch["outputs"][0]["relative_root_path"] + "/")

    assert {key.rpartition("/")[2] for key in stored} >= {"metadata.json", "result.json", "seg.dcm", "sr.dcm"}
    assert export["files"] == [key for key in stored if key.endswith(".dcm")]


def test_dcmtk_brings_results_to_the_pacs_too(done, tmp_path):
    for number, key in enumerate(done.queues.bodies(EXPORT)[0]["files"]):
        (tmp_path / f"{number}.dcm").write_bytes(done.store.get(key))

    peer = ["-aet", "MONAISCU", "-aec", "ORTHANC", "127.0.0.1", str(done.pacs.dicom)]
    sent = subprocess.run(["storescu", "-v", "-R", *peer, "+sd", tmp_path], capture_output=True, text=True, check=False)

    assert sent.returncode == 0, sent.stderr
    log = sent.stdout + sent.stderr
    assert log.count("Received Store Response (Success)") == len(list(tmp_path.iterdir()))


def test_the_container_sees_what_the_plug_in_gives_it(done, study):
    state, ended = container_of(done, "skull-strip")
    given = done.tasks.temporary / ended.event["execution_id"]

    assert state["ExitCode"] == 0, engine.output(ended.identity)
    names = sorted(f"{one.SOPInstanceUID}.dcm" for one in headers(study))
    inputs = [path for path in (given / "inputs").rglob("*") if path.is_file()]
    assert sorted(path.name for path in inputs) == sorted([*names, *(f"{name}.json" for name in names)])
    outputs = [path for path in written(done).rglob("*") if path.is_file()]
    assert {path.stat().st_uid for path in outputs} == {1000}
    stored = {key.rpartition("/")[2]: key for key in done.store.keys(f"{ended.event['payload_id']}/dcm/")}
    assert all(path.read_bytes() == done.store.get(stored[path.name]) for path in inputs), "the input was changed"


def test_a_failed_run_exports_nothing_and_fails_its_task(hospital, tmp_path, site):
    """Too few slices for a head: exit code 3, which the plug-in does not look at; but then nothing was written."""
    hospital.register(docker_workflow(SKULL_STRIP, site))
    few = write_head_study(tmp_path / "few", **TOO_FEW)

    hospital.send(few, "SKULL-STRIP")
    hospital.work_to_the_end(1)

    state, ended = container_of(hospital, "skull-strip")
    assert state["ExitCode"] == 3
    assert "at least 20 needed" in engine.output(ended.identity)
    assert [body["status"] for body in hospital.queues.bodies(UPDATE)] == ["Accepted", "Succeeded"], "of the container"
    assert hospital.outcomes() == {"skull-strip": {"skull-strip": "Failed"}}
    assert hospital.queues.bodies(EXPORT) == []
    assert hospital.pacs.studies() == []
    assert set(hospital.dead_letters().values()) == {0}


def test_compressed_instances_arrive_as_they_were_sent(done, hospital, study, site, tmp_path):
    """JPEG lossless, RLE and JPEG 2000 in one study: stored as they come, decoded by the application."""
    hospital.register(brief_workflow(site))
    for part, (option, encode) in enumerate(ENCODERS.items()):
        folder = tmp_path / f"part{part}"
        folder.mkdir()
        for path in sorted(study.rglob("*.dcm"))[part :: len(ENCODERS)]:
            encode(path, folder / path.name)
        sent = hospital.send(folder, "SKULL-STRIP", "-R", option)
        assert sent.returncode == 0, sent.stderr
    hospital.work_to_the_end(1)

    [request] = hospital.queues.bodies(REQUEST)
    payload = request["payload_id"]
    stored = [key for key in hospital.store.keys(f"{payload}/dcm/") if key.endswith(".dcm")]
    syntaxes = {pydicom.dcmread(BytesIO(hospital.store.get(key))).file_meta.TransferSyntaxUID.name for key in stored}
    assert len(stored) == len(headers(study))
    assert len(syntaxes) == len(ENCODERS), syntaxes
    np.testing.assert_array_equal(mask(hospital.pacs.datasets()), mask(done.arrived))


def _with_dcmtk(command):
    def encode(source, target):
        subprocess.run([command, source, target], check=True, capture_output=True)

    return encode


def _jpeg2000(source, target):
    dataset = pydicom.dcmread(source)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.save_as(target)


ENCODERS = {"-xs": _with_dcmtk("dcmcjpeg"), "-xr": _with_dcmtk("dcmcrle"), "-xv": _jpeg2000}
"""By storescu's option that proposes the transfer syntax."""


def test_two_applications_one_after_another(hospital, study, site):
    """The second one reads what the first one wrote, under the name it has there; both results are exported."""
    chained = docker_workflow(SKULL_STRIP, site)
    writing_less(chained["tasks"][0])
    second = writing_less(docker_task(SKULL_STRIP, site), "--no-stripped-series")
    second["id"] = "second"
    arguments = second["args"]
    arguments["second-output"] = arguments.pop(output_name(SKULL_STRIP))
    arguments[output_name(SKULL_STRIP)] = arguments.pop("skull-strip-input")
    value = f"{{{{ context.executions.skull-strip.artifacts.{output_name(SKULL_STRIP)} }}}}"
    second["artifacts"] = {"input": [{"name": "first-results", "value": value}], "output": [{"name": "second-output"}]}
    second["task_destinations"] = [{"name": "export-second"}]
    export = copy.deepcopy(export_task(SKULL_STRIP, site))
    export["id"] = "export-second"
    export["artifacts"]["input"][0]["value"] = "{{ context.executions.second.artifacts.second-output }}"
    chained["tasks"][0]["task_destinations"].append({"name": "second"})
    chained["tasks"] += [second, export]
    hospital.register(chained)

    hospital.send(study, "SKULL-STRIP")
    hospital.work(180, lambda: len(hospital.queues.bodies(EXPORTED)) == 2)

    assert set(hospital.outcomes()["skull-strip"].values()) == {"Succeeded"}
    assert len(hospital.outcomes()["skull-strip"]) == 4
    modalities = [modality for modality, _ in hospital.pacs.series()]
    assert (modalities.count("SEG"), modalities.count("SR")) == (2, 2)


def test_two_workflows_of_one_ae_title_do_not_disturb_each_other(hospital, study, site):
    """One whose image does not exist fails; the other one does not notice."""
    hospital.register(brief_workflow(site))
    missing = docker_workflow(SPINE, site)
    missing["informatics_gateway"]["ae_title"] = "SKULL-STRIP"
    missing["tasks"][0]["args"]["container_image"] = "map-suite/no-such-image:0"
    hospital.register(missing)

    hospital.send(study, "SKULL-STRIP")
    hospital.work_to_the_end(2)

    assert hospital.outcomes() == {
        "skull-strip": {"skull-strip": "Succeeded", "export-skull-strip": "Succeeded"},
        "spine": {"spine": "Failed"},
    }
    assert len(hospital.queues.bodies(REQUEST)) == 1, "one payload for both"
    assert [body["reason"] for body in hospital.queues.bodies(UPDATE) if body["status"] == "Failed"] == ["PluginError"]
    assert hospital.pacs.modalities() >= {"SEG", "SR"}


@pytest.mark.parametrize(("called", "sender"), [("NOBODY", "MODALITY"), ("SKULL-STRIP", "STRANGER")])
def test_the_gateway_refuses_whom_it_does_not_know(hospital, study, called, sender):
    sent = hospital.send(study, called, sender=sender)

    assert sent.returncode != 0
    assert "Not Recognized" in sent.stderr
    assert not hospital.gateway.receiver.open


def test_one_study_to_two_ae_titles_within_the_timer_is_one_payload(hospital, study):
    """Why docs/deploy.md says to send to one AE title at a time."""
    hospital.send(study, "SKULL-STRIP")
    hospital.send(study, "SPINE-LUMBAR")
    hospital.work(30, lambda: hospital.queues.bodies(REQUEST))

    assert [body["trigger"]["destination"] for body in hospital.queues.bodies(REQUEST)] == ["SKULL-STRIP"]
    assert not hospital.gateway.receiver.open


def test_a_message_that_is_refused_again_and_again_is_a_dead_letter(hospital):
    body = {
        "workflow_instance_id": "00000000-0000-4000-8000-000000000001",
        "export_task_id": "export",
        "status": "Success",
        "message": "",
        "file_statuses": {},
        "Target": None,
    }
    hospital.queues.publish(EXPORTED, body, GATEWAY, "00000000-0000-4000-8000-000000000002")
    refused = 0

    def refuse(_):
        raise ArithmeticError("a service that fails")

    for _ in range(100):  # the broker takes a moment
        try:
            if not hospital.queues.handle(EXPORTED, refuse) and hospital.queues.waiting(dead(EXPORTED)):
                break
        except ArithmeticError:
            refused += 1
        time.sleep(0.1)

    assert refused == DELIVERY_LIMIT + 1
    assert hospital.queues.waiting(EXPORTED) == 0
    assert hospital.queues.waiting(dead(EXPORTED)) == 1
