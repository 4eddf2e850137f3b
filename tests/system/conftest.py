import os
import shutil

import pytest

from tests.system import map_images
from tests.system.command import ROOT, execute, monai_deploy, small_study


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Where CI is said to run everything is installed: a test with servers that is skipped there has failed."""
    report = yield
    if report.skipped and os.environ.get("CI") and item.get_closest_marker("servers"):
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A copy of the models: what is trained meanwhile does not change them."""
    folder = tmp_path_factory.mktemp("models")
    ignored = shutil.ignore_patterns("*.py", "__pycache__")
    shutil.copytree(ROOT / "models" / "skull_strip", folder / "skull_strip", ignore=ignored)
    return folder


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """The study that `monai-deploy sample` writes."""
    folder = tmp_path_factory.mktemp("sample") / "study"
    ended = monai_deploy("sample", folder)
    assert ended.code == 0, ended.stderr
    return folder


@pytest.fixture(scope="session")
def sample_run(sample, models, tmp_path_factory):
    """Skull stripping of the sample, NIfTI included."""
    ended = execute(sample, tmp_path_factory.mktemp("run") / "out", models, "--nifti", "--backend", "openvino")
    assert ended.code == 0, ended.stderr
    return ended


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A small head study; not to be changed."""
    return small_study(tmp_path_factory.mktemp("small") / "study")


@pytest.fixture(scope="session")
def small_run(small, models, tmp_path_factory):
    """Skull stripping of the small study; its output is not to be changed."""
    ended = execute(small, tmp_path_factory.mktemp("small run") / "out", models)
    assert ended.code == 0, ended.stderr
    return ended


@pytest.fixture(scope="session")
def docker():
    """A daemon with a runtime called nvidia; programs that call docker find it."""
    with map_images.docker_daemon() as daemon, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", f"unix://{daemon.socket}")
        yield daemon


@pytest.fixture(scope="session")
def skull_strip_image(docker):
    """The image of skull stripping, in the daemon."""
    return docker.load("skull_strip")
