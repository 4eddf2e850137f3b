"""An image in the forms of smaller hosts: the script for plain docker, and the module of mercure."""

import json
import os
import subprocess

import pytest

from imaging.write_sample import write_head_study
from maps.describe_app import describe_app
from maps.hosts.docker_run import script
from maps.hosts.hospital_site import Site
from maps.hosts.mercure import module
from tests.emulation.head_study import HEAD, TOO_FEW
from tests.emulation.mercure import RootModuleError, run_module
from tests.system.command import VERDICT

pytestmark = [pytest.mark.system, pytest.mark.servers]
SKULL_STRIP = describe_app("skull_strip")
USER = 4321


@pytest.fixture(scope="module")
def site(skull_strip_image):
    registry, tag = skull_strip_image.rpartition("map-suite/skull_strip:")[::2]
    return Site(registry=registry.rstrip("/"), tag=tag)


@pytest.fixture
def run_script(site, tmp_path):
    """Run the script as a user that the image does not know."""
    path = tmp_path / "skull-strip.sh"
    path.write_text(script(SKULL_STRIP, site))

    def run(*arguments):
        (tmp_path / "out").mkdir(exist_ok=True)
        os.chown(tmp_path / "out", USER, USER)
        env = {**os.environ, "MAP_USER": f"{USER}:{USER}"}
        return subprocess.run(
            ["sh", path, *arguments], env=env, capture_output=True, text=True, timeout=120, check=False
        )

    return run


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_script_runs_the_image(run_script, tmp_path):
    study = write_head_study(tmp_path / "a study", **HEAD)

    ended = run_script(study, tmp_path / "out", "--no-stripped-series")

    assert ended.returncode == 0, ended.stderr
    assert files(tmp_path / "out") >= {"seg.dcm", "sr.dcm", *VERDICT}
    assert not (tmp_path / "out" / "stripped").exists()
    assert "Brain volume" in ended.stdout
    assert (tmp_path / "out" / "seg.dcm").stat().st_uid == USER


def test_the_script_gives_the_exit_code_and_leaves_the_reason(run_script, tmp_path):
    ended = run_script(write_head_study(tmp_path / "few", **TOO_FEW), tmp_path / "out")

    assert ended.returncode == 3
    assert "at least 20 needed" in ended.stderr
    assert files(tmp_path / "out") == set(VERDICT)


def test_the_script_wants_a_study(run_script, tmp_path):
    ended = run_script(tmp_path / "nowhere", tmp_path / "out")

    assert ended.returncode == 2
    assert "STUDY" in ended.stderr


def test_mercure_runs_the_module(site, tmp_path):
    write_head_study(tmp_path / "in", **HEAD)

    code, log = run_module(module(SKULL_STRIP, site), tmp_path, support_root_modules=True)

    assert code == 0, log
    assert {"seg.dcm", "sr.dcm", "result.json"} <= files(tmp_path / "out")
    assert "__mercure_routing" not in json.loads((tmp_path / "out" / "result.json").read_text())


def test_mercure_sends_nothing_where_nothing_was_eligible(site, tmp_path):
    write_head_study(tmp_path / "in", **TOO_FEW)

    code, log = run_module(module(SKULL_STRIP, site), tmp_path, support_root_modules=True)

    assert code == 0, log
    assert files(tmp_path / "out") == set(VERDICT)
    assert json.loads((tmp_path / "out" / "result.json").read_text())["__mercure_routing"] == {"discard": True}


def test_mercure_takes_it_for_a_map_that_wants_a_setting(site, tmp_path):
    (tmp_path / "in").mkdir()

    with pytest.raises(RootModuleError):
        run_module(module(SKULL_STRIP, site), tmp_path, support_root_modules=False)
