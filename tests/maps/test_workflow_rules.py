"""Workflow definitions: what is shipped breaks no rule, and each rule is broken, alone, by one change."""

import copy
import json

import pytest

from cli.main import main
from imaging.outcome import UsageError
from maps.describe_app import ROOT
from maps.workflow.check import RULES, check_workflow
from maps.workflow.definition import read_workflow
from maps.workflow.rule import Surroundings

SHIPPED = sorted([*(ROOT / "deploy" / "workflow-manager").glob("*.json"), *(ROOT / "deploy" / "argo").glob("*.json")])
SOURCE = json.loads((ROOT / "deploy" / "informatics-gateway" / "source.json").read_text())["aeTitle"]
DOCKER = json.loads((ROOT / "deploy" / "workflow-manager" / "skull-strip.json").read_text())
ARGO = json.loads((ROOT / "deploy" / "argo" / "skull-strip-workflow.json").read_text())
REMOTE_APP = {
    "name": "remote",
    "version": "1.0.0",
    "informatics_gateway": {"ae_title": "REMOTE", "data_origins": [SOURCE], "export_destinations": ["ORTHANC"]},
    "tasks": [
        {
            "id": "app",
            "type": "remote_app_execution",
            "export_destinations": [{"name": "ORTHANC"}],
            "artifacts": {
                "input": [{"name": "study", "value": "{{ context.input.dicom }}"}],
                "output": [{"name": "seg", "type": "SEG"}],
            },
        }
    ],
}
NEXT = {"id": "next", "type": "router", "task_destinations": []}


def broken_rules(definition, names=("another",)):
    surroundings = Surroundings(workflow_names=frozenset(names), sources=frozenset({SOURCE}))
    return sorted({finding.rule.code for finding in check_workflow(read_workflow(definition), surroundings)})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_shipped_definition_breaks_no_rule(path):
    others = {json.loads(other.read_text())["name"] for other in SHIPPED if other != path}

    assert broken_rules(json.loads(path.read_text()), others) == []


def test_the_definition_of_a_remote_application_breaks_no_rule():
    assert broken_rules(REMOTE_APP) == []


def task(definition):
    return definition["tasks"][0]


def export(definition):
    return definition["tasks"][1]


def args(definition):
    return task(definition)["args"]


def first_input(definition):
    return task(definition)["artifacts"]["input"][0]


def export_input(definition):
    return export(definition)["artifacts"]["input"][0]


def outputs(definition):
    return task(definition)["artifacts"]["output"]


def gateway(definition):
    return definition["informatics_gateway"]


def second_output(definition, name, at):
    outputs(definition).append({"name": name})
    args(definition)[name] = at


CHANGES = [
    ("E01", DOCKER, lambda d: d.update(name=" ")),
    ("E02", DOCKER, lambda d: d.update(name="another")),
    ("E03", DOCKER, lambda d: d.pop("version")),
    ("E04", DOCKER, lambda d: d.pop("informatics_gateway")),
    ("E05", DOCKER, lambda d: gateway(d).update(ae_title="SIXTEEN-LETTERS-")),
    ("E05", DOCKER, lambda d: gateway(d).update(ae_title="")),
    ("E06", DOCKER, lambda d: gateway(d).update(data_origins=["SOMEBODY"])),
    ("E07", DOCKER, lambda d: d.update(tasks=[])),
    ("E08", DOCKER, lambda d: rename_export(d, "export skull")),
    ("E09", ARGO, lambda d: outputs(d).append(dict(outputs(d)[0]))),
    ("E10", DOCKER, lambda d: export(d).update(task_destinations=[{"name": "skull-strip"}])),
    ("E11", DOCKER, lambda d: d["tasks"].append(copy.deepcopy(export(d)))),
    ("E12", DOCKER, lambda d: export(d).update(type="exporter")),
    ("E13", DOCKER, lambda d: export(d)["artifacts"].update(input=[])),
    ("E14", DOCKER, lambda d: export_input(d).update(name="")),
    ("E15", DOCKER, lambda d: export_input(d).update(value="")),
    ("E16", DOCKER, lambda d: export(d).update(export_destinations=[])),
    ("E17", DOCKER, lambda d: export(d)["export_destinations"].append({"name": "ORTHANC"})),
    ("E18", DOCKER, lambda d: gateway(d).update(export_destinations=["SOMEBODY"])),
    ("E19", ARGO, lambda d: args(d).pop("workflow_template_name")),
    ("E20", ARGO, lambda d: args(d).update(memory_gb="4")),
    ("E21", ARGO, lambda d: args(d).update(priority="urgent")),
    ("E22", ARGO, lambda d: args(d).update(cpu="0.5")),
    ("E22", ARGO, lambda d: args(d).update(cpu="0")),
    ("E23", ARGO, lambda d: args(d).update(gpu_required="1")),
    ("E24", REMOTE_APP, lambda d: task(d)["artifacts"].update(output=[])),
    ("E25", REMOTE_APP, lambda d: outputs(d)[0].update(type="application/dicom")),
    ("E26", DOCKER, lambda d: add_router(d, "export-skull-strip")),
    ("E27", DOCKER, lambda d: d["tasks"].append(dict(NEXT))),
    ("N01", DOCKER, lambda d: export_input(d).update(name="skull-strip-output")),
    ("N02", DOCKER, lambda d: second_output(d, "skull-strip-output-2", "/var/holoscan/more")),
    ("N03", DOCKER, lambda d: first_input(d).update(value="{{context.input.dicom}}")),
    ("N03", DOCKER, lambda d: first_input(d).update(value="{{ context.input.hl7 }}")),
    ("N04", DOCKER, lambda d: first_input(d).update(value="{{ context.input.dicom }}/series1")),
    ("N05", DOCKER, lambda d: export_input(d).update(value="{{ context.executions.skull-strip.artifacts.seg }}")),
    ("N05", DOCKER, lambda d: export_input(d).update(value="{{ context.executions.spine.artifacts.spine-output }}")),
    ("N05", DOCKER, lambda d: export_input(d).update(value="{{ context.executions.export-skull-strip.output_dir }}")),
    ("N06", ARGO, lambda d: first_input(d).update(name="skull_strip_input")),
    ("D01", DOCKER, lambda d: args(d).pop("temp_storage_container_path")),
    ("D02", DOCKER, lambda d: args(d).update(always_pull=True)),
    ("D03", DOCKER, lambda d: args(d).update(server_url="/var/run/docker.sock")),
    ("D04", DOCKER, lambda d: args(d).pop("skull-strip-output")),
    ("D05", DOCKER, lambda d: second_output(d, "more", "/var/holoscan/output/")),
    ("D06", DOCKER, lambda d: second_output(d, "more", "output")),
    ("D07", DOCKER, lambda d: args(d).update(env_HOLOSCAN_OUTPUT_PATH="/output")),
    ("D08", DOCKER, lambda d: args(d).pop("user")),
    ("D08", DOCKER, lambda d: args(d).update(user="holoscan")),
    ("D09", DOCKER, lambda d: args(d).pop("task_timeout_minutes")),
    ("D09", DOCKER, lambda d: args(d).update(task_timeout_minutes="1.5")),
    ("D10", DOCKER, lambda d: task(d).update(timeout_minutes=5)),
    ("D10", DOCKER, lambda d: (task(d).update(timeout_minutes=-1), args(d).update(task_timeout_minutes="61"))),
    ("D11", DOCKER, lambda d: args(d).update(env_MONAI_WORKDIR="/var/holoscan")),
    ("D12", DOCKER, lambda d: outputs(d)[0].update(mandatory=False)),
]


def rename_export(definition, name):
    export(definition)["id"] = name
    task(definition)["task_destinations"] = [{"name": name}]


def add_router(definition, leading_to):
    task(definition)["task_destinations"].append({"name": "next"})
    definition["tasks"].append({**NEXT, "task_destinations": [{"name": leading_to}]})


@pytest.mark.parametrize(
    ("rule", "definition", "change"), CHANGES, ids=[f"{code}-{n}" for n, (code, _, _) in enumerate(CHANGES)]
)
def test_one_change_breaks_one_rule(rule, definition, change):
    changed = copy.deepcopy(definition)
    change(changed)

    assert broken_rules(changed) == [rule]


def test_every_rule_is_broken_by_a_change():
    assert {code for code, _, _ in CHANGES} == {rule.code for rule in RULES}


def test_rules_e01_to_e27_are_all_there():
    assert [rule.code for rule in RULES if rule.code[0] == "E"] == [f"E{number:02d}" for number in range(1, 28)]


def test_chained_docker_tasks_take_the_name_of_the_output_before():
    """The manager dispatches an input that comes from another task under the name of that task's output."""
    chained = copy.deepcopy(DOCKER)
    second = copy.deepcopy(task(chained))
    second.update(id="second", task_destinations=[])
    value = "{{ context.executions.skull-strip.artifacts.skull-strip-output }}"
    second["artifacts"] = {"input": [{"name": "second-input", "value": value}], "output": [{"name": "second-output"}]}
    second["args"] |= {"second-output": "/var/holoscan/output", "skull-strip-output": "/var/holoscan/input"}
    chained["tasks"].append(second)
    task(chained)["task_destinations"].append({"name": "second"})

    assert broken_rules(chained) == []

    second["args"]["second-input"] = second["args"].pop("skull-strip-output")

    assert broken_rules(chained) == ["D04"]


def test_keys_are_read_whatever_their_case():
    changed = copy.deepcopy(DOCKER)
    export(changed)["export_destinations"] = [{"Name": "ORTHANC"}]

    assert broken_rules(changed) == []


def test_origins_are_not_judged_when_the_sources_are_not_known():
    changed = copy.deepcopy(DOCKER)
    gateway(changed)["data_origins"] = ["SOMEBODY"]

    assert check_workflow(read_workflow(changed), Surroundings()) == []


@pytest.mark.parametrize("wrong", [[], "text", {"tasks": {}}, {"tasks": ["text"]}, {"informatics_gateway": "AE"}])
def test_what_is_no_definition_is_refused(wrong):
    with pytest.raises(UsageError, match="must be a JSON"):
        read_workflow(wrong)


def test_the_command_accepts_what_is_shipped(capsys):
    assert main(["check-workflow", *map(str, SHIPPED), "--source", SOURCE]) == 0

    assert capsys.readouterr().out == f"{len(SHIPPED)} checked, 0 with findings\n"


def test_the_command_says_what_a_definition_breaks(tmp_path, capsys):
    path = tmp_path / "w.json"
    path.write_text(json.dumps({**DOCKER, "version": ""}))

    assert main(["check-workflow", str(path), str(SHIPPED[0])]) == 1

    assert f"{path}: E03 a workflow has a version: version is ''" in capsys.readouterr().out


def test_two_definitions_of_one_name_break_a_rule_together(tmp_path, capsys):
    (tmp_path / "copy.json").write_text(json.dumps(DOCKER))

    assert (
        main(["check-workflow", str(ROOT / "deploy/workflow-manager/skull-strip.json"), str(tmp_path / "copy.json")])
        == 1
    )

    assert capsys.readouterr().out.count("E02") == 2


@pytest.mark.parametrize(("content", "said"), [(None, "cannot be read"), ("{", "is no JSON")])
def test_a_file_that_cannot_be_read_is_a_wrong_command(tmp_path, capsys, content, said):
    path = tmp_path / "w.json"
    if content:
        path.write_text(content)

    assert main(["check-workflow", str(path)]) == 2

    assert said in capsys.readouterr().err


def test_the_rules_can_be_listed(capsys):
    assert main(["check-workflow", "--rules"]) == 0

    assert len(capsys.readouterr().out.splitlines()) == len(RULES)


def test_no_file_is_a_wrong_command(capsys):
    assert main(["check-workflow"]) == 2
