"""What build_maps.sh stages runs as it will in a container: the folder alone, nothing of the repository beside it."""

import shutil
import subprocess
import sys

import pytest

from imaging.model_package import METADATA, load_model_package
from tests.system.command import ROOT, environment

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A staged application, moved away from the repository; the others are staged beside it."""
    copy = tmp_path_factory.mktemp("repository") / "suite"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "build")
    shutil.copytree(ROOT, copy, ignore=ignored)
    subprocess.run([copy / "build_maps.sh"], check=True, capture_output=True)
    away = tmp_path_factory.mktemp("container") / "build"
    shutil.move(copy / "build", away)
    shutil.rmtree(copy)
    return away / "skull_strip"


def test_the_staged_folder_runs_by_itself(staged, small, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, staged / "app", "-i", small, "-o", out, "-m", staged / "models"]

    ended = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert (out / "seg.dcm").exists()
    assert "viewer-code" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("app", ["lung_nodule", "skull_strip", "spine"])
def test_the_staged_models_are_whole(staged, app):
    models = staged.parent / app / "models" / app
    folders = [path.parent for path in models.rglob(METADATA)]

    assert folders
    assert (models / "card.md").exists()
    for folder in folders:
        assert all(member.torchscript.exists() for member in load_model_package(folder).members)


def test_an_unknown_application_is_refused():
    ended = subprocess.run([ROOT / "build_maps.sh", "nothing"], capture_output=True, text=True, check=False)

    assert ended.returncode == 2
    assert "nothing" in ended.stderr


def test_the_staged_folder_brings_its_own_packages(staged):
    script = f"import sys; sys.path.insert(0, {str(staged / 'app')!r}); import cli, imaging, operators;"
    script += "print(cli.__file__, imaging.__file__, operators.__file__)"

    ended = subprocess.run([sys.executable, "-c", script], cwd=staged, capture_output=True, text=True, check=True)

    assert ended.stdout.count(str(staged)) == 3
