"""How an image is run on this machine: cut off, as the owner of the output folder, with what follows -- passed on."""

import csv

import pytest

from cli.main import main
from imaging.outcome import OutputError, UsageError
from maps.engine import Engine
from maps.failures import BuildError
from maps.run_image import Folders, bind, choose_runner, prepare, run_command
from tests.maps.fake_engine import fake_engine

BODY = """case "$1" in
  info) echo '{"DockerRootDir": "/"}' ;;
  image) [ "$3" = there ] && echo '[{}]' || exit 1 ;;
  run) exit 4 ;;
esac"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A docker that knows one image, whose run ends in 4; what it was asked."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return fake_engine(tmp_path / "bin", "docker", BODY)


@pytest.fixture
def folders(tmp_path):
    (tmp_path / "study").mkdir()
    return Folders(tmp_path / "study", tmp_path / "out")


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_a_container_has_no_network_no_rights_and_a_read_only_root(engine, folders):
    prepare(folders)
    command = run_command(Engine(engine), "image", ["--nifti"], folders, gpu=False)

    said = " ".join(command)
    for wanted in ("--network none", "--read-only", "--cap-drop ALL", "no-new-privileges", "--rm", "--tmpfs /tmp"):
        assert wanted in said
    assert f'type=bind,"source={folders.input}",target=/var/holoscan/input,readonly' in command
    assert f'type=bind,"source={folders.output}",target=/var/holoscan/output' in command
    assert f"--user {folders.output.stat().st_uid}:{folders.output.stat().st_gid}" in said
    assert command[-2:] == ["image", "--nifti"]
    assert "gpu" not in said


@pytest.mark.parametrize("name", ["DOE, JOHN", "10:30", 'the "old" one'])
def test_a_folder_may_have_any_name(name, tmp_path):
    """Both engines read a mount as a row of CSV (RFC 4180)."""
    row = bind(tmp_path / name, "/var/holoscan/input")

    assert next(csv.reader([row])) == ["type=bind", f"source={tmp_path / name}", "target=/var/holoscan/input"]


@pytest.mark.parametrize(("engine", "wanted"), [("docker", "--gpus all"), ("podman", "--device nvidia.com/gpu=all")])
def test_gpus_are_given_when_asked_for(engine, wanted, folders):
    prepare(folders)

    assert wanted in " ".join(run_command(Engine(engine), "image", [], folders, gpu=True))


def test_the_exit_code_is_the_applications_and_options_reach_it(asked, folders):
    code = main(["run", "there", "-i", str(folders.input), "-o", str(folders.output), "--", "--points", "1,2,3; 4,5,6"])

    assert code == 4
    assert asked.read_text().splitlines()[-1].endswith("there --points 1,2,3; 4,5,6")


def test_an_image_that_is_not_there_is_a_wrong_command(asked, folders, capsys):
    code = main(["run", "nowhere", "-i", str(folders.input), "-o", str(folders.output)])

    assert code == 2
    assert "monai-deploy package" in capsys.readouterr().err
    assert not folders.output.exists()


def test_a_study_that_is_not_there_is_a_wrong_command(tmp_path):
    with pytest.raises(UsageError, match="nothing does not exist"):
        prepare(Folders(tmp_path / "nothing", tmp_path / "out"))


def test_an_output_folder_that_cannot_be_made_is_said(tmp_path, folders):
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="cannot be made"):
        prepare(Folders(folders.input, tmp_path / "file" / "out"))


def test_without_docker_and_podman_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BuildError, match="docker or podman is needed"):
        choose_runner(None)
