"""What the files of each host must say, beyond being what the generator gives."""

import csv
import json
import os
import re
import subprocess

import pytest
import yaml

from maps.describe_app import ROOT, app_names, describe_app
from maps.hosts.docker_run import run_arguments
from maps.hosts.gateway_rules import destination_errors, scp_errors, source_errors
from maps.hosts.hospital_site import Site, dns_name, image_repository

DEPLOY = ROOT / "deploy"
APPS = [describe_app(name) for name in app_names()]
GATEWAY = DEPLOY / "informatics-gateway"
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
MERCURE_MODULE = {
    "docker_tag", "additional_volumes", "environment", "docker_arguments", "settings", "contact", "comment",
    "constraints", "resources", "requires_root", "requires_persistence", "persistence_folder_name", "network_enabled",
}  # fmt: skip
"""Fields of mercure, sources of July 2026 (app/common/types.py), as are those of a rule; it drops others silently."""
MERCURE_RULE = {
    "rule", "target", "disabled", "fallback", "contact", "comment", "tags", "action", "action_trigger",
    "study_trigger_condition", "study_force_completion_action", "study_trigger_series", "priority",
    "processing_module", "processing_settings", "processing_retain_images", "notification_email",
    "notification_webhook", "notification_payload", "notification_payload_body", "notification_email_body",
    "notification_email_type", "notification_trigger_reception", "notification_trigger_completion",
    "notification_trigger_completion_on_request", "notification_trigger_error", "dynamic_routing",
    "dynamic_routing_allowed_targets", "conditional_alternate_target",
}  # fmt: skip
MERCURE_ARGUMENTS = {
    "mem_limit", "memswap_limit", "cpu_period", "cpu_quota", "cpuset_cpus", "shm_size", "runtime", "labels",
    "cpu_shares", "cpuset_mems", "nano_cpus", "pids_limit", "read_only", "stop_signal", "stop_timeout",
}  # fmt: skip
"""What mercure lets through where it forbids unsafe arguments."""
each_app = pytest.mark.parametrize("app", APPS, ids=lambda app: app.name)


def load(path):
    return json.loads((DEPLOY / path).read_text())


@each_app
def test_the_gateway_accepts_the_ae_title(app):
    body = load(f"informatics-gateway/ae-{dns_name(app)}.json")

    assert scp_errors(body) == []
    assert body["aeTitle"] == app.deployment.ae_title
    assert body["timeout"] > 5, "a PACS pauses between series"


def test_ae_titles_and_names_are_different():
    bodies = [json.loads(path.read_text()) for path in GATEWAY.glob("ae-*.json")]

    assert len(bodies) == len({body["aeTitle"] for body in bodies}) == len({body["name"] for body in bodies})


def test_the_gateway_accepts_source_and_destination():
    assert source_errors(load("informatics-gateway/source.json")) == []
    assert destination_errors(load("informatics-gateway/destination.json")) == []


GOOD = {
    "name": "N",
    "aeTitle": "FIFTEEN-LETTERS",
    "hostIp": "10.0.0.1",
    "port": 104,
    "grouping": "0020,000E",
    "timeout": 5,
}


@pytest.mark.parametrize(
    ("check", "change"),
    [
        (scp_errors, {"aeTitle": "SIXTEEN-LETTERS-"}),
        (scp_errors, {"aeTitle": ""}),
        (scp_errors, {"aeTitle": "WITH BLANK"}),
        (scp_errors, {"grouping": "0008,0050"}),
        (scp_errors, {"timeout": 0}),
        (source_errors, {"hostIp": "10.0.0.256"}),
        (source_errors, {"hostIp": "-pacs.example"}),
        (source_errors, {"hostIp": ""}),
        (source_errors, {"aeTitle": "A*B"}),
        (destination_errors, {"port": 0}),
        (destination_errors, {"port": 65536}),
        (destination_errors, {"port": "104"}),
        (destination_errors, {"name": " "}),
    ],
)
def test_what_the_gateway_refuses_is_found(check, change):
    assert check(GOOD) == []
    assert len(check({**GOOD, **change})) == 1


def test_curl_and_mig_cli_register_the_same():
    bodies = [json.loads(path.read_text()) for path in sorted(GATEWAY.glob("*.json"))]
    curl, mig_cli = ((GATEWAY / name).read_text() for name in ("curl.sh", "mig-cli.sh"))

    for path in GATEWAY.glob("*.json"):
        assert f" {path.name}\n" in curl
    for body in bodies:
        assert f"-n {body['name']} -a {body['aeTitle']}" in mig_cli
        assert "timeout" not in body or f"-g {body['grouping']} -t {body['timeout']}" in mig_cli


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.sh")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_scripts_are_shell(path):
    subprocess.run(["sh", "-n", path], check=True)


@each_app
def test_artifacts_of_the_argo_template_are_those_of_its_workflow(app):
    template = yaml.safe_load((DEPLOY / f"argo/{dns_name(app)}-template.yaml").read_text())
    workflow = load(f"argo/{dns_name(app)}-workflow.json")
    task, [entry] = workflow["tasks"][0], template["spec"]["templates"]

    for kind in ("input", "output"):
        wanted = [artifact["name"] for artifact in task["artifacts"][kind]]
        assert [artifact["name"] for artifact in entry[f"{kind}s"]["artifacts"]] == wanted
        assert all(DNS_LABEL.fullmatch(name) for name in wanted)
    assert task["args"]["workflow_template_name"] == template["metadata"]["name"]
    assert template["spec"]["entrypoint"] == entry["name"]
    assert all(DNS_LABEL.fullmatch(one["id"]) for one in workflow["tasks"])


@each_app
def test_the_argo_template_has_a_command(app):
    """Without one Argo asks a registry for the image's entry point, which a closed network does not reach."""
    template = yaml.safe_load((DEPLOY / f"argo/{dns_name(app)}-template.yaml").read_text())
    container = template["spec"]["templates"][0]["container"]

    assert container["command"] == ["python3", "-u", "/opt/holoscan/app"]
    assert container["image"] == Site().image(app)


def pods():
    for app in APPS:
        template = yaml.safe_load((DEPLOY / f"argo/{dns_name(app)}-template.yaml").read_text())["spec"]
        entry = template["templates"][0]
        yield pytest.param(
            app, entry["securityContext"], entry["container"], template["volumes"], id=f"argo-{app.name}"
        )
        pod = yaml.safe_load((DEPLOY / f"kubernetes/{dns_name(app)}.yaml").read_text())["spec"]["template"]["spec"]
        yield pytest.param(app, pod["securityContext"], pod["containers"][0], pod["volumes"], id=f"job-{app.name}")


@pytest.mark.parametrize(("app", "security", "container", "volumes"), list(pods()))
def test_a_pod_is_not_root_has_limits_and_finds_its_volumes(app, security, container, volumes):
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] > 0
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"] == f"{app.deployment.memory_mib}Mi"
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert {"/tmp", "/dev/shm", "/var/holoscan/output"} <= set(mounts)  # noqa: S108
    assert set(mounts.values()) == {volume["name"] for volume in volumes}


@each_app
def test_a_job_ends_in_time_and_is_not_repeated(app):
    job = yaml.safe_load((DEPLOY / f"kubernetes/{dns_name(app)}.yaml").read_text())
    policy = yaml.safe_load((DEPLOY / "kubernetes/offline.yaml").read_text())

    assert job["spec"]["activeDeadlineSeconds"] == app.deployment.timeout_s
    assert job["spec"]["backoffLimit"] == 0
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy["spec"]


@each_app
def test_mercure_knows_every_field(app):
    files = load(f"mercure/{dns_name(app)}.json")
    [module], [rule] = files["modules"].values(), files["rules"].values()

    assert set(module) <= MERCURE_MODULE
    assert set(rule) <= MERCURE_RULE
    assert set(json.loads(module["docker_arguments"])) <= MERCURE_ARGUMENTS
    assert module["network_enabled"] is False
    assert [rule["processing_module"]] == list(files["modules"])
    assert [rule["target"]] == list(files["targets"])
    assert ("MAP_NOTHING_ELIGIBLE_OK" in module["environment"]) == app.deployment.nothing_eligible_is_common


@each_app
def test_mercure_takes_what_was_sent_to_the_ae_title_only(app):
    rule = load(f"mercure/{dns_name(app)}.json")["rules"][dns_name(app)]["rule"]

    class Tags:
        def __init__(self, title):
            self.ReceiverAET = title

    for other in APPS:
        assert eval(rule, {}, {"tags": Tags(other.deployment.ae_title)}) == (other == app)  # noqa: S307


@each_app
def test_limits_are_the_same_on_every_host(app):
    script = (DEPLOY / f"docker/{dns_name(app)}.sh").read_text()
    configured = {entry["name"]: entry for entry in load("orthanc/map_suite.json")["applications"]}[app.name]

    assert configured["run"] == run_arguments(app, Site())
    assert all(argument.split(",")[0] in script for argument in run_arguments(app, Site()))
    assert f"--preserve-status {app.deployment.timeout_s} " in script
    assert configured["timeout_s"] == app.deployment.timeout_s
    minutes = load(f"workflow-manager/{dns_name(app)}.json")["tasks"][0]["args"]["task_timeout_minutes"]
    assert int(minutes) * 60 >= app.deployment.timeout_s


@pytest.mark.parametrize("name", ["DOE, JOHN", "10:30", "plain"])
def test_the_script_takes_a_study_of_any_name(name, tmp_path):
    """docker and podman read a mount as a row of CSV (RFC 4180)."""
    study, engine = tmp_path / name, tmp_path / "engine"
    study.mkdir()
    engine.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    engine.chmod(0o755)

    said = subprocess.run(
        [DEPLOY / "docker/spine.sh", study, tmp_path / "out"], env={**os.environ, "MAP_ENGINE": str(engine)},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    mounts = [next(csv.reader([line])) for line in said.splitlines() if line.startswith("type=bind")]
    assert mounts == [
        ["type=bind", f"source={study}", "target=/var/holoscan/input", "readonly"],
        ["type=bind", f"source={tmp_path / 'out'}", "target=/var/holoscan/output"],
    ]


def test_an_image_has_the_name_docker_takes():
    assert all(
        re.fullmatch(r"[a-z0-9]+([._-][a-z0-9]+)*(/[a-z0-9]+([._-][a-z0-9]+)*)*", image_repository(app)) for app in APPS
    )
