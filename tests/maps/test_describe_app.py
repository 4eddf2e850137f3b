"""The description that is read without the SDK is the one the applications really have."""

import ast
import dataclasses
import json
import subprocess
import sys

import pytest

from imaging.deployment import Deployment
from imaging.outcome import UsageError
from maps.describe_app import ROOT, app_names, describe_app, literal_keywords

FIELDS = ("name", "version", "title", "inputs", "outputs", "model")
IMPORT_THEM = """
import dataclasses, json, sys
from cli.defer_imports import defer_imports
from cli.environment import prepare_process
from cli.find_app import app_names, apps_folder
from cli.run import load_app
prepare_process("ERROR")
defer_imports()
found = {}
for name in app_names():
    app = load_app(apps_folder() / name)
    card = {field: getattr(app.CARD, field) for field in sys.argv[1:]}
    found[name] = card | {"deployment": dataclasses.asdict(app.DEPLOYMENT)}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def imported():
    """What the modules hold once they are imported, in a process of its own: Holoscan may warn in this one."""
    command = [sys.executable, "-c", IMPORT_THEM, *FIELDS]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


@pytest.mark.parametrize("name", app_names())
def test_description_is_that_of_the_imported_module(name, imported):
    described = json.loads(json.dumps(dataclasses.asdict(describe_app(name))))

    assert described == imported[name]


def test_ae_titles_are_told_apart():
    titles = [describe_app(name).deployment.ae_title for name in app_names()]

    assert len(set(titles)) == len(titles) == 4


def test_unknown_application_is_refused_and_the_known_ones_are_named():
    with pytest.raises(UsageError, match=r"no application 'liver'.*lung_nodule.*spine"):
        describe_app("liver")


def test_a_card_without_a_literal_version_is_refused(tmp_path):
    folder = tmp_path / "apps" / "one"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text("V = '1'\nCARD = AppCard(name='one', version=V)\nDEPLOYMENT = Deployment()\n")

    with pytest.raises(ValueError, match=r"CARD has no literal 'version'"):
        describe_app("one", tmp_path)


def test_a_missing_constant_is_named():
    with pytest.raises(ValueError, match="no DEPLOYMENT"):
        literal_keywords(ast.parse("CARD = AppCard(name='one')\ndef f():\n    DEPLOYMENT = D()"), "DEPLOYMENT")


NEEDS = {
    "ae_title": "HEAD_1",
    "modality": "MR",
    "body_part": "head",
    "memory_mib": 1,
    "timeout_s": 1,
    "always_writes": ("sr.dcm",),
}


@pytest.mark.parametrize("title", ["A", "ABCDEFGHIJKLMNO", "Head-1_x"])
def test_ae_titles_a_gateway_accepts(title):
    assert Deployment(**NEEDS | {"ae_title": title}).ae_title == title


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("ae_title", "ABCDEFGHIJKLMNOP", "1 to 15"),
        ("ae_title", "", "1 to 15"),
        ("ae_title", "HEAD MR", "1 to 15"),
        ("ae_title", "HEAD\n", "1 to 15"),
        ("modality", "mr", "CT, MR"),
        ("memory_mib", 0, "memory_mib must be positive"),
        ("timeout_s", -1, "timeout_s must be positive"),
        ("cpu", 0, "cpu must be positive"),
        ("shared_memory_mib", 0, "shared_memory_mib must be positive"),
        ("gpu", -1, "gpu must not be negative"),
        ("always_writes", (), "at least one"),
    ],
)
def test_what_no_host_takes_is_refused(field, value, message):
    with pytest.raises(ValueError, match=message):
        Deployment(**NEEDS | {field: value})
