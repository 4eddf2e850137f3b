"""What is staged for an image runs as it will in a container: the folder alone, nothing of the repository beside it."""

import shutil
import subprocess
import sys

import pytest

from imaging.model_package import METADATA, load_model_package
from maps.stage_models import MODELS, PACKAGES
from tests.system.command import ROOT, environment

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A staged application, moved away from the repository; the others are staged beside it."""
    copy = tmp_path_factory.mktemp("repository") / "suite"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "tests", "build")
    shutil.copytree(ROOT, copy, ignore=ignored)
    subprocess.run([copy / "build_maps.sh", "--stage-only"], check=True, capture_output=True)
    away = tmp_path_factory.mktemp("container") / "build"
    shutil.move(copy / "build" / "maps", away)
    shutil.rmtree(copy)
    return away / "skull_strip" / "tree"


def inside(tree):
    """The environment that the image sets, with the tree as root."""
    return environment({"MAP_MODEL_PACKAGES": str(tree / PACKAGES), "PYTHONPATH": str(tree / "opt/holoscan/app")})


def test_the_staged_folder_runs_by_itself(staged, small, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, staged / "opt/holoscan/app", "-i", small, "-o", out, "-m", staged / MODELS]

    ended = subprocess.run(command, cwd=tmp_path, env=inside(staged), capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
    assert (out / "seg.dcm").exists()
    assert "viewer-code" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("app", ["cervical_tumor", "lung_nodule", "skull_strip", "spine"])
def test_the_staged_models_are_whole(staged, app):
    models = staged.parents[1] / app / "tree" / PACKAGES / app
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
    script = "import cli, imaging, operators; print(cli.__file__, imaging.__file__, operators.__file__)"
    command = [sys.executable, "-c", script]

    ended = subprocess.run(command, cwd=staged, env=inside(staged), capture_output=True, text=True, check=True)

    assert ended.stdout.count(str(staged)) == 3
